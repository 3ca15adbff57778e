"""Ready hypermodels, with KerasTuner's names."""

from __future__ import annotations

from typing import Any

from krigetuner.tuners import applications as _ready

__all__ = ["HyperEfficientNet", "HyperImageAugment", "HyperResNet", "HyperXception"]


def __getattr__(name: str) -> Any:
    """Imports a hypermodel when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_ready, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
