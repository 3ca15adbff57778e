"""What is optimised: a metric with its direction, or several of them added up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from krigetuner.trial.directions import infer_metric_direction


class Objective:
    """A metric to minimise or to maximise.

    Args:
        name: its name in the logs, such as "val_accuracy".
        direction: "min" or "max"; None to tell it from the name.

    Raises:
        ValueError: another direction, or none and the name does not tell.
    """

    def __init__(self, name: str, direction: str | None = None) -> None:
        if direction is None:
            direction = infer_metric_direction(name)
            if direction is None:
                raise ValueError(
                    f'Could not infer optimization direction ("min" or "max") for unknown metric "{name}". '
                    f'objective: give the direction, for example `krigetuner.Objective("{name}", direction="min")`'
                )
        if direction not in ("min", "max"):
            raise ValueError(
                f'direction: expected "min" or "max" for the objective {name!r}, got {direction!r}; choose one'
            )
        self.name = name
        self.direction = direction

    def has_value(self, logs: Mapping[str, Any]) -> bool:
        """Whether the logs hold what is needed."""
        return self.name in logs

    def get_value(self, logs: Mapping[str, Any]) -> Any:
        """The objective's value in the logs.

        Raises:
            KeyError: the logs do not hold it.
        """
        return logs[self.name]

    def better_than(self, a: float, b: float) -> bool:
        """Whether value a is better than value b; never true of NaN."""
        return a > b if self.direction == "max" else a < b

    def loss(self, score: float) -> float:
        """The value turned to be minimised."""
        return -score if self.direction == "max" else score

    @property
    def worst(self) -> float:
        """The worst value: infinite in the bad direction."""
        return -math.inf if self.direction == "max" else math.inf

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objective) and (self.name, self.direction) == (other.name, other.direction)

    def __hash__(self) -> int:
        return hash((self.name, self.direction))

    def __str__(self) -> str:
        return f'Objective(name="{self.name}", direction="{self.direction}")'

    __repr__ = __str__


class DefaultObjective(Objective):
    """What is minimised when nothing was named: the single number that a run returns."""

    def __init__(self) -> None:
        super().__init__("default_objective", "min")


class MultiObjective(Objective):
    """Several objectives in one number to minimise: the sum of those to minimise less the sum of those to maximise.

    Args:
        objectives: at least one.

    Raises:
        ValueError: none.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        super().__init__("multi_objective", "min")
        if not objectives:
            raise ValueError("objective: expected at least one objective in the list, got an empty one; name a metric")
        self.objectives = list(objectives)
        self.name_to_direction = {o.name: o.direction for o in self.objectives}

    def has_value(self, logs: Mapping[str, Any]) -> bool:
        """Whether the logs hold every one of them."""
        return all(name in logs for name in self.name_to_direction)

    def get_value(self, logs: Mapping[str, Any]) -> Any:
        """The sum; a name that is listed twice counts once.

        Raises:
            KeyError: the logs lack one of them.
        """
        return sum(
            logs[name] if direction == "min" else -logs[name] for name, direction in self.name_to_direction.items()
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MultiObjective) and self.name_to_direction == other.name_to_direction

    def __hash__(self) -> int:
        return hash(frozenset(self.name_to_direction.items()))

    def __str__(self) -> str:
        return f"Multi{super().__str__()}: [{', '.join(map(str, self.objectives))}]"

    __repr__ = __str__


def create_objective(objective: Any) -> Objective:
    """The objective that a user's argument means.

    Args:
        objective: a name, whose direction is inferred; an `Objective`; a list of both; or None for the default.

    Raises:
        ValueError: a name that does not tell its direction, or an empty list.
        TypeError: something else.
    """
    if objective is None:
        return DefaultObjective()
    if isinstance(objective, list | tuple):
        return MultiObjective([create_objective(o) for o in objective])
    if isinstance(objective, Objective):
        return objective
    if not isinstance(objective, str):
        raise TypeError(
            f"`objective` not understood, expected str or `Objective` object, or a list of them, found: {objective!r}"
        )
    return Objective(objective)
