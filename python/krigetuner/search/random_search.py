"""Random search: independent draws, none of them twice while a configuration is left.

The draw of a trial is keyed by (seed, number of the trial), so it depends neither on what other trials gave nor on how
many run at the same time nor on a restart. Only a draw that was tried before is replaced, by the next draw of the same
trial, and when those run out by one of the untried configurations, each with the same chance.
"""

from __future__ import annotations

from krigetuner.search.branches import Branches
from krigetuner.search.protocol import Answer, Suggestion
from krigetuner.search.randomness import generator, next_number
from krigetuner.search.seen import SeenConfigurations, no_other
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Origin, Value

DRAWS = 20
"""Draws of one trial before the untried configurations of a countable space are listed."""

MANY_DRAWS = 20_000
"""The same for a space that has too many configurations to list, or infinitely many."""

LISTED = 65_536
"""The largest space whose configurations are kept in a list."""


class RandomSearch:
    """Draws each trial's values from the parameters' own scales.

    Args:
        seed: of the search.
    """

    name = "random"

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._seen = SeenConfigurations()
        self._branches = Branches()
        self._listed: tuple[Space, dict[str, dict[str, Value]]] | None = None

    def ask(self, space: Space, history: History, count: int = 1) -> Answer:
        """See `krigetuner.search.protocol.Algorithm`."""
        whole, space = space, self._branches.space(space, history)
        self._seen.update(space, history)
        chosen: dict[str, Suggestion] = {}
        first = next_number(history)
        for number in range(first, first + count):
            found = self._draw(space, number, chosen)
            if found is None:
                break
            values = found[1] if space is whole else whole.complete(found[1])
            chosen[found[0]] = Suggestion(values, Origin(self.name))
        if chosen:
            return list(chosen.values())
        return no_other(space, history)

    def _draw(self, space: Space, number: int, chosen: dict[str, Suggestion]) -> tuple[str, dict[str, Value]] | None:
        rng = generator(self.seed, number, self.name)
        countable = space.size is not None and space.size <= LISTED
        for _ in range(DRAWS if countable else MANY_DRAWS):
            values = space.decode(space.sample(rng.random((1, space.dimensions)))[0])
            key = self._seen.key(space, values)
            if not self._seen.holds(key, values) and key not in chosen:
                return key, values
        if not countable:
            return None
        listed = self._list(space)
        left = [key for key, values in listed.items() if not self._seen.holds(key, values) and key not in chosen]
        if not left:
            return None
        key = left[int(rng.integers(len(left)))]
        return key, listed[key]

    def _list(self, space: Space) -> dict[str, dict[str, Value]]:
        if self._listed is None or self._listed[0] is not space:
            self._listed = (space, {space.key(values): values for values in space.enumerate(everything=True)})
        return self._listed[1]
