"""One trial as plain data: what the store keeps of it and what every room above reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from krigetuner.protos import conversion
from krigetuner.trial.history import Origin, Value


class TrialStatus:
    """The states of a trial; KerasTuner's words, and INTERRUPTED for a trial that waits to be run again."""

    RUNNING = "RUNNING"
    IDLE = "IDLE"
    INVALID = "INVALID"
    STOPPED = "STOPPED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"

    @staticmethod
    def to_proto(status: str | None) -> int:
        """The number of a status in KerasTuner's protocol; INTERRUPTED counts as INVALID, None as unknown."""
        return conversion.status_number(status)

    @staticmethod
    def from_proto(proto: int) -> str | None:
        """The status that a number of KerasTuner's protocol means; None for unknown."""
        return conversion.status_of(proto)


@dataclass(slots=True)
class TrialRecord:
    """A trial's present state. Only the fold of events (store/replay.py) changes it; everybody else reads.

    The metrics of single epochs are not in it: they live in the store.

    Attributes:
        number: 0-based count of the trial in its study.
        trial_id: its name, also of its directory.
        values: the active hyperparameter values it runs with.
        origin: where the suggestion came from.
        seen: position of the last event that the suggestion knew of.
        counted: False for results obtained elsewhere, which do not count towards max_trials.
        status: one of `TrialStatus`: RUNNING, INTERRUPTED and INVALID (both wait to be run again), COMPLETED, FAILED.
        attempt: how often it was started, less one; -1 before the first start.
        failures: how many of the attempts failed.
        worker: who runs it, None when not known.
        metrics: final metrics, means over executions; empty until it completed.
        executions: the metrics and the step of each execution, in order.
        score: the objective's value; None until completed.
        best_step: the step (epoch) that the score belongs to.
        variance: variance of the score's mean over executions, None when not known.
        message: why the last attempt did not complete.
        asked, started, ended: seconds since 1970; None when that has not happened.
        unasked: the names in its values that its code never asked for, so that they made no difference; None where that
            is not known.
    """

    number: int
    trial_id: str
    values: dict[str, Value]
    origin: Origin
    seen: int = 0
    counted: bool = True
    status: str = TrialStatus.RUNNING
    attempt: int = -1
    failures: int = 0
    worker: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    executions: tuple[tuple[Mapping[str, float], int], ...] = ()
    score: float | None = None
    best_step: int = 0
    variance: float | None = None
    message: str | None = None
    asked: float | None = None
    started: float | None = None
    ended: float | None = None
    unasked: tuple[str, ...] | None = None
