"""The seam of executors: where jobs run. Laws in tests/contracts/executor.py."""

from __future__ import annotations

import traceback
from typing import Protocol

from krigetuner.errors import FailedTrialError, FatalError, MissingDependency, TrialTaken
from krigetuner.run.messages import Deliver, Failed, FailureKind, Job


class Executor(Protocol):
    """Runs jobs. Exactly one final report (`Finished` or `Failed`) comes for each job, whatever dies."""

    @property
    def capacity(self) -> int:
        """How many jobs can run at the same time."""

    def submit(self, job: Job) -> None:
        """Takes a job; never more than `capacity` at a time."""

    def collect(self, deliver: Deliver, timeout: float | None = None) -> int:
        """Hands every report that is there to `deliver`, in order, in the caller's thread; returns their number.

        Waits up to `timeout` seconds for the first one (None: until there is one). An executor of this process runs
        the submitted job here and delivers while it runs. An exception of `deliver` goes on to the caller.
        """

    def stop(self, number: int) -> None:
        """Asks the job of that trial to end early; it still gives its final report."""

    def close(self) -> None:
        """Ends what still runs and leaves nothing behind; a last `collect` still hands out what is owed."""


def failure(job: Job, error: BaseException) -> Failed:
    """The final report of a job whose `run` raised: the kind by the exception's class, the traceback as message."""
    kind: FailureKind
    if isinstance(error, TrialTaken):
        kind = "taken"
    elif isinstance(error, FatalError | MissingDependency):  # no other trial would find the package
        kind = "fatal"
    elif isinstance(error, FailedTrialError):
        kind = "failed"
    elif isinstance(error, Exception):
        kind = "invalid"
    else:
        kind = "interrupted"
    message = "".join(traceback.format_exception(error))
    return Failed(job.number, job.attempt, kind, message, error, getattr(job.run, "discovered", None))
