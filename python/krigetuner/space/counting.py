"""How many configurations a space with conditions has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from krigetuner.space.activity import has, meets, parent_names
from krigetuner.space.conditions import Parent
from krigetuner.space.parameter import HyperParameter

LARGEST = 2**53
STATES = 100_000
"""Beyond this many partial counts, counting is given up."""


def count_configurations(parameters: Sequence[HyperParameter]) -> int | None:
    """The number of different configurations; None when there is a continuum, or too many to count.

    Args:
        parameters: parents before children.
    """
    if any(p.count is None for p in parameters):
        return None
    total = 1
    for group in _independent(parameters):
        counted = _Counter(group).count()
        if counted is None:
            return None
        total *= counted
        if total > LARGEST:
            return None
    return total


def _independent(parameters: Sequence[HyperParameter]) -> list[list[HyperParameter]]:
    """Groups of parameters that share no name and no condition."""
    groups: list[tuple[set[str], list[HyperParameter]]] = []
    for p in parameters:
        names = {p.name, *parent_names(p)}
        joined = [g for g in groups if g[0] & names]
        groups = [g for g in groups if not g[0] & names]
        groups.append((names.union(*(g[0] for g in joined)), [q for g in joined for q in g[1]] + [p]))
    position = {id(p): i for i, p in enumerate(parameters)}
    return [sorted(g[1], key=lambda p: position[id(p)]) for g in groups]


class _Counter:
    """Counts a group: values of a parent that no condition tells apart are counted together."""

    def __init__(self, group: Sequence[HyperParameter]) -> None:
        self._group = group
        self._wanted: dict[str, list[Any]] = {}
        self._last_use: dict[str, int] = {p.name: i for i, p in enumerate(group)}
        for i, p in enumerate(group):
            for condition in p.conditions:
                if isinstance(condition, Parent):
                    self._wanted.setdefault(condition.name, []).extend(condition.values)
                    self._last_use[condition.name] = max(i, self._last_use.get(condition.name, 0))
        self._memo: dict[tuple[int, frozenset[tuple[str, Any]]], int] = {}

    def count(self) -> int | None:
        """The number of configurations, None when there are too many states."""
        try:
            return self._from(0, {})
        except OverflowError:
            return None

    def _from(self, index: int, chosen: Mapping[str, Any]) -> int:
        if index == len(self._group):
            return 1
        live = {name: value for name, value in chosen.items() if self._last_use[name] >= index}
        state = (index, frozenset(live.items()))
        if state not in self._memo:
            if len(self._memo) >= STATES:
                raise OverflowError
            self._memo[state] = self._branches(index, live)
        return self._memo[state]

    def _branches(self, index: int, chosen: dict[str, Any]) -> int:
        p = self._group[index]
        if p.name in chosen or not meets(p, chosen):
            return self._from(index + 1, chosen)
        count = p.count or 1
        told = {v for v in self._wanted.get(p.name, ()) if has(p, v)}
        total = sum(self._from(index + 1, {**chosen, p.name: v}) for v in told)
        if count > len(told):
            # "no value": an object that equals no condition's value stands for all the others.
            total += (count - len(told)) * self._from(index + 1, {**chosen, p.name: _OTHER})
        return total


class _Other:
    """Equals nothing but itself."""


_OTHER = _Other()
