"""Searches of several processes. Names of `keras_tuner.distribute`."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["utils"]


def __getattr__(name: str) -> Any:
    """Imports a module when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
