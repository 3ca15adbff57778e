"""Project directories of oracles, and what moves into them from memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from krigetuner.run.keras_tuner_project import summary, take_over
from krigetuner.run.ledger import Ledger
from krigetuner.run.policy import Goal
from krigetuner.run.progress import tell
from krigetuner.run.version import version
from krigetuner.store.artifacts import tell_of_lost_record
from krigetuner.store.keras_tuner_files import is_project

LONGEST_NAME = 255
"""Bytes of a file's name, at most, on all usual file systems."""


def place(directory: str | Path | None, project_name: str | None) -> tuple[str | Path, str]:
    """The directory of projects, "." unless given, and the project's name, "untitled_project" unless given.

    Raises:
        ValueError: the name leads out of the directory, or cannot be one of a file.
    """
    name = project_name or "untitled_project"
    if "\0" in str(name) or any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(name).parts):
        raise ValueError(
            f"project_name: expected a name that a directory can have, at most {LONGEST_NAME} bytes and no NUL "
            f"character, got {name!r:.80}; choose another"
        )
    if os.pardir in Path(os.path.normpath(name)).parts[:1] or (directory and Path(name).is_absolute()):
        raise ValueError(
            f"project_name: expected a name in {str(directory or '.')!r}, got {name!r}, which leads out of it; give "
            "the place as directory= and a name without '..'"
        )
    return directory or ".", name


def present_directory() -> str | None:
    """The working directory; None when it has been removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - a text, compared for each trial
    except OSError:
        return None


def anchored(path: Path, start: str | None) -> Path:
    """A path that was given while the working directory was `start`; itself as long as that is so, else absolute."""
    return path if start is None or present_directory() == start else Path(start) / path


def project_path(directory: str | Path | None, project_name: str | None) -> Path:
    """The project directory, `<directory>/<project_name>`.

    Raises:
        ValueError: the directory is a URL, which a local directory would be made of in silence.
    """
    if directory is not None and "://" in str(directory):
        raise ValueError(
            f"directory: expected a path of this machine, got the URL {str(directory)!r}; mount it, or keep the record "
            "in a database with storage=... and give a local directory for the models"
        )
    parent, name = place(directory, project_name)
    return Path(parent) / name


def continue_keras_tuner(ledger: Ledger, root: Path, goal: Goal) -> None:
    """Makes a project that KerasTuner left in the directory of an empty study its begin, and says so.

    A warning says it where files of our own trials are there, and the record of them is not.

    Raises:
        StudyMismatch: its scores are those of another objective.
    """
    if ledger.state.position:
        return
    if not is_project(root):
        tell_of_lost_record(root)
        return
    project = take_over(ledger, root, root.name, goal, version())
    tell(f"Going on with {summary(project, ledger)}, in {root}; KerasTuner's own files stay as they are")


def check_carried(earlier: Ledger) -> None:
    """Makes sure that what was recorded in memory can be added to a study that exists already.

    Raises:
        ValueError: trials were run in memory; they would have to be mixed with those recorded.
    """
    run = [r.trial_id for r in earlier.state.trials.values() if r.counted]
    if run:
        raise ValueError(
            f"project directory: expected an oracle that has run no trials, got one with {len(run)}, and the directory "
            "holds a search already; set the project directory before the first trial, choose another project_name, or "
            "pass overwrite=True"
        )


def repeat(earlier: Ledger, oracle: Any) -> None:
    """Adds the observations and the queue that were recorded in memory to an oracle's study."""
    for record in earlier.state.trials.values():
        oracle.add_observation(record.values, record.metrics)
    for values in earlier.state.enqueued:
        oracle.enqueue(values)
