"""What can still be read of a damaged SQLite file, written to a new one beside it; the damaged file stays as it is.

The file is copied with its write-ahead log (one that is empty or gone is made of the log's pages), and the copy is
read: the events in spans of positions, each span that cannot be read being halved until only the unreadable events are
left out, then those that stand on pages which nothing leads to (`krigetuner.store.sqlite_pages`). What lost events said
of trials is taken from the plain tables where those can be read (`krigetuner.store.mending`).
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from krigetuner.errors import StoreError
from krigetuner.store import events as e
from krigetuner.store.connection import Connection
from krigetuner.store.mending import Remains, is_sound, mend
from krigetuner.store.reading import STUDY, TRIAL, record_of
from krigetuner.store.replay import StudyState, fold
from krigetuner.store.sqlite_pages import lay_out, rows_of_pages
from krigetuner.store.statements import StudyStatements
from krigetuner.store.tables import metadata, sqlalchemy
from krigetuner.store.writing import Writer
from krigetuner.trial.trial import TrialRecord, TrialStatus

T = TypeVar("T")

EVENTS_OF_A_PAGE = 60
"""How many events a page of the file holds at most."""

LOST = 20
"""How many times as long as it is a file is believed to have been, at most."""

FAILURES = 5_000
"""How many spans may be unreadable before the rest is left to the look at the pages."""

OF_VERSION_1 = {"unasked": "NULL"}
"""What stands in the place of the columns that tables of version 1 lack; a row keeps the length that it was written
with."""

UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What the driver raises where a file is damaged; the second when it cannot even say so."""

ENDING = "-recovered.sqlite"
"""How the name of a recovered file ends."""


@dataclass(frozen=True)
class Salvaged:
    """What was recovered.

    Attributes:
        path: the new file.
        events: how many events of the old file could be read.
        lost: how many could not, as far as their number is known.
        trials, completed: in the new file.
    """

    path: Path
    events: int
    lost: int
    trials: int
    completed: int

    def __str__(self) -> str:
        lost = f", {self.lost} could not" if self.lost else ""
        return (
            f"events that could be read: {self.events}{lost}; trials in {self.path}: {self.trials}, completed ones: "
            f"{self.completed}"
        )


def recovered_path(path: Path) -> Path:
    """Where what can be read of a file is written to."""
    return path.with_name(path.stem + ENDING)


def salvage(path: Path, target: Path | None = None) -> Salvaged:
    """Writes what can be read of a damaged file to a new one.

    Args:
        path: an SQLite file of ours.
        target: a file that is not there yet; default: beside it.

    Raises:
        StoreError: nothing could be read, or the target is there already or cannot be written.
    """
    target = recovered_path(path) if target is None else target
    wal = path.with_name(path.name + "-wal")
    if not path.is_file() and not wal.is_file():
        raise StoreError(f"{path}: expected a study to recover, got no file; check the directory")
    if target.exists():
        raise StoreError(f"{target}: expected a file that is not there yet, got one that is; move it away first")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".recovering-", dir=target.parent) as folder:
        copy = Path(folder) / "copy.sqlite"
        copy.touch()
        if path.is_file():
            shutil.copyfile(path, copy)
        if wal.is_file():
            shutil.copyfile(wal, copy.with_name(copy.name + "-wal"))
            if not copy.stat().st_size:
                lay_out(wal, copy)
        _lengthen(copy)
        studies = {name: remains for name, remains in _studies(copy) if remains.events or remains.trials}
        if not studies:
            raise StoreError(
                f"{path}: expected a study that can be read at least in part, got none of it; restore a copy"
            )
        made = Path(folder) / "made.sqlite"
        states = [_write(made, name, mend(remains)) for name, remains in studies.items()]
        made.rename(target)
    trials = [record for state in states for record in state.trials.values()]
    found = sum(len(r.events) for r in studies.values())
    expected = sum(max(r.last, len(r.events)) for r in studies.values())
    completed = sum(record.status == TrialStatus.COMPLETED for record in trials)
    return Salvaged(target, found, expected - found, len(trials), completed)


def _lengthen(path: Path) -> None:
    """Gives a file that was cut off the length that it says it has; else SQLite reads nothing of it."""
    with path.open("r+b") as file:
        head = file.read(32)
        size, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
        size = 65536 if size == 1 else size
        there = path.stat().st_size
        if head.startswith(b"SQLite format 3\0") and there < size * pages <= LOST * there:
            file.truncate(size * pages)


def rescued(error: StoreError, path: Path) -> StoreError:
    """The error of a file that turned out to be damaged, after what can be read of it was written beside it."""
    beside = recovered_path(path)
    if beside.exists():
        return StoreError(f"{error}; what an earlier attempt could read of it is in {beside}")
    try:
        found = salvage(path)
    except (StoreError, OSError, sqlite3.Error) as reason:
        return StoreError(f"{error}; nothing of it could be recovered ({reason})")
    return StoreError(
        f"{error}; no event in it was changed. {found}: to go on with those, move {path.name} and its -wal away and "
        "that file to its place"
    )


def _studies(path: Path) -> Iterator[tuple[str, Remains]]:
    """Every study of a file by name, with what is left of it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        names = dict(_rows(connection, "SELECT id, study FROM studies") or [(1, b"study")])
        for number, name in names.items():
            if isinstance(number, int) and isinstance(name, bytes):
                yield name.decode(errors="replace"), _remains(connection, path, number)


def _remains(connection: sqlite3.Connection, path: Path, study: int) -> Remains:
    """What can be read of one study."""
    said = _rows(connection, f"SELECT {', '.join(STUDY)} FROM studies WHERE id = ?", study)
    pages = _rows(connection, "PRAGMA page_count")
    most = int(pages[0][0]) * EVENTS_OF_A_PAGE if pages else 0
    last = said[0][0] if said and isinstance(said[0][0], int) and 0 < said[0][0] <= most else 0
    bound = last or most
    events, trials = dict[int, e.Event](), dict[int, TrialRecord]()
    spans = "SELECT position, kind, version, body FROM events WHERE study = ? AND position BETWEEN ? AND ?"
    for position, *text in _spans(connection, spans, study, 1, bound):
        _note(events, position, _decoded(*text))
    spans = "SELECT {} FROM trials WHERE study = ? AND number BETWEEN ? AND ?"
    known = [spans.format(", ".join(names)) for names in (TRIAL, [OF_VERSION_1.get(name, name) for name in TRIAL])]
    readable = [sql for sql in known if _rows(connection, f"{sql} LIMIT 0", study, 0, 0) is not None]
    for row in _spans(connection, (readable or known)[0], study, 0, bound):
        _note(trials, row[0], _record(row))
    if len(events) < bound:
        _look_at_pages(path, study, events, trials)
    configs = _rows(connection, "SELECT config FROM parameters WHERE study = ?", study) or []
    parameters = [config for config in (_json(text) for (text,) in configs) if is_sound(e.SpaceGrew((config,)))]
    return Remains(events, trials, parameters, last, _opened(said[0]) if said else None)


def _rows(connection: sqlite3.Connection, sql: str, *values: Any) -> list[Any] | None:
    """The rows of a query; None when they cannot be read."""
    try:
        return connection.execute(sql, values).fetchall()
    except UNREADABLE:
        return None


def _spans(connection: sqlite3.Connection, sql: str, study: int, low: int, high: int) -> Iterator[Any]:
    """The rows from `low` to `high` that can be read."""
    failures = 0
    waiting = [(low, high)] if _rows(connection, f"{sql} LIMIT 0", study, low, high) == [] else []
    while waiting and failures < FAILURES:
        low, high = waiting.pop()
        try:
            rows = connection.execute(sql, (study, low, high)).fetchall()
        except UNREADABLE:
            failures += 1
            if low < high:
                middle = (low + high) // 2
                waiting += [(middle + 1, high), (low, middle)]
        else:
            yield from rows


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _decoded(kind: Any, version: Any, body: Any) -> e.Event | None:
    """An event, None when its text is damaged."""
    try:
        event = e.decode(_text(kind), int(version), _text(body))
        return event if is_sound(event) else None
    except (StoreError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _record(row: Sequence[Any]) -> TrialRecord | None:
    """A trial of the plain tables, None when its text is damaged."""
    try:
        record = record_of([_text(x) for x in row][:-2])
        return record if is_sound(record) and record.values is not None else None
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def _look_at_pages(path: Path, study: int, events: dict[int, e.Event], trials: dict[int, TrialRecord]) -> None:
    """Adds what stands on pages that no tree leads to any more."""
    tables = metadata().tables
    columns, real = tables["trials"].c.keys(), sqlalchemy().Double
    floats = {c.name for c in tables["trials"].c if isinstance(c.type, real)}  # whole ones stand there as integers
    for row in rows_of_pages(path):
        if row[:1] != [study] or not isinstance(row[1], int):
            continue
        if len(row) == len(tables["events"].c) and row[1] not in events:
            _note(events, row[1], _decoded(*row[2:]))
        elif 0 <= len(columns) - len(row) <= len(OF_VERSION_1) and row[1] not in trials:
            said: dict[str, Any] = dict.fromkeys(columns) | dict(zip(columns, row, strict=False))
            said |= {name: float(said[name]) for name in floats if isinstance(said[name], int)}
            _note(trials, row[1], _record([said[name] for name in TRIAL]))


def _note(found: dict[int, T], key: Any, value: T | None) -> None:
    if value is not None and isinstance(key, int):
        found[key] = value


def _opened(row: Any) -> e.StudyOpened | None:
    """The opening of a study from its row, None when its text is damaged."""
    try:
        said = dict(zip(STUDY, map(_text, row), strict=True))
        kept = {n: said[n] for n in ("name", "algorithm", "backend", "version")}
        goal, options = e.from_json(said["objective"]), e.from_json(said["options"])
        seed, created = None if said["seed"] is None else int(said["seed"]), float(said["created"])
        opened = e.StudyOpened(objective=goal, options=options, seed=seed, created=created, **kept)
        return opened if is_sound(opened) else None
    except (ValueError, TypeError, AttributeError):
        return None


def _json(text: Any) -> Any:
    try:
        return e.from_json(_text(text))
    except (ValueError, TypeError):
        return None


def _write(path: Path, name: str, events: list[e.Event]) -> StudyState:
    """Makes a study of these events in a file, and returns what they add up to."""
    connection = Connection(path, "full", read_only=False)
    try:
        statements, state = StudyStatements(connection.dialect), fold(enumerate(events, 1))
        with connection.transaction() as cursor:
            statements.make.run(cursor, {"study": name, "position": len(events)})
            writer = Writer(statements.find.run(cursor, {"key": name}).fetchone()[0], connection.dialect)
            for position, event in enumerate(events, 1):
                writer.write(cursor, position, event)
            cursor.execute("UPDATE studies SET closed = ? WHERE study = ?", (state.closed, name))
        return state
    finally:
        connection.close()
