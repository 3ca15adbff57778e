"""Which configurations a history holds, kept up to date at the cost of what is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from krigetuner.search.protocol import Done, Wait
from krigetuner.space.space import Space
from krigetuner.trial.history import CHUNK, History, Observation, Value

_REMEMBERED = 1024


class SeenConfigurations:
    """The keys of the configurations in a history, and those that would be the same training as one of them.

    It is a cache of a pure function of (space, history): `update` compares the observations with those of the last call
    by identity and computes keys for the others only.

    Attributes:
        generation: counts the times that configurations were forgotten; while it stays, the set only grows.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._space: Space | None = None
        self._chunks: tuple[tuple[Observation, ...], ...] = ()
        self._keys: list[str] = []
        self._counts: Counter[str] = Counter()
        self._agreeing = Agreement()
        self._named: dict[tuple[tuple[str, Value], ...], str] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._counts

    def holds(self, key: str, values: Mapping[str, Value]) -> bool:
        """Whether a trial has this configuration, or was the same training for all that its code asked for."""
        return key in self._counts or values in self._agreeing

    def __len__(self) -> int:
        return len(self._counts)

    def key(self, space: Space, values: Mapping[str, Value]) -> str:
        """`space.key(values)`, remembered for a while: the same values come back as a running and as an ended trial."""
        items = tuple(values.items())
        if len(self._named) > _REMEMBERED:
            self._named.clear()
        found = self._named.get(items)
        if found is None:
            found = self._named[items] = space.key(values)
        return found

    def update(self, space: Space, history: History) -> None:
        """Makes this the configurations of `history`, named as `space` names them."""
        if space is not self._space or len(history) < len(self._keys):
            self._named = self._named if space is self._space else {}
            self._space, self._chunks, self._keys, self._counts = space, (), [], Counter()
            self._agreeing = Agreement()
            self.generation += 1
        known = self._chunks
        for number, chunk in enumerate(history.chunks):
            before = known[number] if number < len(known) else ()
            if chunk is not before:
                self._replace(space, number * CHUNK, before, chunk)
        self._chunks = history.chunks

    def _replace(
        self, space: Space, start: int, known: tuple[Observation, ...], observations: tuple[Observation, ...]
    ) -> None:
        for place, (before, observation) in enumerate(zip(known, observations, strict=False), start):
            if observation is before:
                continue
            self._agreeing.replace(space, before, observation)
            if observation.values == before.values:
                continue
            self._forget(self._keys[place])
            self._keys[place] = self.key(space, observation.values)
            self._counts[self._keys[place]] += 1
        for observation in observations[len(known) :]:
            self._agreeing.add(space, observation)
            self._keys.append(self.key(space, observation.values))
            self._counts[self._keys[-1]] += 1

    def _forget(self, key: str) -> None:
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
            self.generation += 1


class Agreement:
    """The configurations that agree with one of some trials in all that its code asked for."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, ...], Counter[tuple[Value, ...]]] = {}

    def __contains__(self, values: Mapping[str, Value]) -> bool:
        return any(
            all(name in values for name in names) and tuple(values[name] for name in names) in asked
            for names, asked in self._asked.items()
        )

    def add(self, space: Space, trial: Observation) -> None:
        """Adds a trial, if there is something active that it did not ask for."""
        if differs_unasked(space, trial):
            names, values = _asked(trial)
            self._asked.setdefault(names, Counter())[values] += 1

    def replace(self, space: Space, before: Observation, trial: Observation) -> None:
        """Takes a trial out as it was before, and adds it as it is."""
        if differs_unasked(space, before):
            names, values = _asked(before)
            self._asked[names] -= Counter([values])
            if not self._asked[names]:
                del self._asked[names]
        self.add(space, trial)


def differs_unasked(space: Space, trial: Observation) -> bool:
    """Whether configurations of a space differ only in what a trial did not ask for."""
    return bool(trial.unasked) and not space.active_parameters(trial.values).keys().isdisjoint(trial.unasked or ())


def _asked(trial: Observation) -> tuple[tuple[str, ...], tuple[Value, ...]]:
    """The names that a trial asked for, and their values."""
    names = tuple(name for name in trial.values if name not in (trial.unasked or ()))
    return names, tuple(trial.values[name] for name in names)


def nothing_left(history: History, tried: str) -> Wait | Done:
    """The answer when every configuration has been tried: a running trial may still discover hyperparameters."""
    running = len(history.in_phase("running"))
    if running:
        return Wait(f"{tried}; waiting for {running} running trial{'s' if running > 1 else ''}")
    return Done(f"the search space is exhausted: {tried}")


def no_other(space: Space, history: History) -> Wait | Done:
    """The answer when no configuration was found that is new."""
    if any(o.unasked for o in history):
        tried = "every configuration that is left would repeat a training"
    else:
        tried = f"all {space.size} configurations have been tried" if space.size else "no new configuration was found"
    return nothing_left(history, tried)
