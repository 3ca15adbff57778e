"""The history that algorithms see, kept up to date instead of being built for each question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from krigetuner.run.policy import loss_of
from krigetuner.store.replay import StudyState
from krigetuner.trial.budget import CONTROL
from krigetuner.trial.history import History, Observation, Phase
from krigetuner.trial.trial import TrialRecord, TrialStatus

if TYPE_CHECKING:
    from krigetuner.space.space import Space

PHASES: dict[str, Phase] = {TrialStatus.COMPLETED: "completed", TrialStatus.FAILED: "failed"}


class Placement:
    """Which trials of a study lie outside of its present space.

    They are from before a change of its definition, or were observed elsewhere and added before the space was known.
    A trial that the present definitions themselves brought up is never outside, whatever its values: else an oracle
    that hands out illegal values would never come to its end. A change costs one look at the trial; another space
    object costs one pass over all trials.

    Attributes:
        outside: numbers of those trials.
        outside_counted: how many of them would count towards max_trials.
    """

    def __init__(self) -> None:
        self._space: Any = None
        self._stale: set[int] = set()
        self._seen = 0
        self.outside: set[int] = set()
        self.outside_counted = 0

    def touch(self, number: int) -> None:
        """Says that the trial's values may have changed."""
        self._stale.add(number)

    def forget(self) -> None:
        """Says that anything may have changed."""
        self._space = None

    def renew(self, space: Space, state: StudyState, redefined: Callable[[], int]) -> None:
        """Looks at what is new.

        Args:
            redefined: gives the position of the event that last replaced definitions; asked when a trial lies outside.
        """
        if space is not self._space:
            self._space, self._seen, self.outside, self.outside_counted = space, 0, set(), 0
            self._stale.clear()
        for number in self._stale.union(range(self._seen, len(state.trials))):
            record = state.trials[number]
            out = not space.contains(record.values) and (not record.counted or record.seen < redefined())
            if out != (number in self.outside):
                self.outside ^= {number}
                self.outside_counted += (1 if out else -1) * record.counted
        self._stale.clear()
        self._seen = len(state.trials)


class Observed:
    """Observations of one study in one space; trials whose values do not lie in the space are left out.

    A change costs O(1) at the next `history`, and a copy of the rest; another space object costs one pass over all
    trials.
    """

    def __init__(self) -> None:
        self._space: Any = None
        self._stale: set[int] = set()
        self._seen = 0
        self._present: set[int] = set()
        self._initial: Sequence[str] | None = None
        self._names: Collection[str] = CONTROL
        self._history = History((), 0)
        self.placement = Placement()

    def touch(self, number: int) -> None:
        """Says that the trial changed."""
        self._stale.add(number)
        self.placement.touch(number)

    def forget(self) -> None:
        """Says that anything may have changed."""
        self._space = None
        self.placement.forget()

    def history(self, space: Space, state: StudyState) -> History:
        """The observations in order of number."""
        count = len(state.trials)
        if space is not self._space or state.initial is not self._initial:
            self._space, self._seen, self._present, self._history = space, 0, set(), History((), 0)
            self._initial, self._names = state.initial, CONTROL.union(p.name for p in space.parameters)
        if not self._stale and self._seen == count:
            return self._history
        direction, changed = state.objective.get("direction"), []
        for number in sorted(self._stale.union(range(self._seen, count))):
            observation = _observe(state.trials[number], space, direction, self._names, self._initial)
            if observation is not None:
                changed.append(observation)
            elif number in self._present:  # its values left the space: begin again without it
                self._space = None
                return self.history(space, state)
        self._present.update(o.number for o in changed)
        self._history = self._history.updated(changed, count)
        self._stale.clear()
        self._seen = count
        return self._history


def _observe(
    record: TrialRecord, space: Space, direction: str | None, names: Collection[str], initial: Collection[str] | None
) -> Observation | None:
    """One trial as an algorithm sees it, completed with defaults; None when it lies outside of the space.

    A trial that waits to be run again counts as running.
    """
    try:
        values = space.complete(record.values)
    except ValueError:  # kept and shown, not learned from
        return None
    phase = PHASES.get(record.status, "running")
    loss = None
    if phase == "completed" and record.score is not None:
        loss = loss_of(record.score, direction)
        phase = "failed" if loss is None else phase  # only a user's own scoring completes such a trial
    assumed = tuple(name for name in values if name not in record.values)
    unasked = _unasked(record, values, assumed, names, initial)
    about = (record.variance, record.origin, record.trial_id, assumed, unasked)
    return Observation(record.number, values, phase, loss, *about)


def _unasked(
    record: TrialRecord,
    values: Mapping[str, Any],
    assumed: Collection[str],
    names: Collection[str],
    initial: Collection[str] | None,
) -> tuple[str, ...] | None:
    """Which of a trial's values its code did not ask for; None where that is not known.

    What became known only after it, by other trials, it has not asked for; what the code defines before the first trial
    it may ask for by now. A trial that asked for something outside of the space says nothing about others.
    """
    unasked = record.unasked
    if unasked is None or any(n not in names and n not in unasked for n in record.values):
        return None
    later = [] if initial is None or not assumed else [n for n in assumed if n not in initial]
    return (*(n for n in values if n in unasked), *later) if unasked or later else ()
