"""What an algorithm sees: the trials so far, as plain data.

`loss` is the objective turned to be minimised. A completed trial has a loss that is finite, or +inf (diverged: the
worst there is). Failed trials have none; they are knowledge about feasibility. Running trials have none yet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
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
        unasked: names in `values` that the trial's code did not ask for: with other values of these, it would have been
            the same training. None where that is not known.
    """

    number: int
    values: Mapping[str, Value]
    phase: Phase
    loss: float | None
    variance: float | None
    origin: Origin
    trial_id: str = ""
    assumed: tuple[str, ...] = ()
    unasked: tuple[str, ...] | None = None


CHUNK = 128
"""How many observations a piece of a history holds."""


class History(Sequence[Observation]):
    """The observations of a study in the order of their numbers, immutable.

    Observations of trials that do not lie in the present space are not in it. A history that was made from another by
    `updated` shares the pieces that did not change, and is compared with it by them.

    Args:
        observations: in order of `number`.
        next_number: number of the next trial; default: one more than the last in `observations`, which is too small
            where later trials are left out.

    Attributes:
        chunks: the observations in pieces, all but the last of `CHUNK`.
    """

    def __init__(self, observations: Iterable[Observation] = (), next_number: int | None = None) -> None:
        everything = tuple(observations)
        self.chunks = tuple(everything[i : i + CHUNK] for i in range(0, len(everything), CHUNK))
        self._length = len(everything)
        self._next_number = next_number
        self._phases: dict[Phase, list[Observation]] = {}

    @property
    def next_number(self) -> int:
        """The number of the next trial."""
        if self._next_number is not None:
            return self._next_number
        return self.chunks[-1][-1].number + 1 if self.chunks else 0

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Observation: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Observation, ...]: ...

    def __getitem__(self, index: int | slice) -> Observation | tuple[Observation, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        place = index + self._length if index < 0 else index
        if not 0 <= place < self._length:
            raise IndexError(f"history: expected an index below {self._length}, got {index}")
        return self.chunks[place // CHUNK][place % CHUNK]

    def __iter__(self) -> Iterator[Observation]:
        return chain.from_iterable(self.chunks)

    def in_phase(self, phase: Phase) -> list[Observation]:
        """The observations of one phase, in order."""
        if phase not in self._phases:
            self._phases[phase] = [o for o in self if o.phase == phase]
        return list(self._phases[phase])

    def updated(self, observations: Iterable[Observation], next_number: int | None = None) -> History:
        """A history with these observations in the place of those of the same number, or added.

        It costs what is new; the rest is shared. Only an observation that belongs between others costs all of them.
        """
        made = History((), next_number)
        made.chunks, made._length = self.chunks, self._length
        made._phases = {phase: list(members) for phase, members in self._phases.items()}
        for new in observations:
            made._take(new)
        return made

    def _take(self, new: Observation) -> None:
        """Puts an observation where it belongs; only while the history is being made."""
        chunks = list(self.chunks)
        which = bisect_left(chunks, new.number, key=_last_number)
        place = bisect_left(chunks[which], new.number, key=_number) if which < len(chunks) else 0
        if which == len(chunks):
            full = not chunks or len(chunks[-1]) == CHUNK
            chunks.append((new,)) if full else chunks.append((*chunks.pop(), new))
            self._length += 1
        elif chunks[which][place].number == new.number:
            old = chunks[which][place]
            chunks[which] = (*chunks[which][:place], new, *chunks[which][place + 1 :])
            if old.phase in self._phases:
                members = self._phases[old.phase]
                del members[bisect_left(members, old.number, key=_number)]
        else:
            rows = list(self)
            rows.insert(which * CHUNK + place, new)
            chunks = list(History(rows).chunks)
            self._length += 1
        self.chunks = tuple(chunks)
        if new.phase in self._phases:
            members = self._phases[new.phase]
            members.insert(bisect_left(members, new.number, key=_number), new)


def _number(observation: Observation) -> int:
    return observation.number


def _last_number(chunk: tuple[Observation, ...]) -> int:
    return chunk[-1].number
