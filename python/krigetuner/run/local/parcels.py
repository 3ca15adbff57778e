"""Values packed for another process: a pickle, and behind it the memory of arrays, which is mapped and not copied."""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from krigetuner.run.local.pickled import pickled
from krigetuner.run.messages import Job
from krigetuner.run.shared import Reduced, Shared, held, placed

SMALL = 4096
"""Bytes up to which an array stays in the pickle."""

INLINE = 2**15
"""Bytes up to which a parcel stays in memory and goes through the channel."""

ALIGNMENT = 64


class Descriptor:
    """An open file, closed when nobody holds this any more.

    Args:
        number: of the file.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        weakref.finalize(self, os.close, number)


@dataclass(frozen=True)
class Parcel:
    """A packed value.

    Attributes:
        sizes: bytes of the pickle and of each array's memory; each begins at a multiple of 64.
        content: all of it: bytes, or the name of a file, or an open file that has no name any more.
    """

    sizes: tuple[int, ...]
    content: bytes | str | Descriptor

    def descriptor(self) -> Descriptor | None:
        """The open file that holds it; None where the bytes are here."""
        if isinstance(self.content, str):
            return Descriptor(os.open(self.content, os.O_RDONLY))
        return self.content if isinstance(self.content, Descriptor) else None


@dataclass(frozen=True)
class Package:
    """A job's work, packed; as `Job.run` it is sent on as it is.

    Attributes:
        run: the callable.
        shared: what it needs beside, by key.
    """

    run: Parcel
    shared: dict[str, Parcel | Shared[Any]]

    def __call__(self, context: Any) -> Any:
        """A job needs its `run` to be callable; a package must be unpacked first."""
        raise TypeError("job: expected its work, got a package; submit it to an executor of other processes")


def packed(value: Any) -> Parcel:
    """Packs a value; what is large goes to a file without a name in the temporary directory.

    Raises:
        TypeError: something in it cannot be pickled; the message names the attribute.
        RuntimeError: the file could not be written.
    """
    arrays: list[memoryview] = []

    def take(buffer: pickle.PickleBuffer) -> bool:
        memory = buffer.raw()
        if memory.nbytes > SMALL:
            arrays.append(memory)
        return memory.nbytes <= SMALL

    stream = pickled(value, take)
    parts = [memoryview(stream), *arrays]
    sizes = tuple(p.nbytes for p in parts)
    if _length(sizes) <= INLINE:
        return Parcel(sizes, b"".join(bytes(p) + bytes(-p.nbytes % ALIGNMENT) for p in parts))
    return Parcel(sizes, _written(parts))


def package(job: Job) -> Package:
    """Packs the work of a job; the values that it shares with others are named, not packed.

    Raises:
        TypeError: something in it cannot be pickled; the message names the attribute.
        RuntimeError: a file could not be written.
    """
    if isinstance(job.run, Package):
        return job.run
    found: dict[str, Parcel | Shared[Any]] = {}

    def place(shared: Shared[Any]) -> Reduced:
        found[shared.key] = shared
        return held, (shared.key,)

    with placed(place):
        run = packed(job.run)
    return Package(run, found)


def unpacked(sizes: Sequence[int], content: bytes | int) -> Any:
    """The value of a parcel.

    Args:
        sizes: as in `Parcel`.
        content: the bytes, or an open file, which is mapped: what is written to its arrays stays in this process.
    """
    length = _length(sizes)
    memory: Any = (
        bytearray(content) if isinstance(content, bytes) else mmap.mmap(content, length, access=mmap.ACCESS_COPY)
    )
    view, parts, start = memoryview(memory), [], 0
    for size in sizes:
        parts.append(view[start : start + size])
        start += size + -size % ALIGNMENT
    return pickle.loads(parts[0], buffers=parts[1:])


def _length(sizes: Sequence[int]) -> int:
    return sum(size + -size % ALIGNMENT for size in sizes)


def _written(parts: Sequence[memoryview]) -> Descriptor:
    """The parts in a file that vanishes with the last process that has it open."""
    try:
        with tempfile.TemporaryFile(prefix="krigetuner-") as file:
            for part in parts:
                file.write(part)
                file.write(bytes(-part.nbytes % ALIGNMENT))
            file.flush()
            return Descriptor(os.dup(file.fileno()))
    except OSError as error:
        size = _length([p.nbytes for p in parts])
        raise RuntimeError(
            f"TMPDIR: expected room for {size / 2**20:,.0f} MB that the workers share, got {error.strerror or error} "
            f"in {tempfile.gettempdir()}; set TMPDIR to a directory with more room"
        ) from error
