"""What an algorithm sees: the trials so far, as plain data.

`loss` is the objective turned to be minimised. A completed trial has a loss that is finite, or +inf (diverged: the worst
there is). Failed trials have none; they are knowledge about feasibility. Running trials have none yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Value = bool | int | float | str
Phase = Literal["running", "completed", "failed"]


@dataclass(frozen=True)
class Origin:
    """Where a suggestion came from.

    Attributes:
        algorithm: name of the algorithm, or "queue" (enqueued by the user) or "given" (observed elsewhere).
        bracket, rung, parent, budget: Hyperband's bookkeeping; None elsewhere. `parent` is a trial id, `budget` epochs.
        note: anything else worth keeping (acquisition, jitter, ...), shown and never read back.
    """

    algorithm: str
    bracket: int | None = None
    rung: int | None = None
    parent: str | None = None
    budget: int | None = None
    note: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """One trial as an algorithm sees it.

    Attributes:
        number: 0-based count of the trial in its study.
        values: the active hyperparameter values that it runs, or ran, with.
        phase: running, completed or failed.
        loss: minimised objective of a completed trial (+inf allowed, never NaN); None otherwise.
        variance: variance of the mean over executions or folds, None when not known.
        origin: where the suggestion came from.
    """

    number: int
    values: Mapping[str, Value]
    phase: Phase
    loss: float | None
    variance: float | None
    origin: Origin


class History(Sequence[Observation]):
    """The observations of a study in the order of their numbers.

    Observations of trials that do not lie in the present space are not in it.

    Args:
        observations: in order of `number`.
    """

    def __init__(self, observations: Sequence[Observation] = ()) -> None:
        self._observations = tuple(observations)

    def __len__(self) -> int:
        return len(self._observations)

    def __getitem__(self, index):  # type: ignore[no-untyped-def, override]
        return self._observations[index]

    def __iter__(self) -> Iterator[Observation]:
        return iter(self._observations)

    def in_phase(self, phase: Phase) -> list[Observation]:
        """The observations of one phase, in order."""
        return [o for o in self._observations if o.phase == phase]
