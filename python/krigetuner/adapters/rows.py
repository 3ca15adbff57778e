"""Rows of training data: arrays, frames, tensors and sparse matrices, alone or nested in lists, tuples and dicts.

n   rows (samples)      index   (k,) integers, the rows to take
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from krigetuner.errors import FatalValueError

Index = npt.NDArray[np.int64]


def parts(data: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The arrays in `data`, each with the name that messages call it by; None is no array."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from parts(value, f"{name}[{key!r}]")
    elif isinstance(data, list | tuple):
        for i, value in enumerate(data):
            yield from parts(value, f"{name}[{i}]")
    elif data is not None:
        yield name, data


def count_rows(named: Mapping[str, Any]) -> int:
    """How many rows the data have.

    Args:
        named: data by the name of their argument.

    Raises:
        FatalValueError: there are no rows, the numbers differ, or something has no rows that could be chosen.
    """
    counts = {name: _length(part, name) for top, data in named.items() for name, part in parts(data, top)}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{n} of {name}" for name, n in counts.items())
        raise FatalValueError(
            f"cv: expected as many rows in each array, got {found}; pass arrays whose rows belong together"
        )
    n = next(iter(counts.values()), 0)
    if not n:
        raise FatalValueError(
            f"cv: expected rows in {' and '.join(named)}, got none; pass at least one row for each fold"
        )
    return n


def _length(part: Any, name: str) -> int:
    shape = getattr(part, "shape", None)
    if shape is None or not hasattr(part, "__getitem__"):
        kind = type(part)
        raise FatalValueError(
            f"cv: expected {name} to be an array, a frame, a tensor, or a list, tuple or dict of those, got "
            f"{kind.__module__}.{kind.__qualname__}, whose rows cannot be chosen; make arrays of it (np.asarray), or "
            "leave cv out and give search() validation_data"
        )
    if not len(shape):
        raise FatalValueError(f"cv: expected rows in {name}, got a single value; pass one entry for each row")
    return int(shape[0])


def take_rows(data: Any, index: Index) -> Any:
    """The same structure with the rows of `index` only, in that order."""
    if isinstance(data, Mapping):
        return {key: take_rows(value, index) for key, value in data.items()}
    if isinstance(data, list | tuple):
        taken = [take_rows(value, index) for value in data]
        if isinstance(data, list):
            return taken
        return type(data)(*taken) if hasattr(data, "_fields") else tuple(taken)
    if data is None:
        return None
    if hasattr(data, "iloc"):
        return data.iloc[index]
    origin = type(data).__module__
    if origin.startswith("tensorflow."):
        import tensorflow as tf

        return tf.gather(data, index)
    if origin.startswith("scipy.sparse"):
        data = data.tocsr()  # the other formats have no rows to choose
    return data[index]


def labels(y: Any) -> Any:
    """What a splitter that keeps the classes in proportion needs: (n,) labels.

    Args:
        y: targets; columns of zeros and a single one per row are taken for one-hot classes.

    Returns:
        A numpy array, (n, columns) when the targets are no classes; None for several outputs.
    """
    found = list(parts(y, "y"))
    if len(found) != 1:
        return None
    array = _numpy(found[0][1])
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim == 2 and np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all():
        return array.argmax(axis=1)
    return array


def _numpy(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "to_numpy"):
        return array.to_numpy()
    if hasattr(array, "toarray"):
        return array.toarray()
    if hasattr(array, "detach"):  # torch refuses what needs a gradient or lies on a GPU
        array = array.detach().cpu()
    return np.asarray(array)
