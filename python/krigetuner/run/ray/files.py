"""The shared values of a search on one node: each in one file, which the processes of all trials there map."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from krigetuner.store.artifacts import written_whole

PREFIX = "krigetuner-ray-"
IN_USE = "in-use"


class NodeFiles:
    """A directory that the workers of one search on one node have in common.

    It lives as long as one of them holds its lock, which the system lets go when a process dies, however it does. The
    last one removes it; what killed workers have left is removed by the next one that starts.

    Args:
        search: names the search.
    """

    def __init__(self, search: str) -> None:
        self._root = Path(tempfile.gettempdir())
        self.directory = self._root / f"{PREFIX}{os.getuid()}-{search}"
        self._handle = -1

    def open(self) -> None:
        """Makes the directory or joins those who have."""
        for stale in self._root.glob(f"{PREFIX}{os.getuid()}-*"):
            if stale != self.directory:
                _remove_unless_used(stale)
        while self._handle < 0:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = _locked(self.directory / IN_USE, fcntl.LOCK_SH)
            if _is_at(handle, self.directory / IN_USE):
                self._handle = handle
            else:  # the last one before removed it while this one waited
                os.close(handle)

    def file(self, key: str, fetch: Callable[[], Any]) -> str:
        """The name of the file with a shared value; its bytes are fetched when the node does not have it yet.

        Raises:
            OSError: it cannot be written.
        """
        path = self.directory / key
        with _held(self.directory / f"{key}.lock"):
            if not path.exists():
                with written_whole(path) as beside, beside.open("wb") as file:
                    file.write(memoryview(fetch()))
        return str(path)

    def close(self) -> None:
        """Lets go of the directory; the last one removes it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            _remove_unless_used(self.directory)


def _locked(path: Path, how: int) -> int:
    """An open handle of a file that is made when it is not there, with a lock on it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, how)
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Waits until nobody else is inside."""
    handle = _locked(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _remove_unless_used(directory: Path) -> None:
    """Removes a directory that nobody holds."""
    try:
        handle = _locked(directory / IN_USE, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):  # it is used, or gone
        return
    try:
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(handle)
