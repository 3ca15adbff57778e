"""The laws that every executor keeps. A test module inherits `ExecutorContract` and gives it a `make` method."""

from __future__ import annotations

from typing import Any

import pytest

from krigetuner.errors import FailedTrialError, FatalValueError
from krigetuner.run.executor import Executor
from krigetuner.run.messages import Context, Execution, Failed, Finished, Job, Outcome, Report, Reported


def answer(context: Context) -> Outcome:
    return Outcome((Execution({"loss": 1.5}, 2),))


def three_epochs(context: Context) -> Outcome:
    for step in range(3):
        context.report(step, {"loss": 3.0 - step}, execution=1)
    return answer(context)


def crash(context: Context) -> Outcome:
    raise ValueError("a bad batch size")


def give_up(context: Context) -> Outcome:
    raise FailedTrialError("too large")


def fatal(context: Context) -> Outcome:
    raise FatalValueError("wrong objective")


def until_stopped(context: Context) -> Outcome:
    step = 0
    while not context.should_stop():
        context.report(step, {"loss": 0.0})
        step += 1
    return Outcome((Execution({"loss": 0.0}, step),))


class ExecutorContract:
    """Inherit and define `make`."""

    def make(self) -> Executor:
        raise NotImplementedError

    def gather(self, executor: Executor, finals: int) -> list[Report]:
        """Every report until so many final ones have come."""
        reports: list[Report] = []
        while sum(not isinstance(r, Reported) for r in reports) < finals:
            executor.collect(reports.append, timeout=60)
        return reports

    def test_a_job_gives_one_final_report_with_its_result(self) -> None:
        executor = self.make()
        executor.submit(Job(4, 1, "04", answer))
        (report,) = self.gather(executor, 1)
        assert report == Finished(4, 1, Outcome((Execution({"loss": 1.5}, 2),)))
        executor.close()

    def test_epochs_come_in_order_before_the_final_report(self) -> None:
        executor = self.make()
        executor.submit(Job(0, 0, "0", three_epochs))
        *epochs, last = self.gather(executor, 1)
        assert [(r.step, r.execution, r.metrics["loss"]) for r in epochs if isinstance(r, Reported)] == [
            (0, 1, 3.0),
            (1, 1, 2.0),
            (2, 1, 1.0),
        ]
        assert isinstance(last, Finished)
        executor.close()

    @pytest.mark.parametrize(
        ("run", "kind", "text"),
        [(crash, "invalid", "a bad batch size"), (give_up, "failed", "too large"), (fatal, "fatal", "wrong objective")],
    )
    def test_an_exception_becomes_a_report_with_its_traceback(self, run: Any, kind: str, text: str) -> None:
        executor = self.make()
        executor.submit(Job(0, 0, "0", run))
        (report,) = self.gather(executor, 1)
        assert isinstance(report, Failed)
        assert report.kind == kind
        assert text in report.message
        assert run.__name__ in report.message
        executor.close()

    def test_it_can_be_used_again_after_a_failure(self) -> None:
        executor = self.make()
        for number, run in enumerate((crash, answer)):
            executor.submit(Job(number, 0, str(number), run))
            reports = self.gather(executor, 1)
        assert isinstance(reports[-1], Finished)
        executor.close()

    def test_a_stopped_job_still_gives_its_result(self) -> None:
        executor = self.make()
        executor.submit(Job(7, 0, "7", until_stopped))
        reports: list[Report] = []

        def deliver(report: Report) -> None:
            reports.append(report)
            if isinstance(report, Reported) and report.step == 2:
                executor.stop(7)

        while not reports or isinstance(reports[-1], Reported):
            executor.collect(deliver, timeout=60)
        assert isinstance(reports[-1], Finished)
        executor.close()

    def test_a_delivery_that_fails_is_the_callers_trouble_and_not_the_trials(self) -> None:
        executor = self.make()
        executor.submit(Job(0, 0, "0", three_epochs))

        def deliver(report: Report) -> None:
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            executor.collect(deliver, timeout=60)
        executor.close()

    def test_close_ends_what_waits_and_may_be_called_twice(self) -> None:
        executor = self.make()
        executor.submit(Job(3, 0, "3", answer))
        executor.close()
        reports: list[Report] = []
        executor.collect(reports.append, timeout=0)
        assert [type(r) for r in reports] in ([Failed], [Finished])
        if isinstance(reports[0], Failed):
            assert reports[0].kind == "interrupted"
        executor.close()

    def test_collect_without_a_job_returns(self) -> None:
        executor = self.make()
        assert executor.collect(lambda report: None, timeout=0) == 0
        executor.close()
