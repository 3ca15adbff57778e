"""What an algorithm sees: the trials so far, as plain data.

`loss` is the objective turned to be minimised. A completed trial has a loss that is finite, or +inf (diverged: the
worst there is). Failed trials have none; they are knowledge about feasibility. Running trials have none yet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, overload

Value = bool | int | float | str
Phase = Literal["running", "completed", "failed"]


@dataclass(frozen=True)
class Origin:
    """Where a suggestion came from.

    Attributes:
        algorithm: name of the algorithm, or "queue" (enqueued by the user) or "given" (observed elsewhere).
        bracket, rung, parent, budget: Hyperband's bookkeeping; None elsewhere. Brackets count from 0 in the order in
            which they run, over all iterations; `parent` is the id of the trial whose training goes on; `budget` is the
            epoch to train to, counted from the begin of that training.
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
        trial_id: the trial's name, by which another's `origin.parent` refers to it.
        assumed: names in `values` that the trial did not have: it was asked for nothing of that kind, or not yet.
    """

    number: int
    values: Mapping[str, Value]
    phase: Phase
    loss: float | None
    variance: float | None
    origin: Origin
    trial_id: str = ""
    assumed: tuple[str, ...] = ()


class History(Sequence[Observation]):
    """The observations of a study in the order of their numbers, immutable.

    Observations of trials that do not lie in the present space are not in it.

    Args:
        observations: in order of `number`.
        next_number: number of the next trial; default: one more than the last in `observations`, which is too small
            where later trials are left out.
    """

    def __init__(self, observations: Iterable[Observation] = (), next_number: int | None = None) -> None:
        self._observations = tuple(observations)
        self._next_number = next_number
        self._phases: dict[Phase, list[Observation]] = {}

    @property
    def next_number(self) -> int:
        """The number of the next trial."""
        if self._next_number is not None:
            return self._next_number
        return self._observations[-1].number + 1 if self._observations else 0

    def __len__(self) -> int:
        return len(self._observations)

    @overload
    def __getitem__(self, index: int) -> Observation: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Observation, ...]: ...

    def __getitem__(self, index: int | slice) -> Observation | tuple[Observation, ...]:
        return self._observations[index]

    def __iter__(self) -> Iterator[Observation]:
        return iter(self._observations)

    def in_phase(self, phase: Phase) -> list[Observation]:
        """The observations of one phase, in order."""
        if phase not in self._phases:
            self._phases[phase] = [o for o in self._observations if o.phase == phase]
        return list(self._phases[phase])

    def updated(self, observations: Iterable[Observation], next_number: int | None = None) -> History:
        """A history with these observations in the place of those of the same number, or added.

        It costs what is new; the rest is copied, not looked at.
        """
        rows = list(self._observations)
        phases = {phase: list(members) for phase, members in self._phases.items()}
        for new in observations:
            place = bisect_left(rows, new.number, key=_number)
            if place < len(rows) and rows[place].number == new.number:
                old = rows[place]
                rows[place] = new
                if old.phase in phases:
                    del phases[old.phase][bisect_left(phases[old.phase], old.number, key=_number)]
            else:
                rows.insert(place, new)
            if new.phase in phases:
                members = phases[new.phase]
                members.insert(bisect_left(members, new.number, key=_number), new)
        made = History(rows, next_number)
        made._phases = phases
        return made


def _number(observation: Observation) -> int:
    return observation.number
