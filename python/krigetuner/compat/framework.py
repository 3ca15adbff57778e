"""Names of `keras_tuner.backend`, for code that takes Keras from there: `keras`, `config`, `ops`, `random`."""

from __future__ import annotations

from typing import Any

from krigetuner.compat import framework_config as config

__all__ = ["config"]

__path__: list[str] = []  # `keras_tuner.backend.keras` is imported as a module, too


def __getattr__(name: str) -> Any:
    """`keras` is Keras, and everything else what Keras has under that name."""
    from krigetuner.adapters.keras import keras_module

    keras = keras_module()
    return keras if name == "keras" else getattr(keras, name)
