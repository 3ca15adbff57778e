"""What travels to Ray's nodes: packed jobs, and shared values through the object store, each put there once.

All of it is unpacked by the process that runs the job alone: neither an actor nor the object store loads a framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from krigetuner.run.local.parcels import Package, Parcel, package, packed
from krigetuner.run.messages import Job
from krigetuner.run.ray.cluster import loaded
from krigetuner.run.shared import Shared


@dataclass(frozen=True)
class Stored:
    """A shared value in the object store.

    Attributes:
        sizes: as in `Parcel`.
        reference: to its content, an array of bytes.
    """

    sizes: tuple[int, ...]
    reference: Any


@dataclass(frozen=True)
class Cargo:
    """A job's work on its way to a worker.

    Attributes:
        order: counts the jobs of an executor, so that a worker which is asked twice runs it once.
        run: the packed work.
        shared: where is what it shares with others.
        fetched: trials whose files it needs, where they are at a URL.
    """

    order: int
    run: Parcel
    shared: Mapping[str, Stored]
    fetched: tuple[str, ...] = ()


class Depot:
    """The conductor's side: it puts shared values into the object store when a job first needs them."""

    def __init__(self) -> None:
        self._stored: dict[str, Stored] = {}
        self._orders = 0

    def cargo(self, job: Job, fetched: tuple[str, ...] = ()) -> Cargo:
        """The work of a job.

        Raises:
            TypeError: something in it cannot be pickled; the message names the attribute.
            RuntimeError: there is no room for it.
        """
        work: Package = package(job)
        shared = {key: self._kept(key, value) for key, value in work.shared.items()}
        self._orders += 1
        return Cargo(self._orders, Parcel(work.run.sizes, _content(work.run).tobytes()), shared, fetched)

    def _kept(self, key: str, value: Parcel | Shared[Any]) -> Stored:
        """A shared value, put into the object store when it is not there."""
        if key not in self._stored:
            parcel = packed(value.value) if isinstance(value, Shared) else value
            self._stored[key] = Stored(parcel.sizes, loaded().put(_content(parcel)))
        return self._stored[key]

    def clear(self) -> None:
        """Lets go of everything; the object store frees it."""
        self._stored.clear()


def _content(parcel: Parcel) -> Any:
    """The bytes of a parcel as an array."""
    import numpy as np

    if isinstance(parcel.content, bytes):
        return np.frombuffer(parcel.content, np.uint8)
    descriptor = parcel.descriptor()
    if descriptor is None:
        return np.empty(0, np.uint8)
    with open(descriptor.number, "rb", closefd=False) as file:
        return np.memmap(file, np.uint8, "r").view(np.ndarray)
