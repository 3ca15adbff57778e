"""The history that algorithms see, kept up to date instead of being built for each question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from krigetuner.run.policy import loss_of
from krigetuner.store.replay import StudyState
from krigetuner.trial.history import History, Observation, Phase
from krigetuner.trial.trial import TrialRecord, TrialStatus

if TYPE_CHECKING:
    from krigetuner.space.space import Space

PHASES: dict[str, Phase] = {TrialStatus.COMPLETED: "completed", TrialStatus.FAILED: "failed"}


class Observed:
    """Observations of one study in one space; trials whose values do not lie in the space are left out.

    A change costs O(1) at the next `history`; another space object costs one pass over all trials.
    """

    def __init__(self) -> None:
        self._space: Any = None
        self._rows: list[Observation] = []
        self._slots: dict[int, int] = {}
        self._stale: set[int] = set()
        self._seen = 0
        self._history: History | None = None

    def touch(self, number: int) -> None:
        """Says that the trial changed; its values are the same."""
        self._stale.add(number)
        self._history = None

    def forget(self) -> None:
        """Says that anything may have changed."""
        self._space = None

    def history(self, space: Space, state: StudyState) -> History:
        """The observations in order of number."""
        if space is not self._space:
            self._space, self._seen, self._history = space, 0, None
            self._rows, self._slots = [], {}
            self._stale.clear()
        direction = state.objective.get("direction")
        for number in self._stale:
            if number in self._slots:
                slot = self._slots[number]
                self._rows[slot] = _observe(state.trials[number], self._rows[slot].values, direction)
        self._stale.clear()
        for number in range(self._seen, len(state.trials)):
            record = state.trials[number]
            try:
                values = space.complete(record.values)
            except ValueError:  # outside of the present space: kept and shown, not learned from
                continue
            self._slots[number] = len(self._rows)
            self._rows.append(_observe(record, values, direction))
        if self._history is None or self._seen != len(state.trials):
            self._history = History(self._rows)
        self._seen = len(state.trials)
        return self._history


def _observe(record: TrialRecord, values: Any, direction: str | None) -> Observation:
    """One trial as an algorithm sees it; a trial that waits to be run again counts as running."""
    phase = PHASES.get(record.status, "running")
    loss = None
    if phase == "completed" and record.score is not None:
        loss = loss_of(record.score, direction)
        phase = "failed" if loss is None else phase  # only a user's own scoring completes such a trial
    return Observation(record.number, values, phase, loss, record.variance, record.origin)
