"""Grid search: every combination in a fixed order, the first of them the defaults.

The order is KerasTuner's: each parameter takes its default first and then the others of its `.values`; the one that was
registered last varies fastest; parameters of a branch vary only where the branch is active. The next suggestion is the
first combination of the present space, in that order, that no trial has: nothing is saved, so a search that was stopped
goes on where it was, and a space that grew meanwhile is completed.
"""

from __future__ import annotations

from collections.abc import Iterator

from krigetuner.search.protocol import Answer, Suggestion
from krigetuner.search.seen import SeenConfigurations, nothing_left
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Origin, Value


class GridSearch:
    """Visits the combinations in order."""

    name = "grid"

    def __init__(self) -> None:
        self._seen = SeenConfigurations()
        self._generation = -1
        self._rest: Iterator[dict[str, Value]] = iter(())
        self._ahead: list[tuple[str, dict[str, Value]]] = []
        self._listed = 0

    def ask(self, space: Space, history: History, count: int = 1) -> Answer:
        """See `krigetuner.search.protocol.Algorithm`."""
        self._seen.update(space, history)
        if self._generation != self._seen.generation:
            self._generation, self._rest, self._ahead, self._listed = self._seen.generation, space.enumerate(), [], 0
        self._ahead = [(key, values) for key, values in self._ahead if key not in self._seen]
        while len(self._ahead) < count:
            values = next(self._rest, None)
            if values is None:
                break
            self._listed += 1
            key = self._seen.key(space, values)
            if key not in self._seen:
                self._ahead.append((key, values))
        if not self._ahead:
            return nothing_left(history, f"all {self._listed} configurations of the grid have been tried")
        return [Suggestion(dict(values), Origin(self.name)) for _, values in self._ahead[:count]]
