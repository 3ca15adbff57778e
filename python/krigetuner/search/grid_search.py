"""Grid search: every combination in a fixed order, the first of them the defaults.

The order is KerasTuner's: each parameter takes its default first and then the others of its `.values`; the one that was
registered last varies fastest; parameters of a branch vary only where the branch is active. The next suggestion is the
first combination of the present space, in that order, that no trial has: nothing is saved, so a search that was stopped
goes on where it was, and a space that grew meanwhile is completed.

A parameter that only the code of some trials asks for (a plain `if`) is found late. A completed trial that did not ask
for it would not have been another one with another of its values, so it stands for all of them, as in KerasTuner;
while a trial runs, what it may come to stand for is held back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from krigetuner.search.protocol import Answer, Suggestion
from krigetuner.search.seen import SeenConfigurations, nothing_left
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin, Value

Values = dict[str, Value]
HELD = 4096
"""At most so many combinations are held back; those after them wait too."""


class GridSearch:
    """Visits the combinations in order.

    Args:
        known_before: names that were known before the first trial, so that a trial without one has its default.
    """

    name = "grid"

    def __init__(self, known_before: Collection[str] = ()) -> None:
        self._known_before = frozenset(known_before)
        self._seen = SeenConfigurations()
        self._generation = -1
        self._rest: Iterator[Values] = iter(())
        self._ahead: list[tuple[str, Values]] = []
        self._listed = 0

    def ask(self, space: Space, history: History, count: int = 1) -> Answer:
        """See `krigetuner.search.protocol.Algorithm`."""
        self._seen.update(space, history)
        if self._generation != self._seen.generation:
            self._generation, self._rest, self._ahead, self._listed = self._seen.generation, space.enumerate(), [], 0
        stood_for = _Partial(self._known_before, history.in_phase("completed"))
        held = _Partial(self._known_before, history.in_phase("running"))
        self._ahead = [
            (key, values) for key, values in self._ahead if key not in self._seen and values not in stood_for
        ]
        chosen = [values for _, values in self._ahead if values not in held][:count]
        while len(chosen) < count and len(self._ahead) < count + HELD:
            values = next(self._rest, None)
            if values is None:
                break
            key = self._seen.key(space, values)
            seen = key in self._seen
            if not seen and values in stood_for:
                continue
            self._listed += 1
            if not seen:
                self._ahead.append((key, values))
                if values not in held:
                    chosen.append(values)
        if not chosen:
            return nothing_left(history, f"all {self._listed} configurations of the grid have been tried")
        return [Suggestion(dict(values), Origin(self.name)) for values in chosen]


class _Partial:
    """The combinations that agree with one of some trials in all that it asked for.

    Args:
        known_before: names that no trial can have been without.
        trials: those without another name count, unless they were observed elsewhere.
    """

    def __init__(self, known_before: Collection[str], trials: Collection[Observation]) -> None:
        self._asked: dict[tuple[str, ...], set[tuple[Value, ...]]] = defaultdict(set)
        for trial in trials:
            lacking = {name for name in trial.assumed if name not in known_before}
            if lacking and trial.origin.algorithm != "given":  # nobody ran that one: it asked for nothing
                names = tuple(name for name in trial.values if name not in lacking)
                self._asked[names].add(tuple(trial.values[name] for name in names))

    def __contains__(self, values: Mapping[str, Value]) -> bool:
        return any(
            all(name in values for name in names) and tuple(values[name] for name in names) in asked
            for names, asked in self._asked.items()
        )
