"""Finding the search space by building: until every conditional scope has been seen open."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from krigetuner.errors import KrigeTunerWarning
from krigetuner.space.conditions import Parent
from krigetuner.space.recorder import HyperParameters

MOST_BUILDS = 1000


def discover(hypermodel: Any, oracle: Any) -> None:
    """Declares and builds until the oracle's space holds every hyperparameter that conditions can bring up.

    Each build opens one scope that no build has seen open. A scope that stays closed with its parents set (a condition
    within a plain `if`) is given up.

    Args:
        hypermodel: has `declare_hyperparameters(hp)` and `build(hp)`.
        oracle: has `get_space()` and `update_space(hp)`.
    """
    hp = oracle.get_space()
    hypermodel.declare_hyperparameters(hp)
    oracle.update_space(hp)
    opened: set[str] = set()
    closed: dict[str, Sequence[Any]] = {}
    tried: set[str] = set()
    hp = oracle.get_space()
    for _ in range(MOST_BUILDS):
        hypermodel.build(hp)
        oracle.update_space(hp)
        opened |= {_key(scope) for scope in hp.active_scopes}
        closed.update({_key(scope): list(scope) for scope in hp.inactive_scopes})
        waiting = [key for key in closed if key not in opened and key not in tried]
        if not waiting:
            return
        tried.add(waiting[0])
        hp = _opening(oracle.get_space(), closed[waiting[0]])
    warnings.warn(
        f"hypermodel: after {MOST_BUILDS} builds some conditional scopes have not been seen open; what they hold is "
        "found while trials run",
        KrigeTunerWarning,
        stacklevel=4,
    )


def _opening(hp: HyperParameters, conditions: Sequence[Any]) -> HyperParameters:
    """Values that fulfil the conditions of one scope; all others are defaults, so that every run finds the same."""
    wanted = {condition.name: condition for condition in conditions}
    for parameter in reversed(hp.space):  # parents come first, and `parent_name` names the nearest one only
        if parameter.name in wanted:
            wanted = {c.name: c for c in parameter.conditions if isinstance(c, Parent)} | wanted
    hp.values.update((name, condition.values[0]) for name, condition in wanted.items())
    for parameter in hp.space:
        if hp.is_active(parameter):
            hp.values.setdefault(parameter.name, parameter.default)
    hp.ensure_active_values()
    return hp


def _key(scope: Sequence[Any]) -> str:
    """Identity of a stack of conditions."""
    return repr([(c.name, list(c.values)) for c in scope])
