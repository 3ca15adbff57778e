"""How many configurations a space with conditions has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from krigetuner.space.activity import has, meets, parent_names
from krigetuner.space.conditions import Parent
from krigetuner.space.parameter import HyperParameter

LARGEST = 2**53
STATES = 4096
"""With more combinations to keep apart, counting is given up."""


def count_configurations(parameters: Sequence[HyperParameter]) -> int | None:
    """The number of different configurations; None when a continuum can be active, or when there are too many to count.

    Args:
        parameters: parents before children.
    """
    if any(p.count is None and not p.conditions for p in parameters):
        return None
    total = 1
    for group in _independent(parameters):
        counted = _count(group)
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


def _count(group: Sequence[HyperParameter]) -> int | None:
    """The number of configurations of a group; None for a continuum, or when there are too many partial ones.

    It goes through the parameters once and keeps, for every combination of the values that later conditions can tell
    apart, in how many ways it comes about.
    """
    wanted, last_use = _uses(group)
    ways: dict[_State, int] = {frozenset(): 1}
    for index, p in enumerate(group):
        told = {v for v in wanted.get(p.name, ()) if has(p, v)}
        branches: list[tuple[Any, int]] = [(v, 1) for v in told]
        if p.count is not None and p.count > len(told):
            branches.append((_OTHER, p.count - len(told)))
        after: defaultdict[_State, int] = defaultdict(int)
        for state, count in ways.items():
            chosen = dict(state)
            free = p.name not in chosen and meets(p, chosen)
            if free and p.count is None:
                return None
            for value, many in branches if free else [(None, 1)]:
                made = {**chosen, p.name: value} if free else chosen
                after[frozenset((n, v) for n, v in made.items() if last_use[n] > index)] += count * many
        if len(after) > STATES:
            return None
        ways = after
    return sum(ways.values())


def _uses(group: Sequence[HyperParameter]) -> tuple[dict[str, list[Any]], dict[str, int]]:
    """Which values of a name conditions ask for, and the index of the last parameter that looks at the name."""
    wanted: dict[str, list[Any]] = {}
    last_use = {p.name: i for i, p in enumerate(group)}
    for i, p in enumerate(group):
        for condition in p.conditions:
            if isinstance(condition, Parent):
                wanted.setdefault(condition.name, []).extend(condition.values)
                last_use[condition.name] = max(i, last_use.get(condition.name, 0))
    return wanted, last_use


class _Other:
    """A value that equals none of those that conditions ask for, and stands for all of them."""


_OTHER = _Other()
_State = frozenset[tuple[str, Any]]
