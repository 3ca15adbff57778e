"""Files of trials: directories inside the project directory, and files that are either whole or absent."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from krigetuner.errors import StoreError

DATABASE = "study.sqlite"
"""Name of the default database in a project directory."""

_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$")


def safe_name(name: str) -> str:
    """The name itself, when it can name one file and nothing outside its directory, on every system.

    Raises:
        ValueError: it is empty, too long, has a separator, or leads elsewhere.
    """
    bad = not name or len(name) > 200 or name != name.strip() or name.strip(".") == "" or _RESERVED.match(name)
    if bad or any(c in '/\\:*?"<>|' or ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in name):
        raise ValueError(
            "name: expected one that can be a file's name (no separators, no '..', at most 200 characters), "
            f"got {name!r}; choose another"
        )
    return name


def trial_directory(project: str | Path, trial_id: str, create: bool = False) -> Path:
    """The directory of a trial's files, `trial_<id>`, as in KerasTuner.

    Raises:
        ValueError: the id leads out of the project directory.
        StoreError: it cannot be made.
    """
    path = Path(project) / f"trial_{safe_name(trial_id)}"
    if create:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"directory: expected one that can be written, got {path} ({error.strerror}); "
                "choose another directory or free it"
            ) from error
    return path


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; renamed to `path` at the end, removed when an exception leaves the block.

    The temporary name keeps the endings of `path`, since some writers choose their format by it.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=final.parent))
    try:
        beside = folder / final.name
        yield beside
        os.replace(beside, final)  # noqa: PTH105 - atomic where the file system can
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(directory: str | Path) -> None:
    """Removes what a killed process left half written in a trial's directory."""
    for path in Path(directory).glob(".writing-*"):
        shutil.rmtree(path, ignore_errors=True)


def remove_study_files(project: str | Path, trial_ids: Iterable[str]) -> None:
    """Removes our own files from a project directory: the database and these trials' directories; nothing else.

    Raises:
        StoreError: something could not be removed.
    """
    root = Path(project)
    try:
        for trial_id in trial_ids:
            path = trial_directory(root, trial_id)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
        for suffix in ("-shm", "-wal", "-journal", ""):
            (root / (DATABASE + suffix)).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"overwrite: expected to remove the recorded search in {root}, got {error.strerror} ({error.filename}); "
            "remove it by hand or choose another project_name"
        ) from error
