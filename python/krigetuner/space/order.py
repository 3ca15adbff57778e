"""The order in which a grid search visits the values of a parameter, and the configurations of a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from krigetuner.space.activity import meets
from krigetuner.space.conditions import Value
from krigetuner.space.parameter import HyperParameter


def following(parameter: HyperParameter, value: Any, everything: bool = False) -> Any | None:
    """The value that a grid visits after `value`: the default comes first, the others follow in the order of `.values`.

    Args:
        everything: whether values count that a grid passes over: integers between quantiles.

    Returns:
        None after the last one.

    Raises:
        ValueError: a grid never visits `value`.
    """
    default = parameter.default
    visited = parameter.listed if everything else parameter.values
    if value == default:
        position = 0
    else:
        try:
            position = visited.index(value) + 1
        except ValueError:
            raise ValueError(f"{parameter.name}: expected a value that a grid visits, got {value!r}") from None
    try:
        return visited[position + 1] if visited[position] == default else visited[position]
    except IndexError:
        return None


def successor(
    parameters: Sequence[HyperParameter], values: Mapping[str, Any], everything: bool = False
) -> dict[str, Value] | None:
    """The configuration after `values`; see `Space.successor`. Parameters come parents first."""
    active: list[HyperParameter] = []
    seen: dict[str, Any] = {}
    for p in parameters:
        if p.name not in seen and meets(p, seen):
            seen[p.name] = values.get(p.name, p.default)
            active.append(p)
    for place in range(len(active) - 1, -1, -1):
        bumped = following(active[place], seen[active[place].name], everything)
        if bumped is not None:
            kept = {p.name: seen[p.name] for p in active[:place]}
            kept[active[place].name] = bumped
            return _filled(parameters, kept)
    return None


def _filled(parameters: Sequence[HyperParameter], kept: Mapping[str, Any]) -> dict[str, Value]:
    """The kept values, and defaults for all else that is active with them."""
    full: dict[str, Value] = {}
    for p in parameters:
        if p.name not in full and meets(p, full):
            full[p.name] = kept.get(p.name, p.default)
    return full
