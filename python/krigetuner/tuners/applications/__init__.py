"""Ready-made hypermodels for images, with KerasTuner's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from krigetuner.tuners.applications.efficientnet import HyperEfficientNet
    from krigetuner.tuners.applications.image_augment import HyperImageAugment
    from krigetuner.tuners.applications.resnet import HyperResNet
    from krigetuner.tuners.applications.xception import HyperXception

__all__ = ["HyperEfficientNet", "HyperImageAugment", "HyperResNet", "HyperXception"]

_MODULES = {
    "HyperEfficientNet": "efficientnet",
    "HyperImageAugment": "image_augment",
    "HyperResNet": "resnet",
    "HyperXception": "xception",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
