"""The loop with several slots: who is asked when, how a job is stopped, and how everything ends."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from krigetuner.errors import FatalRuntimeError
from krigetuner.run.loop import Loop
from krigetuner.run.messages import Context, Deliver, Execution, Failed, Finished, Job, Outcome, Report, Reported
from krigetuner.search.protocol import Done, Wait

RESULT = Outcome((Execution({"loss": 1.0}),))


def nothing(context: Context) -> Outcome:
    raise NotImplementedError


class Slots:
    """Gives the reports of a script, one line at each `collect` that may wait."""

    def __init__(self, capacity: int, lines: Sequence[Sequence[Report] | BaseException], closes: int = 0) -> None:
        self.capacity, self.lines, self.closes = capacity, list(lines), closes
        self.open: list[int] = []
        self.stopped: list[int] = []
        self.closed = 0

    def submit(self, job: Job) -> None:
        self.open.append(job.number)

    def collect(self, deliver: Deliver, timeout: float | None = None) -> int:
        if timeout == 0:
            return 0
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        if not line:
            time.sleep(timeout or 0.0)
        for report in line:
            deliver(report)
        return len(line)

    def stop(self, number: int) -> None:
        self.stopped.append(number)

    def close(self) -> None:
        self.closed += 1
        if self.closed <= self.closes:
            raise KeyboardInterrupt


class Jobs:
    """Hands out so many jobs; keeps what it is asked and told."""

    def __init__(self, count: int, answer: Wait | Done, error_at: int | None = None) -> None:
        self.count, self.answer, self.error_at = count, answer, error_at
        self.asked = self.begun = self.prepared = 0
        self.reports: list[Report] = []

    def next_job(self, slot: int) -> Job | Wait | Done:
        self.asked += 1
        if self.begun == self.count:
            return self.answer
        self.begun += 1
        return Job(self.begun - 1, 0, str(self.begun - 1), nothing)

    def prepare(self) -> None:
        self.prepared += 1

    def record(self, report: Report) -> bool:
        self.reports.append(report)
        if report.number == self.error_at and isinstance(report, Failed):
            raise RuntimeError("too many failures")
        return isinstance(report, Reported) and report.step == 1


def finished(number: int) -> Finished:
    return Finished(number, 0, RESULT)


def reported(number: int, step: int) -> Reported:
    return Reported(number, 0, 0, step, {"loss": 1.0})


def test_slots_are_filled_and_prepared_for() -> None:
    study = Jobs(5, Done("all"))
    executor = Slots(2, [[finished(1)], [finished(0)], [reported(2, 0), finished(2)], [finished(3)], [finished(4)]])
    loop = Loop(study, executor)
    assert loop.run() == "all"
    assert executor.open == [0, 1, 2, 3, 4]
    assert study.prepared == 4  # whenever both slots were taken
    assert executor.closed == 1
    assert not loop.running


def test_who_has_no_more_is_asked_again_when_a_trial_has_ended() -> None:
    study = Jobs(2, Done("all"))
    executor = Slots(3, [[reported(0, 0)], [], [reported(1, 0)], [finished(0)], [finished(1)]])
    assert Loop(study, executor).run() == "all"
    assert study.asked == 5  # two jobs, no third; after each end once


def test_who_waits_is_asked_again_after_a_while() -> None:
    class Later(Jobs):
        def next_job(self, slot: int) -> Job | Wait | Done:
            if self.asked == 5:
                self.answer = Done("waited long enough")
            return super().next_job(slot)

    study = Later(1, Wait("for time"))
    assert Loop(study, Slots(2, [[], [], [], [finished(0)]])).run() == "waited long enough"
    assert study.asked == 6  # a job, then once before each pause, and when the job had ended


def test_a_step_may_stop_its_trial() -> None:
    executor = Slots(2, [[reported(0, 0), reported(1, 1)], [finished(1)], [finished(0)]])
    Loop(Jobs(2, Done("all")), executor).run()
    assert executor.stopped == [1]


def test_a_fatal_error_that_could_not_travel_ends_the_search_with_its_text() -> None:
    study = Jobs(9, Done("all"))
    executor = Slots(3, [[Failed(1, 0, "fatal", "Traceback\nMyError: no data")]])
    with pytest.raises(FatalRuntimeError, match=r"(?s)a trial ended it:.*MyError: no data"):
        Loop(study, executor).run()
    kinds = [(r.number, r.kind) for r in study.reports if isinstance(r, Failed)]
    assert kinds == [(1, "fatal"), (2, "interrupted"), (0, "interrupted")]  # so that 0 is the first to run again


def test_a_lost_machine_does_not_end_the_search() -> None:
    executor = Slots(2, [[Failed(0, 0, "interrupted", "the node was lost")], [finished(1)], [finished(2)]])
    assert Loop(Jobs(3, Done("all")), executor).run() == "all"


@pytest.mark.parametrize("seconds", [0, 1])
def test_an_interrupt_and_a_second_one(seconds: int) -> None:
    study = Jobs(9, Done("all"))
    executor = Slots(2, [KeyboardInterrupt()], closes=seconds)
    with pytest.raises(KeyboardInterrupt):
        Loop(study, executor).run()
    assert executor.closed == 1 + seconds
    assert [r.number for r in study.reports] == [1, 0]


def test_an_error_of_one_record_does_not_lose_the_others() -> None:
    study = Jobs(9, Done("all"), error_at=2)
    with pytest.raises(RuntimeError, match="too many failures"):
        Loop(study, Slots(3, [KeyboardInterrupt()])).run()
    assert [r.number for r in study.reports] == [2, 1, 0]
