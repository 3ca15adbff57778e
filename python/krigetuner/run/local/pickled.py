"""User code and data on their way to another process: cloudpickle, and an error that names what cannot travel."""

from __future__ import annotations

import functools
import io
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable
from typing import Any

from krigetuner.run.local.arrays import reduced_array, reduced_map
from krigetuner.run.local.culprit import find_culprit

Take = Callable[[pickle.PickleBuffer], Any]
MADE_INSIDE = "build it inside the hypermodel's build() or fit(), or in run_trial(), where it is needed"


def pickled(value: Any, take: Take | None = None) -> bytes:
    """The value as bytes for `pickle.loads`; functions and classes of the script itself travel by value.

    Args:
        value: anything.
        take: is handed the memory of each array; `pickle.loads(..., buffers=...)` needs those for which it returned
            None, in that order. None leaves arrays in the bytes. Arrays that are maps of a file travel by its name.

    Raises:
        TypeError: something in it cannot be pickled; the message names the attribute.
    """
    stream = io.BytesIO()
    try:
        _dump(value, stream, take)
    except Exception as error:
        raise TypeError(_explanation(value, error)) from error
    return stream.getvalue()


def _dump(value: Any, stream: Any, take: Take | None) -> None:
    """Writes the pickle of a value to a stream."""
    # without numpy there are no arrays
    make = _pickler("numpy" in sys.modules and take is not None)
    make(stream, protocol=5, buffer_callback=take).dump(value)


@functools.cache
def _pickler(arrays: bool) -> Any:
    """The class that pickles; C code reads the table of a class only."""
    import cloudpickle

    if not arrays:
        return cloudpickle.Pickler
    import numpy

    table = {numpy.ndarray: reduced_array, numpy.memmap: reduced_map}
    return type(
        "Pickler", (cloudpickle.Pickler,), {"dispatch_table": ChainMap(table, cloudpickle.Pickler.dispatch_table)}
    )


class _Nowhere:
    """A stream that forgets."""

    def write(self, data: Any) -> int:
        """Takes bytes."""
        return len(data)


def _refusal(value: Any) -> Exception | None:
    """Why a value cannot be pickled; None when it can."""
    try:
        _dump(value, _Nowhere(), lambda buffer: None)
    except Exception as error:
        return error
    return None


def _explanation(value: Any, error: Exception) -> str:
    """The message: which part of the value, why, and what to do."""
    path, part = find_culprit(value, lambda part: _refusal(part) is not None)
    reason = _refusal(part) or error
    kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.")
    root = getattr(value, "__name__", "")
    where = (root + path if path.startswith(("[", " ")) else f"{root}.{path}".strip(".")) or "the trial"
    text = " ".join(str(reason).split())[:300]
    return (
        f"{where}: expected something that can be sent to a worker process, got an object of type {kind} "
        f"({type(reason).__name__}: {text}); {MADE_INSIDE}, {_instead(part)}, or search without workers"
    )


def _instead(part: Any) -> str:
    """What else to do: data that only the process that made it can read has another form."""
    streams = hasattr(part, "element_spec") or hasattr(part, "__next__")
    return "pass arrays or the name of a file" if streams else "give its class a __getstate__() that leaves it out"
