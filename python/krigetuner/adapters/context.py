"""What running code can reach without being handed it: the context of the trial that runs in this thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from krigetuner.run.messages import Context


@dataclass
class TrialContext:
    """The executor's context, and where the trial's files lie.

    Attributes:
        channel: where reports go.
        directory: the trial's own directory; it may not exist yet.
        number, attempt: of the job.
        execution: which of the trial's executions runs.
        seed: base of the seeds of this trial's training, None to leave every generator alone.
        results: of the executions that the tuner's own `run_trial` has finished in this attempt; a subclass's may call
            it several times, and may drop what it returns.
        by_hooks: the values in the trial's metrics, each by its name, step and place there, that a loop which calls the
            tuner's hooks itself has reported.
    """

    channel: Context
    directory: Path
    number: int = 0
    attempt: int = 0
    execution: int = 0
    seed: int | None = None
    results: list[Any] = field(default_factory=list)
    by_hooks: set[tuple[str, float, int]] = field(default_factory=set)

    def report(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records the metrics of one step of the execution that runs."""
        self.channel.report(step, metrics, self.execution)

    def should_stop(self) -> bool:
        """True when the trial should end early."""
        return self.channel.should_stop()


_present: ContextVar[TrialContext | None] = ContextVar("krigetuner_trial_context", default=None)


def present_context() -> TrialContext | None:
    """The context of the trial that runs here; None outside of a search."""
    return _present.get()


@contextmanager
def running(context: TrialContext) -> Iterator[TrialContext]:
    """Makes `context` the present one for the block."""
    token = _present.set(context)
    try:
        yield context
    finally:
        _present.reset(token)
