"""What is large and the same for every job of a search: it goes to each worker process once, not with each job."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar
from uuid import uuid4

T = TypeVar("T")
Reduced = tuple[Callable[..., Any], tuple[Any, ...]]
"""What `__reduce__` returns: a function, and the arguments with which it makes the object again."""


class Shared(Generic[T]):
    """Holds a value that many jobs need, such as a tuner with its data.

    A job keeps it as an attribute and reads `value` when it runs. In the process that made it, that is the object
    itself; in another process it is a copy, the same one for every job there. What the owner changes after the first
    job was submitted is not seen elsewhere.

    Args:
        value: the value.
        key: identifies it among all processes; a new one for None.
    """

    __slots__ = ("__weakref__", "key", "value")

    def __init__(self, value: T, key: str | None = None) -> None:
        self.value = value
        self.key = key or uuid4().hex

    def __repr__(self) -> str:
        return f"Shared({self.value!r})"

    def __reduce__(self) -> Reduced:
        place = _place.get()
        return (Shared, (self.value, self.key)) if place is None else place(self)


_held: dict[str, Shared[Any]] = {}


def hold(shared: Mapping[str, Shared[Any]]) -> None:
    """Keeps these values, and no others, for the jobs that come to this process."""
    _held.clear()
    _held.update(shared)


def held(key: str) -> Shared[Any]:
    """The value of that key, which was sent to this process before the job that needs it."""
    return _held[key]


_place: ContextVar[Callable[[Shared[Any]], Reduced] | None] = ContextVar("krigetuner_shared_place", default=None)


@contextmanager
def placed(place: Callable[[Shared[Any]], Reduced] | None) -> Iterator[None]:
    """While entered, `place` says how a `Shared` is pickled; without it, or for None, it is pickled with its value."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)
