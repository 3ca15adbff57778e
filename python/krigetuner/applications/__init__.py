"""Ready hypermodels, with KerasTuner's names."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["HyperEfficientNet", "HyperImageAugment", "HyperResNet", "HyperXception"]

_MODULES = {
    "HyperEfficientNet": "efficientnet",
    "HyperImageAugment": "image_augment",
    "HyperResNet": "resnet",
    "HyperXception": "xception",
}


def __getattr__(name: str) -> Any:
    """Imports a hypermodel when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"krigetuner.tuners.applications.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
