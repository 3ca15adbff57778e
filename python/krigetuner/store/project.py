"""Where a search keeps its record: memory, the project directory, or a database that was named."""

from __future__ import annotations

import os
import warnings
from itertools import count
from pathlib import Path

from krigetuner.errors import KrigeTunerWarning, StoreError, StudyLocked
from krigetuner.store.artifacts import DATABASE, remove_study_files
from krigetuner.store.connection import Durability
from krigetuner.store.database import DatabaseStore
from krigetuner.store.keras_tuner_files import foreign_files
from krigetuner.store.memory import MemoryStore
from krigetuner.store.protocol import Store


def open_store(
    project: str | Path,
    storage: str | None = None,
    overwrite: bool = False,
    durability: Durability = "normal",
) -> Store:
    """Opens the record of the search in a project directory.

    Args:
        project: the project directory; its last part names the study in a shared database.
        storage: None for `study.sqlite` in the project directory, "memory", a path, or a SQLAlchemy URL.
        overwrite: True to remove what was recorded before: our own files and rows, nothing else. Files of KerasTuner's
            are moved into `keras_tuner_1` in the project directory.

    Raises:
        StoreError: it cannot be opened, or written.
        StudyLocked: another live process conducts the search, to be overwritten or not.
        ValueError: `durability` is neither of the two.
    """
    root = Path(project)
    if durability not in ("normal", "full"):
        raise ValueError(f"durability: expected 'normal' or 'full', got {durability!r}; choose one of the two")
    if storage == "memory":
        if overwrite:
            remove_study_files(root, [], database=False)
        return MemoryStore()
    if storage is None:
        _make_directory(root)
        if overwrite:
            _remove_recorded(root, durability)
        _tell_of_empty_file(root / DATABASE)
        return DatabaseStore(root / DATABASE, durability=durability)
    store = DatabaseStore(storage, root.absolute().name, durability)
    if overwrite:
        ids = [record.trial_id for record in store.state().trials.values()]
        store.erase()
        _move_foreign(root)
        remove_study_files(root, ids, database=False)
    return store


def recorded(project: Path) -> DatabaseStore:
    """The study in a project directory, to be read; where nobody has it open, reading leaves no files beside it.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    database = project / DATABASE
    still = not Path(f"{database}-wal").exists()  # nobody has it open, nor died with it
    return DatabaseStore(database, read_only=True, unchanging=still)


def _make_directory(root: Path) -> None:
    """Makes the project directory; says what stands in the way in the words of the tuners' arguments."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        taken = next((p for p in (root, *root.parents) if p.exists() and not p.is_dir()), None)
        reason = f"{taken} is a file" if taken is not None else error.strerror or str(error)
        raise StoreError(
            f"{root}: expected a project directory that can be made, got {reason!r}; choose another directory= or "
            "project_name="
        ) from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise StoreError(
            f"{root}: expected a project directory that can be written, got one that cannot; choose another directory= "
            "or project_name=, or change its permissions"
        )


def _tell_of_empty_file(path: Path) -> None:
    """Warns where a search begins in a file that may have been a study: copied to a full disk, or cut by a crash."""
    if path.is_file() and not path.stat().st_size:
        warnings.warn(
            f"{path}: expected a recorded study or no file, got an empty one; a new search begins in it. If there was "
            "one, end this one and put a copy of the file in its place",
            KrigeTunerWarning,
            stacklevel=2,
        )


def _remove_recorded(root: Path, durability: Durability) -> None:
    """Removes the study of a project directory, unless somebody conducts it."""
    ids: list[str] = []
    if (root / DATABASE).exists():
        try:
            store = DatabaseStore(root / DATABASE, durability=durability)
        except StudyLocked:
            raise
        except StoreError:
            ids = []  # not readable; the trials' directories are known by their marks
        else:
            ids = [record.trial_id for record in store.state().trials.values()]
            store.close()
    _move_foreign(root)
    remove_study_files(root, ids)


def _move_foreign(root: Path) -> None:
    """Moves what KerasTuner left in a project directory into a directory beside, for a new search uses those names.

    Raises:
        StoreError: something could not be moved.
    """
    files = foreign_files(root)
    if not files:
        return
    aside = next(p for p in (root / f"keras_tuner_{n}" for n in count(1)) if not p.exists())
    try:
        aside.mkdir()
        for path in files:
            path.rename(aside / path.name)
    except OSError as error:
        raise StoreError(
            f"overwrite: expected to move KerasTuner's files in {root} to {aside.name}, got {error.strerror} "
            f"({error.filename}); move them by hand or choose another project_name"
        ) from error
