"""What a cross-validated trial returns: the metrics' means as a dict, with the metrics of each fold beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from krigetuner.run.plain import scalar
from krigetuner.run.policy import mean


class FoldMeans(dict[str, float]):
    """Means over folds by metric, as KerasTuner's scikit-learn tuner returns them; each fold becomes an execution.

    Args:
        folds: the metrics of each fold; those that are not single numbers have no mean.

    Attributes:
        folds: the same.
    """

    def __init__(self, folds: Iterable[Mapping[str, Any]]) -> None:
        self.folds: Sequence[Mapping[str, Any]] = tuple(folds)
        columns: dict[str, list[float]] = {}
        for fold in self.folds:
            for name, value in numbers(fold).items():
                columns.setdefault(name, []).append(value)
        super().__init__({name: mean(column) for name, column in columns.items()})
        self._made = dict(self)

    def untouched(self) -> bool:
        """Whether the means are still those of the folds: code that changed the dict wants its own values to count."""
        return dict(self) == self._made


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are single numbers."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            number = scalar(value)
        except (TypeError, ValueError):
            continue  # refused with the trial's result, where it matters
        if number is not None:
            found[str(name)] = number
    return found
