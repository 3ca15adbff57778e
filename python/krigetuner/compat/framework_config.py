"""Names of `keras_tuner.backend.config`: which backend Keras computes with."""

from __future__ import annotations

from krigetuner.adapters.keras import keras_module

__all__ = ["backend", "multi_backend"]


def backend() -> str:
    """The name of Keras' backend: "tensorflow", "jax" or "torch"."""
    return str(keras_module().backend.backend())


def multi_backend() -> bool:
    """True: Keras 3 has several backends, and no other Keras is used."""
    return True
