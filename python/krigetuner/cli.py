"""The commands `krigetuner import | export | copy | recover | show | versions`.

Exit codes: 0 done, 1 it could not be done (one line on the standard error says why), 2 the command was not understood.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import warnings
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from krigetuner.errors import KrigeTunerWarning, StoreError
from krigetuner.run.keras_tuner_export import export
from krigetuner.run.keras_tuner_project import summary, take_over
from krigetuner.run.ledger import Ledger
from krigetuner.run.progress import show
from krigetuner.run.version import version
from krigetuner.space.recorder import HyperParameters
from krigetuner.store.artifacts import DATABASE, MARK, directory_written_whole, written_whole
from krigetuner.store.database import DatabaseStore
from krigetuner.store.keras_tuner_files import TRIAL, is_project, read_project
from krigetuner.store.memory import MemoryStore
from krigetuner.store.project import open_store, recorded
from krigetuner.store.protocol import Store
from krigetuner.store.salvage import salvage
from krigetuner.tuners import summaries
from krigetuner.tuners.results_table import history_table, results_table
from krigetuner.versions import show_versions

EXAMPLES = """examples:
  krigetuner show my_dir/my_project                   what a search has found so far
  krigetuner import my_dir/kt_project                 go on with a project of KerasTuner, in its own directory
  krigetuner import my_dir/kt_project --to new_dir    the same, in a copy
  krigetuner export my_dir/my_project --format csv > trials.csv
  krigetuner export my_dir/my_project --format keras-tuner --to for_keras_tuner
  krigetuner copy my_dir/my_project postgresql+psycopg://user@host/database
  krigetuner copy postgresql+psycopg://user@host/database my_dir/my_project
"""
DIRECTORY = "the project's directory: directory/project_name of the tuner"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: of the command line, without the program's name; those of this process when None.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", KrigeTunerWarning)
            warnings.showwarning = lambda message, *_, **__: _complain(f"warning: {message}")
            options.run(options)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        _complain("krigetuner: interrupted")
        return 130
    except (StoreError, ImportError, ValueError, OSError) as error:
        _complain(f"krigetuner: {' '.join(str(error).split())}")
        return 1
    return 0


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="krigetuner",
        description="Looks into searches, and moves them from and to KerasTuner.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = partial(_command, commands)
    importing = command("import", "makes a study of a project of KerasTuner; its files stay as they are", _import)
    importing.add_argument("directory", type=Path, metavar="DIR", help="the project's directory, with its oracle.json")
    importing.add_argument("--to", type=Path, metavar="DIR", help="a new directory; default: beside KerasTuner's files")
    exporting = command("export", "writes a study's trials for other programs; the study stays as it is", _export)
    exporting.add_argument("directory", type=Path, metavar="DIR", help=DIRECTORY)
    exporting.add_argument("--format", choices=("keras-tuner", "csv"), required=True, help="a project, or a table")
    exporting.add_argument(
        "--to", type=Path, metavar="PATH", help="a new directory or file; a table's default: printed"
    )
    exporting.add_argument("--history", action="store_true", help="a table of epochs instead of trials (csv)")
    copying = command(
        "copy", "copies a study's record into another database; files of trials stay where they are", _copy
    )
    place = "a project's directory, or the URL of a database"
    copying.add_argument("source", metavar="SOURCE", help=place)
    copying.add_argument("target", metavar="TARGET", help=f"{place}, where the study is not recorded yet")
    copying.add_argument(
        "--study", metavar="NAME", help="its name in a database given by URL; default: the project's name"
    )
    recovering = command("recover", "writes what can be read of a damaged study to a new file", _recover)
    recovering.add_argument("directory", type=Path, metavar="DIR", help=DIRECTORY)
    recovering.add_argument("--to", type=Path, metavar="FILE", help="default: beside the damaged file")
    showing = command("show", "shows what a search has found", _show)
    showing.add_argument("directory", type=Path, metavar="DIR", help=DIRECTORY)
    showing.add_argument("--trials", type=int, default=10, metavar="N", help="how many of the best; default 10")
    for each in (exporting, showing):
        each.add_argument("--storage", metavar="URL", help="the database, where the tuner was given storage=")
    command("versions", "lists versions, processor and GPU, for reports of faults", _versions)
    return parser


def _command(commands: Any, name: str, what: str, run: object) -> argparse.ArgumentParser:
    """One command of the parser."""
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=what, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.set_defaults(run=run)
    return made


def _import(options: argparse.Namespace) -> None:
    """`krigetuner import`."""
    source: Path = options.directory
    _check_directory(source)
    if not is_project(source):
        raise StoreError(
            f"{source}: expected a project of KerasTuner, got a directory without trial_*/{TRIAL}; check the path"
        )
    target: Path = source if options.to is None else options.to
    if target.resolve() == source.resolve():
        _record(source, source)
        return
    found = read_project(source)  # before anything is written
    with directory_written_whole(target) as beside:
        for trial_id in (*found.trials, *found.unread):
            made = beside / f"trial_{trial_id}"
            shutil.copytree(source / made.name, made, ignore=shutil.ignore_patterns(TRIAL))
            (made / MARK).touch()
    _record(source, target)


def _record(source: Path, target: Path) -> None:
    """Makes the study of a project."""
    store = open_store(target)
    try:
        ledger = Ledger(store)
        if ledger.state.position:
            raise StoreError(f"{target}: expected a directory without a study, got one with; show it, or choose --to")
        project = take_over(ledger, source, target.resolve().name, version=version(), foreign=source == target)
        print(f"imported {summary(project, ledger)}, into {target / DATABASE}")
    finally:
        store.close()


def _export(options: argparse.Namespace) -> None:
    """`krigetuner export`."""
    store = _open(options.directory, options.storage)
    try:
        if options.format == "csv":
            _export_table(options, store)
            return
        if options.to is None or options.history:
            raise ValueError("export --format keras-tuner: expected --to NEW_DIRECTORY and no --history; correct that")
        for note in export(store.state(), options.directory, options.to):
            _complain(f"note: {note}")
        print(f"exported {len(store.state().trials)} trials to {options.to}, which KerasTuner 1.4 loads")
    finally:
        store.close()


def _export_table(options: argparse.Namespace, store: Store) -> None:
    """A table of all trials, or of all epochs."""
    records = list(store.state().trials.values())
    table = history_table(records, store.measurements()) if options.history else results_table(records)
    if options.to is None:
        show(table.to_csv(index=False).removesuffix("\n"))
    elif options.to.exists():
        raise StoreError(f"{options.to}: expected a file that is not there yet, got one that is; choose another one")
    else:
        with written_whole(options.to) as beside:  # a full disk leaves no table that looks like one
            table.to_csv(beside, index=False, errors="backslashreplace")
        print(f"exported {len(table)} rows to {options.to}")


def _copy(options: argparse.Namespace) -> None:
    """`krigetuner copy`."""
    projects = [Path(p).absolute() for p in (options.source, options.target) if "://" not in p]
    name = options.study or (projects[0].name if projects else None)
    if name is None:
        raise ValueError("copy: expected --study NAME where both are databases, got none; the project's name names it")
    if "://" in options.source:
        source = DatabaseStore(options.source, name, read_only=True)
    else:
        _check_directory(Path(options.source))
        source = recorded(Path(options.source))
    with closing(source):
        there = "://" in options.target
        target = DatabaseStore(options.target, name) if there else DatabaseStore(Path(options.target) / DATABASE)
        with closing(target):
            count = target.copy_from(source)
    print(f"copied {count} events of study {name!r} from {source.where} to {target.where}")


def _recover(options: argparse.Namespace) -> None:
    """`krigetuner recover`."""
    _check_directory(options.directory)
    found = salvage(options.directory / DATABASE, options.to)
    place = options.directory / DATABASE
    print(f"{found}; to go on with those, move {place} and its -wal away and the new file to its place")


def _show(options: argparse.Namespace) -> None:
    """`krigetuner show`."""
    store = _open(options.directory, options.storage)
    try:
        state = store.state()
    finally:
        store.close()
    show(summaries.study(state, max(options.trials, 0)))
    config = {"space": list(state.parameters.values()), "values": {}}
    show(f"\n{summaries.space(HyperParameters.from_config(config), extended=False)}")


def _versions(options: argparse.Namespace) -> None:
    """`krigetuner versions`."""
    show_versions()


def _open(directory: Path, storage: str | None) -> Store:
    """The study of a project, to be read; one that only KerasTuner has written is read into memory."""
    if storage is not None:
        return DatabaseStore(storage, directory.absolute().name, read_only=True)
    _check_directory(directory)
    if (directory / DATABASE).exists() or not is_project(directory):
        return recorded(directory)
    store = MemoryStore()
    take_over(Ledger(store), directory, directory.resolve().name, version=version())
    return store


def _check_directory(directory: Path) -> None:
    if ":/" in str(directory) and not directory.exists():
        raise StoreError(
            "DIR: expected a project's directory, got the URL of a database; give that as --storage URL and the "
            "project's name as DIR, or copy the study to a directory: krigetuner copy URL DIR --study NAME"
        )
    if directory.is_file():
        raise StoreError(f"{directory}: expected a project's directory, got a file; give the directory that holds it")
    if not directory.is_dir():
        raise StoreError(f"{directory}: expected a project's directory, got none; check the path")
