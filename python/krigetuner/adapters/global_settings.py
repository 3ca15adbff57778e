"""Settings that hold for a whole process: a worker process does not run the script that made them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

KERAS = {"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last", "dtype_policy": "float32"}
SKLEARN = {
    "assume_finite": False,
    "working_memory": 1024,
    "pairwise_dist_chunk_size": 256,
    "enable_cython_pairwise_dist": True,
    "array_api_dispatch": False,
    "transform_output": "default",
    "enable_metadata_routing": False,
    "skip_parameter_validation": False,
}
BACKEND = "KERAS_BACKEND"
FIRST: list[Callable[[], Any]] = []
"""Functions of modules that worker processes call before anything else, because this process has called them."""


class GlobalSettings:
    """What a script has set in Keras and scikit-learn, other than their defaults; unpickling it sets it there too.

    It has to be unpickled before anything that imports Keras, whose backend is chosen then.

    Args:
        keras, sklearn: values by name; empty where nothing was set, and the framework is not imported then.
        backend: of Keras; None where Keras is not loaded.
        first: functions to call before.
    """

    def __init__(
        self,
        keras: Mapping[str, Any],
        sklearn: Mapping[str, Any],
        backend: str | None = None,
        first: Sequence[Callable[[], Any]] = (),
    ) -> None:
        self.keras = dict(keras)
        self.sklearn = dict(sklearn)
        self.backend = backend
        self.first = tuple(first)

    @classmethod
    def present(cls) -> GlobalSettings:
        """Those of this process."""
        keras, sklearn = sys.modules.get("keras"), sys.modules.get("sklearn")
        config: Any = getattr(keras, "config", None)
        if not hasattr(config, "dtype_policy"):  # Keras 2, or none
            return cls({}, _others(sklearn), None, FIRST)
        found = {name: getattr(config, name)() for name in KERAS}
        found["dtype_policy"] = found["dtype_policy"].name
        expected = {**KERAS, "dtype_policy": found["floatx"]}
        return cls({n: v for n, v in found.items() if v != expected[n]}, _others(sklearn), config.backend(), FIRST)

    def restore(self) -> None:
        """Sets them in this process."""
        for call in self.first:
            call()
        if self.backend is not None and "keras" not in sys.modules:
            os.environ[BACKEND] = self.backend
        if self.keras:
            import keras

            for name, value in self.keras.items():
                getattr(keras.config, f"set_{name}")(value)
        if self.sklearn:
            import sklearn

            sklearn.set_config(**self.sklearn)

    def __reduce__(self) -> Any:
        return _restored, (self.keras, self.sklearn, self.backend, self.first)


def _others(sklearn: Any) -> dict[str, Any]:
    """The settings of scikit-learn that are not its defaults."""
    if not hasattr(sklearn, "get_config"):
        return {}
    return {name: value for name, value in sklearn.get_config().items() if value != SKLEARN.get(name, value)}


def _restored(*settings: Any) -> GlobalSettings:
    made = GlobalSettings(*settings)
    made.restore()
    return made
