"""Small functions that code written for `keras_tuner.utils` imports."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from krigetuner.adapters.keras import keras_module

__all__ = [
    "create_directory",
    "deserialize_keras_object",
    "load_json",
    "save_json",
    "serialize_keras_object",
    "to_list",
    "try_clear",
]


def try_clear() -> None:
    """Clears the output of a notebook's cell; elsewhere it ends the line."""
    if "ipykernel" in sys.modules:
        from IPython.display import clear_output  # type: ignore[import-not-found]

        clear_output()
    else:
        sys.stdout.write("\n")


def create_directory(path: str | Path, remove_existing: bool = False) -> None:
    """Makes a directory, empty if `remove_existing`."""
    if remove_existing and Path(path).exists():
        shutil.rmtree(path)
    Path(path).mkdir(parents=True, exist_ok=True)


def serialize_keras_object(obj: Any) -> Any:
    """Keras' plain-data form of an object."""
    return keras_module().utils.serialize_keras_object(obj)


def deserialize_keras_object(config: Any, module_objects: Any = None, custom_objects: Any = None) -> Any:
    """The object that `serialize_keras_object` described.

    Args:
        config: what it gave.
        module_objects, custom_objects: classes and functions by name, that the description may speak of.
    """
    known = {**(module_objects or {}), **(custom_objects or {})}
    return keras_module().utils.deserialize_keras_object(config, custom_objects=known)


def to_list(values: Any) -> list[Any]:
    """A list as it is, a tuple as a list, anything else as a list of one."""
    if isinstance(values, list):
        return values
    return list(values) if isinstance(values, tuple) else [values]


def save_json(path: str | Path, obj: Any) -> str:
    """Writes plain data as JSON, and returns what was written."""
    text = json.dumps(obj)
    Path(path).write_text(text, encoding="utf-8")
    return text


def load_json(path: str | Path) -> Any:
    """What `save_json` wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
