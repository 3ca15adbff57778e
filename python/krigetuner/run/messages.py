"""What passes between the loop and an executor: jobs go in, reports come out. All of it is plain data but `Job.run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol


class Context(Protocol):
    """What running code may say and ask while its trial runs."""

    def report(self, step: int, metrics: Mapping[str, float], execution: int | None = 0) -> None:
        """Records the metrics of one step (an epoch); it is in the store when this returns, in this process.

        Args:
            execution: None where the code gives the trial's result itself (`Oracle.update_trial`).
        """

    def tell(self, discovered: Mapping[str, Any]) -> None:
        """Hands on what the code has found out while it goes on running; any thread may."""

    def should_stop(self) -> bool:
        """True when the trial should end early."""


FailureKind = Literal["invalid", "failed", "fatal", "interrupted", "taken"]


@dataclass(frozen=True)
class Job:
    """One attempt at a trial.

    Attributes:
        number, attempt: together they identify the job; attempts count from 0.
        trial_id: the trial's name, also of its directory.
        run: the work: takes the context and returns the executions' outcomes. An executor of other processes pickles
            it. Its attribute `discovered`, if it has one, goes into the `Failed` of a run that raised.
        timeout: seconds after which the executor ends it, None for never. Executors of this process cannot.
        parent_id: the trial whose files it goes on from, None for none.
    """

    number: int
    attempt: int
    trial_id: str
    run: Callable[[Context], Outcome]
    timeout: float | None = None
    parent_id: str | None = None


@dataclass(frozen=True)
class Execution:
    """The result of one execution (or fold): final metrics, and the step (epoch) they belong to."""

    metrics: Mapping[str, float]
    step: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a job's `run` returns.

    Attributes:
        executions: in order; empty when the code reported by itself (old style).
        discovered: what a run in another process has found out that the searching one must know, as plain data; None
            for nothing.
    """

    executions: tuple[Execution, ...]
    discovered: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reported:
    """Metrics of one step of a running trial.

    Attributes:
        execution: as in `Context.report`.
        discovered: as in `Outcome`; such a message has no metrics, and its step is -1.
    """

    number: int
    attempt: int
    execution: int | None
    step: int
    metrics: Mapping[str, float]
    discovered: Mapping[str, Any] | None = None


def found_out(job: Job, discovered: Mapping[str, Any]) -> Reported:
    """What `Context.tell` sends."""
    return Reported(job.number, job.attempt, None, -1, {}, discovered)


@dataclass(frozen=True)
class Finished:
    """The final report of a job that returned."""

    number: int
    attempt: int
    outcome: Outcome


@dataclass(frozen=True)
class Failed:
    """The final report of a job that did not.

    Attributes:
        kind: "invalid": an exception or a death, to be retried as asked; "failed": `FailedTrialError`, not retried;
            "fatal": the search must end; "interrupted": Ctrl-C, SIGTERM, or a lost machine: not the trial's fault;
            "taken": another worker runs the trial now, and nothing is recorded.
        message: the reason with its traceback.
        error: the exception itself (re-raised when fatal); None where it could not travel.
        discovered: as in `Outcome`.
    """

    number: int
    attempt: int
    kind: FailureKind
    message: str
    error: BaseException | None = None
    discovered: Mapping[str, Any] | None = None


Report = Reported | Finished | Failed
Deliver = Callable[[Report], Any]
