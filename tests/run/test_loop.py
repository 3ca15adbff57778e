"""The loop, the sequential executor and interrupts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest
from tests.contracts.executor import ExecutorContract

from krigetuner.errors import FatalValueError, MissingDependency
from krigetuner.run.executor import Executor
from krigetuner.run.interrupts import Interrupts
from krigetuner.run.loop import Loop
from krigetuner.run.messages import Context, Execution, Failed, Finished, Job, Outcome, Report, Reported
from krigetuner.run.sequential import SequentialExecutor
from krigetuner.search.protocol import Done, Wait

Run = Callable[[Context], Outcome]
RESULT = Outcome((Execution({"loss": 1.0}),))


class TestSequential(ExecutorContract):
    def make(self) -> Executor:
        return SequentialExecutor()


class Script:
    """A study that hands out given jobs, or answers, in order, and keeps what it is told."""

    def __init__(self, *steps: Run | Wait) -> None:
        self.steps = list(steps)
        self.reports: list[Report] = []
        self.count = 0

    def next_job(self, slot: int) -> Job | Wait | Done:
        assert slot == 0
        if not self.steps:
            return Done("no steps are left")
        step = self.steps.pop(0)
        if isinstance(step, Wait):
            return step
        self.count += 1
        return Job(self.count - 1, 0, str(self.count - 1), step)

    def record(self, report: Report) -> None:
        self.reports.append(report)


def succeed(context: Context) -> Outcome:
    context.report(0, {"loss": 2.0})
    return RESULT


def test_jobs_run_until_the_study_is_done() -> None:
    study = Script(succeed, succeed)
    assert Loop(study, SequentialExecutor()).run() == "no steps are left"
    assert [type(r) for r in study.reports] == [Reported, Finished, Reported, Finished]


def test_wait_pauses_instead_of_spinning(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("krigetuner.run.loop.time.sleep", pauses.append)
    Loop(Script(*[Wait("not yet")] * 9, succeed, Wait("again")), SequentialExecutor()).run()
    assert pauses[:3] == [0.01, 0.02, 0.04]
    assert max(pauses) == 1.0
    assert pauses[-1] == 0.01  # a job in between starts anew


def test_an_invalid_job_does_not_end_the_search() -> None:
    def crash(context: Context) -> Outcome:
        raise ValueError("no")

    study = Script(crash, succeed)
    Loop(study, SequentialExecutor()).run()
    assert [r.kind for r in study.reports if isinstance(r, Failed)] == ["invalid"]


@pytest.mark.parametrize(
    "error", [FatalValueError("stop"), MissingDependency("pip install it"), KeyboardInterrupt(), SystemExit(3)]
)
def test_what_must_end_the_search_is_recorded_and_raised(error: BaseException) -> None:
    def run(context: Context) -> Outcome:
        raise error

    study = Script(run, succeed)
    with pytest.raises(type(error)) as raised:
        Loop(study, SequentialExecutor()).run()
    assert raised.value is error
    (report,) = study.reports
    assert isinstance(report, Failed)
    assert report.kind == ("fatal" if isinstance(error, Exception) else "interrupted")


def test_an_error_of_the_record_ends_the_search_and_not_the_trial() -> None:
    class Full(Script):
        def record(self, report: Report) -> None:
            super().record(report)
            if isinstance(report, Reported):
                raise OSError("disk full")

    study = Full(succeed, succeed)
    with pytest.raises(OSError, match="disk full"):
        Loop(study, SequentialExecutor()).run()
    assert [getattr(r, "kind", "") for r in study.reports] == ["", "interrupted"]


def test_user_code_that_swallows_the_error_of_the_record_does_not_hide_it() -> None:
    class Full(Script):
        def record(self, report: Report) -> None:
            if isinstance(report, Reported):
                raise OSError("disk full")

    def swallow(context: Context) -> Outcome:
        try:
            context.report(0, {"loss": 1.0})
        except OSError:
            return RESULT
        return RESULT

    with pytest.raises(OSError, match="disk full"):
        Loop(Full(swallow), SequentialExecutor()).run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_job_interrupts_it(number: signal.Signals) -> None:
    def run(context: Context) -> Outcome:
        os.kill(os.getpid(), number)
        return RESULT

    study = Script(run, succeed)
    former = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        Loop(study, SequentialExecutor()).run()
    assert [r.kind for r in study.reports if isinstance(r, Failed)] == ["interrupted"]
    assert signal.getsignal(number) is former


def test_a_signal_during_a_record_waits_until_it_is_whole() -> None:
    class Signalled(Script):
        def record(self, report: Report) -> None:
            if isinstance(report, Finished) and not self.reports:
                os.kill(os.getpid(), signal.SIGTERM)
            super().record(report)

    study = Signalled(lambda context: RESULT, succeed)
    with pytest.raises(KeyboardInterrupt):
        Loop(study, SequentialExecutor()).run()
    assert [type(r) for r in study.reports] == [Finished]


def test_a_second_signal_is_obeyed_at_once() -> None:
    reached = []

    def twice() -> None:
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append(1)
            os.kill(os.getpid(), signal.SIGINT)
            reached.append(2)

    interrupts = Interrupts()
    with interrupts, pytest.raises(KeyboardInterrupt):
        twice()
    assert reached == [1]


def test_other_peoples_handlers_are_left_alone() -> None:
    def mine(number: int, frame: object) -> None:
        return None

    former = signal.signal(signal.SIGTERM, mine)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, former)


def test_a_search_in_another_thread_runs_without_signals() -> None:
    reasons: list[str] = []
    thread = threading.Thread(target=lambda: reasons.append(Loop(Script(succeed), SequentialExecutor()).run()))
    thread.start()
    thread.join(60)
    assert reasons == ["no steps are left"]


def test_submit_refuses_a_second_job() -> None:
    executor = SequentialExecutor()
    executor.submit(Job(0, 0, "0", succeed))
    with pytest.raises(RuntimeError, match="submit: expected at most 1 job at a time, got trial 1"):
        executor.submit(Job(1, 0, "1", succeed))
