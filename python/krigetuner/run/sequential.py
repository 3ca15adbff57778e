"""The executor of this process: one job at a time, run inside `collect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from krigetuner.errors import TrialTaken
from krigetuner.run.executor import failure
from krigetuner.run.messages import Deliver, Failed, Finished, Job, Report, Reported, found_out


class DirectContext:
    """The context of a job of this process: what it reports is delivered before `report` returns.

    Attributes:
        broken: the exception with which a delivery failed; the search's trouble and not the trial's.
    """

    def __init__(self, job: Job, deliver: Deliver) -> None:
        self._job = job
        self._deliver = deliver
        self.stopped = False
        self.delivered = 0
        self.broken: BaseException | None = None

    def report(self, step: int, metrics: Mapping[str, float], execution: int | None = 0) -> None:
        """Delivers the metrics of one step."""
        try:
            self._deliver(Reported(self._job.number, self._job.attempt, execution, step, metrics))
        except Exception as error:
            self.broken = error
            raise
        self.delivered += 1

    def tell(self, discovered: Mapping[str, Any]) -> None:
        """Delivers what the code has found out."""
        self._deliver(found_out(self._job, discovered))

    def should_stop(self) -> bool:
        """True after `SequentialExecutor.stop` for this trial."""
        return self.stopped


class SequentialExecutor:
    """Runs each job in the caller's thread; keeps the laws of tests/contracts/executor.py."""

    capacity = 1

    def __init__(self) -> None:
        self._job: Job | None = None
        self._context: DirectContext | None = None
        self._owed: list[Report] = []

    def submit(self, job: Job) -> None:
        """Takes one job, to be run by the next `collect`.

        Raises:
            RuntimeError: a job is waiting already.
        """
        if self._job is not None:
            raise RuntimeError(f"submit: expected at most 1 job at a time, got trial {job.trial_id}; collect() first")
        self._job = job

    def collect(self, deliver: Deliver, timeout: float | None = None) -> int:
        """Runs the job that waits and delivers its reports; `timeout` has no meaning here."""
        count = len(self._owed)
        while self._owed:
            deliver(self._owed.pop(0))
        if self._job is None:
            return count
        job, self._job = self._job, None
        context = self._context = DirectContext(job, deliver)
        try:
            report: Report = Finished(job.number, job.attempt, job.run(context))
        except BaseException as error:
            report = failure(job, error)
        finally:
            self._context = None
        if isinstance(context.broken, TrialTaken):
            report = failure(job, context.broken)
        elif context.broken is not None:
            raise context.broken
        deliver(report)
        return count + context.delivered + 1

    def stop(self, number: int) -> None:
        """The job of that trial sees `should_stop()` from now on."""
        if self._context is not None and self._context._job.number == number:
            self._context.stopped = True

    def close(self) -> None:
        """A job that was not begun is reported as interrupted by the next `collect`."""
        if self._job is not None:
            job, self._job = self._job, None
            self._owed.append(Failed(job.number, job.attempt, "interrupted", "the executor was closed before it ran"))
