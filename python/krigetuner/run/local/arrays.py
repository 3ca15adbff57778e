"""How numpy arrays travel: their memory goes beside the pickle, and maps of files by the file's name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SMALL = 2**16
"""Bytes up to which an array that is not contiguous stays in the pickle."""


def reduced_array(array: Array) -> Any:
    """How an array is pickled: one that is not contiguous as a copy that is, so that its memory can go beside."""
    import numpy as np

    flags = array.flags
    if flags.c_contiguous or flags.f_contiguous or array.nbytes <= SMALL or array.dtype.hasobject:
        return array.__reduce_ex__(5)
    return _same, (np.ascontiguousarray(array),)


def reduced_map(array: np.memmap[Any, Any]) -> Any:
    """How a memory-mapped array is pickled: by name, place and shape where its file says the same as its memory."""
    import numpy as np

    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    name = getattr(root, "filename", None)
    contiguous = array.flags.c_contiguous or array.flags.f_contiguous
    if name is None or not contiguous or root.mode == "c" or array.dtype.hasobject or not Path(name).is_file():
        return reduced_array(array.view(np.ndarray))
    if root.mode != "r":
        root.flush()
    offset = root.offset + array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    order = "C" if array.flags.c_contiguous else "F"
    return opened_map, (os.path.abspath(name), array.dtype, offset, array.shape, order)  # noqa: PTH100


def opened_map(name: str, dtype: Any, offset: int, shape: tuple[int, ...], order: Any) -> Array:
    """An array over a part of a file; what is written to it stays in this process."""
    import numpy as np

    return np.memmap(name, dtype=dtype, mode="c", offset=offset, shape=shape, order=order)


def _same(array: Array) -> Array:
    """The array itself."""
    return array
