"""Names of `keras_tuner.api_export`, for packages that extend KerasTuner in its own manner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Exported = TypeVar("Exported")

__all__ = ["keras_tuner_export"]


def keras_tuner_export(path: str | Sequence[str]) -> Callable[[Exported], Exported]:
    """A decorator that leaves what it decorates as it is; `path` only matters to those who build KerasTuner."""
    return lambda exported: exported
