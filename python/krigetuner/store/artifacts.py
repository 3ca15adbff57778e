"""Files of trials: directories inside the project directory, and files that are either whole or absent."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from krigetuner.errors import FatalRuntimeError, KrigeTunerWarning, StoreError

DATABASE = "study.sqlite"
"""Name of the default database in a project directory."""

MARK = ".krigetuner"
"""Name of the empty file that says that a trial's directory was made by us."""

_PLAIN = re.compile(r"[0-9]+|trial_[0-9]+")
"""Most names: nothing in them has to be looked at twice."""

ROOT = "KRIGETUNER_ROOT"
"""Environment variable: where a process that runs trials keeps what belongs below "/", its disk not being shared."""

FULL = tuple({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""What the system answers where there is no room."""

_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$")


def safe_name(name: str) -> str:
    """The name itself, when it can name one file and nothing outside its directory, on every system.

    Raises:
        ValueError: it is empty, too long, has a separator, or leads elsewhere.
    """
    if len(name) <= 200 and _PLAIN.fullmatch(name):
        return name
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
            if not path.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                (path / MARK).touch()
        except OSError as error:
            raise StoreError(
                f"directory: expected one that can be written, got {path} ({error.strerror}); "
                "choose another directory or free it"
            ) from error
    return path


def rooted(path: str | Path, root: str | None = None) -> Path:
    """An absolute path as this machine has it: below `root`, or else below what KRIGETUNER_ROOT says, or itself."""
    place = Path(path)
    below = root or os.environ.get(ROOT)
    return place if not below or place.is_relative_to(below) else Path(below, *place.parts[1:])


@contextmanager
def written_whole(path: str | Path, optional: bool = False) -> Iterator[Path]:
    """Gives a path beside `path` to write to; renamed to `path` at the end, removed when an exception leaves the block.

    The temporary name keeps the endings of `path`, since some writers choose their format by it. `optional` allows that
    nothing is written there.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=final.parent))
    try:
        beside = folder / final.name
        yield beside
        if beside.exists() or not optional:
            os.replace(beside, final)  # noqa: PTH105 - atomic where the file system can
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def kept_whole(path: str | Path, optional: bool = False) -> Iterator[Path]:
    """`written_whole` for what a trial keeps. A full disk is not its fault, nor would the next one fare better.

    Raises:
        FatalRuntimeError: the disk or a quota is full; the search ends, and the trial will be run again.
    """
    try:
        with written_whole(path, optional) as beside:
            yield beside
    except Exception as error:  # HDF5 raises RuntimeError where it closes a file
        full = getattr(error, "errno", None) in FULL or any(os.strerror(number) in str(error) for number in FULL)
        if not full:
            raise
        raise FatalRuntimeError(
            f"{path}: expected room for a file of a trial, got a full disk or quota ({error}); free some space and run "
            "the same script again: this trial runs again, and everything recorded before is there"
        ) from error


@contextmanager
def directory_written_whole(path: str | Path) -> Iterator[Path]:
    """Gives a new directory beside `path` to fill, which becomes `path` at the end, or vanishes with an exception.

    Raises:
        StoreError: `path` is there and not an empty directory, or the files could not be written.
    """
    final = Path(path)
    if final.is_symlink() or (final.exists() and not (final.is_dir() and not any(final.iterdir()))):
        raise StoreError(f"{final}: expected a directory that is absent or empty, got one that is not; choose another")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=final.parent))
        try:
            beside = folder / final.name
            beside.mkdir()
            yield beside
            if final.is_dir():
                final.rmdir()
            os.replace(beside, final)  # noqa: PTH105 - atomic where the file system can
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise StoreError(
            f"{final}: expected a directory that can be written, got {error.strerror or error} ({error.filename}); "
            "choose another one or free some space"
        ) from error


def remove_leftovers(directory: str | Path) -> None:
    """Removes what a killed process left half written in a trial's directory."""
    for path in Path(directory).glob(".writing-*"):
        shutil.rmtree(path, ignore_errors=True)


def tell_of_lost_record(project: str | Path) -> None:
    """Warns where a new search begins among files of trials whose record is not there, for it replaces them."""
    root = Path(project)
    left = [path.parent.name for path in sorted(root.glob(f"trial_*/{MARK}"))]
    if left:
        warnings.warn(
            f"{root}: expected no files of trials where nothing is recorded, got {len(left)} directories ({left[0]}, "
            "...); a new search begins, and its trials replace those files. If that is not meant, end it and put the "
            f"record ({DATABASE}, or storage=) back, or choose another project_name; overwrite=True removes them",
            KrigeTunerWarning,
            stacklevel=2,
        )


def remove_study_files(project: str | Path, trial_ids: Iterable[str], database: bool = True) -> None:
    """Removes our own files from a project directory and leaves everything else.

    Args:
        trial_ids: trials whose directories are known to be ours; those that bear our mark go too.
        database: False to leave `study.sqlite` alone.

    Raises:
        StoreError: something could not be removed.
    """
    root = Path(project)
    known = {f"trial_{safe_name(i)}" for i in trial_ids}
    try:
        for path in sorted(root.glob("trial_*")):
            ours = path.name in known or (path / MARK).is_file()
            if ours and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
        for suffix in ("-shm", "-wal", "-journal", "") if database else ():
            (root / (DATABASE + suffix)).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"overwrite: expected to remove the recorded search in {root}, got {error.strerror} ({error.filename}); "
            "remove it by hand or choose another project_name"
        ) from error
