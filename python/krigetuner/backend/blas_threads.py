"""One thread for numpy's and scipy's matrix libraries while they compute for us.

Waking a second thread costs more than most of our matrices do, and beside a training process, or on a busy machine, a
thousand times more; the native core keeps to one thread by default for the same reason.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _Libraries:
    """The BLAS libraries of this process, held to one thread while anybody is inside."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.found: list[Any] | None = None
        self.held: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self.lock:
            if self.found is None:
                self.found = _find()
            if self.inside == 0:
                before = [(library, library.get_num_threads()) for library in self.found]
                for library, _ in before:
                    library.set_num_threads(1)
                # a library that another thread of the process has set through threadpoolctl obeys only that thread
                self.held = [(library, count) for library, count in before if library.get_num_threads() == 1]
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                for library, count in self.held:
                    _release(library)
                    library.set_num_threads(count)
                    _release(library)


def _release(library: Any) -> None:
    """Lets any thread set the library again; the last thread out need not be the first one in."""
    clear = getattr(library, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)


_libraries = _Libraries()


def _find() -> list[Any]:
    # loaded first, so that its BLAS is seen
    import scipy.linalg.blas  # noqa: F401

    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        # where packages were installed one by one it may be missing; nothing that is computed depends on it
        return []
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def single_threaded(function: Callable[P, R]) -> Callable[P, R]:
    """The function, run with one BLAS thread; the setting of before is restored when the last call has ended."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with _libraries:
            return function(*args, **kwargs)

    return run
