"""Files of trials at a URL, for machines that do not share a disk: read and written through fsspec."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from krigetuner.errors import MissingDependency, StoreError
from krigetuner.store.artifacts import MARK, safe_name, written_whole

TRIES = 3
"""How often a transfer is tried before it counts as failed."""

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci"})
"""Protocols whose files are whole or absent anyway, and where another name means a copy."""

PASSING = ".writing-"
"""Beginning of the names of what is being written."""


class RemoteFiles:
    """Directories of trials at a URL; each is a mirror of one on a disk.

    Files go there in the order in which they were written, and are whole once they have their names: what another one
    refers to is there before it.

    Args:
        url: of a directory, as fsspec knows them, such as "s3://bucket/search"; the protocol's package must be there.

    Raises:
        MissingDependency: fsspec, or the package of the protocol, is not installed.
        ValueError: fsspec does not know such a URL.
    """

    def __init__(self, url: str) -> None:
        if importlib.util.find_spec("fsspec") is None:
            raise MissingDependency("files: fsspec is not installed; pip install 'krigetuner[remote]'")
        try:
            files, root = importlib.import_module("fsspec.core").url_to_fs(url)
        except ImportError as error:
            raise MissingDependency(f"files: {url} needs a package that is not installed: {error}") from error
        except ValueError as error:
            raise ValueError(
                f'files: expected a URL that fsspec knows, such as "s3://bucket/search", got {url!r} ({error}); mend it'
            ) from error
        self.url = url
        self._files: Any = files
        self._root = PurePosixPath(root)
        protocols = files.protocol if isinstance(files.protocol, tuple | list) else (files.protocol,)
        self._whole_at_once = any(name in OBJECT_STORES for name in protocols)
        self._sent: dict[str, dict[str, tuple[int, int]]] = {}

    def check(self) -> None:
        """Writes a file and removes it.

        Raises:
            StoreError: that is not allowed, or not possible.
        """
        path = str(self._root / f"{PASSING}{uuid4().hex}")
        try:
            self._files.makedirs(str(self._root), exist_ok=True)
            self._files.pipe_file(path, b"krigetuner")
            self._files.rm_file(path)
        except Exception as error:  # each protocol has its own
            raise StoreError(
                f"files: expected a place that can be written, got {self.url} ({error!r}); correct it, or the "
                "credentials"
            ) from error

    def put(self, trial_id: str, directory: Path) -> None:
        """Makes a trial's files at the URL those of a directory, which may be absent; sends what has changed.

        Raises:
            StoreError: they could not be sent.
        """
        there = self._place(trial_id)
        found = {str(p.relative_to(directory)): p for p in directory.rglob("*") if p.is_file() and _counts(p)}
        marks = {name: mark for name, path in found.items() if (mark := _mark(path)) is not None}
        known = self._sent.get(trial_id)
        if known is None:
            known = dict.fromkeys(self._names(trial_id), (0, 0))
        for name in sorted(marks, key=lambda n: marks[n]):
            if known.get(name) != marks[name]:
                self._send(found[name], str(there / PurePosixPath(Path(name).as_posix())))
        for name in known.keys() - marks.keys():
            self._retry(self._files.rm_file, str(there / name))
        self._sent[trial_id] = marks

    def _send(self, path: Path, there: str) -> None:
        """One file, unless it was removed meanwhile."""
        beside = there if self._whole_at_once else f"{there}{PASSING}{uuid4().hex}"

        def send() -> None:
            try:
                self._files.makedirs(str(PurePosixPath(there).parent), exist_ok=True)
                self._files.put_file(str(path), beside)
            except FileNotFoundError:
                if path.exists():
                    raise
                return
            if beside != there:
                self._files.mv(beside, there)

        self._retry(send)

    def get(self, trial_id: str, directory: Path) -> None:
        """Writes a trial's files into a directory; others that are there stay.

        Raises:
            StoreError: they could not be fetched, or not written.
        """
        there = self._place(trial_id)
        for name in self._names(trial_id):
            with written_whole(directory / name) as beside:
                self._retry(self._files.get_file, str(there / name), str(beside))

    def _place(self, trial_id: str) -> PurePosixPath:
        return self._root / f"trial_{safe_name(trial_id)}"

    def _names(self, trial_id: str) -> list[str]:
        """The names of a trial's files, relative to its directory."""
        there = self._place(trial_id)

        def names() -> list[str]:
            self._files.invalidate_cache()
            return sorted(self._files.find(str(there))) if self._files.exists(str(there)) else []

        found = [str(PurePosixPath(name).relative_to(there)) for name in self._retry(names)]
        return [name for name in found if PASSING not in name and ".." not in PurePosixPath(name).parts]

    def _retry(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Tries a transfer several times."""
        for attempt in range(TRIES):
            try:
                return act(*arguments)
            except Exception as error:  # each protocol has its own
                if attempt + 1 == TRIES:
                    raise StoreError(
                        f"files: expected that {self.url} can be read and written, got {error!r} in {TRIES} attempts; "
                        "look at the network, the credentials and the quota"
                    ) from error
                time.sleep(2.0**attempt / 2)
        return None


def _counts(path: Path) -> bool:
    """Whether a file is one of the trial's, and whole."""
    return path.name != MARK and not any(part.startswith(PASSING) for part in path.parts)


def _mark(path: Path) -> tuple[int, int] | None:
    """When a file was written, and its size; None when it was removed meanwhile."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_size
