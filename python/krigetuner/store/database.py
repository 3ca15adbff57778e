"""A study in a database: SQLite in the project directory by default, any SQLAlchemy URL for a shared one.

One transaction per event holds the event and all it changes. SQLite runs with a write-ahead log and synchronous NORMAL:
the death of the process loses nothing that `append` returned for; `durability="full"` also survives a power cut.
A server that goes away is waited for, a minute at most; whether it had recorded the event at hand is looked up, so that
nothing is lost or recorded twice.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from krigetuner.errors import KrigeTunerWarning, StoreError, StudyLocked
from krigetuner.store.connection import Connection, ConnectionLost, Damaged, Durability
from krigetuner.store.copying import copy_rows, copy_study_row
from krigetuner.store.events import Event, StudyClosed, TrialReported, decode, encode
from krigetuner.store.heartbeat import beat, give_back
from krigetuner.store.lease import SECONDS, Lease, watched
from krigetuner.store.location import DAMAGE
from krigetuner.store.reading import Reader
from krigetuner.store.replay import StudyState
from krigetuner.store.salvage import rescued
from krigetuner.store.statements import HOLDER, StudyStatements
from krigetuner.store.writing import Writer

CHUNK = 1000
"""How many events are read at a time, and how many trials' reports."""

OUTAGE = 60.0
"""How many seconds a server that went away is waited for."""

LONGEST_PAUSE = 2.0
"""Seconds between two attempts to reach it, at most."""

T = TypeVar("T")


class DatabaseStore:
    """One study of a database. Conducting it takes the lease; reading does not.

    Args:
        location: path of an SQLite file, made if it is absent, or a SQLAlchemy URL.
        study: key of the study in the database; an SQLite file of a project holds one, "study".
        durability: "normal", or "full" to survive a power cut as well (SQLite; others have their own settings).
        read_only: True to look only.
        unchanging: as of `Connection`.

    Raises:
        StoreError: the database cannot be opened, is not ours, or is of a newer version.
        StudyLocked: another live process conducts the study.
    """

    def __init__(
        self,
        location: str | Path,
        study: str = "study",
        durability: Durability = "normal",
        read_only: bool = False,
        unchanging: bool = False,
    ) -> None:
        self._read_only = read_only
        try:
            self._open(location, study, durability, unchanging)
        except Damaged as error:
            raise self._explained(error, str(location).partition("///")[2] or location) from error

    def _open(self, location: str | Path, study: str, durability: Durability, unchanging: bool) -> None:
        """Connects, and takes the lease."""
        self._connection = Connection(location, durability, self._read_only, unchanging)
        self._lock = threading.RLock()
        self._position = 0
        self._gave_up = False
        self._finish = self._connection.close
        self._token: str | None = None
        try:
            self._statements = StudyStatements(self._connection.dialect)
            self._study = self._find(study, make=not self._read_only)
            self._reader = Reader(self._study, self._connection.dialect)
            self._writer = Writer(self._study, self._connection.dialect)
            if not self._read_only:
                self._take_lease()
        except BaseException:
            self._connection.close()
            raise

    def _explained(self, error: Damaged, path: str | Path) -> StoreError:
        """What is said of a damaged file; its conductor writes what can be read of it beside it."""
        return error if self._read_only or not Path(path).is_file() else rescued(error, Path(path))

    @property
    def where(self) -> str:
        """The database, in words."""
        return self._connection.where

    def append(self, event: Event) -> int:
        """Records one event and all it changes in one transaction, and returns its position.

        Raises:
            StoreError: nothing of the event was recorded (disk full, read-only, lease lost, file removed, store
                closed); or the server stays away, as the message says then.
        """
        return self.append_all((event,))

    def append_all(self, events: Sequence[Event]) -> int:
        """Records all these events, at least one, in one transaction, and returns the position of the last.

        Raises:
            StoreError: none of them was recorded; or, as `append`.
        """
        with self._lock:
            if self._token is None:
                raise StoreError(f"{self.where}: expected an open study, got one that is closed or read-only; open it")
            self._connection.check_there()
            try:
                try:
                    return self._append(events)
                except _Stale:  # an interruption hit between a commit and its noting down
                    return self._append_if_absent(events)
            except ConnectionLost as error:
                return self._after_outage(error, partial(self._append_if_absent, events))

    def _append(self, events: Sequence[Event]) -> int:
        """One transaction of events that follow each other."""
        position, last = self._position + len(events), events[-1]
        step = {"new": position, "old": self._position, **self._held()}
        step["closed"] = last.reason if isinstance(last, StudyClosed) else None
        try:
            with self._connection.transaction() as cursor:
                self._write(cursor, step, events)
        except _NotAdvanced:
            self._refuse()
        self._position = position
        return position

    def _write(self, cursor: Any, step: Mapping[str, Any], events: Sequence[Event]) -> None:
        """The statements of one transaction, the first of which is the one that nobody else may have been before."""
        with self._connection.aside() as writing:
            try:
                with self._connection.at_once() as together:
                    self._statements.advance.run(cursor, step)
                    if together is None and cursor.rowcount != 1:
                        raise _NotAdvanced
                    for place, event in enumerate(events, self._position + 1):
                        self._writer.write(writing, place, event)
            except Exception as error:
                if cursor.rowcount == 0:  # so the others could not succeed
                    raise _NotAdvanced from error
                raise
        if cursor.rowcount != 1:
            raise _NotAdvanced

    def _append_if_absent(self, events: Sequence[Event]) -> int:
        """Records these events behind the last one of the database, unless they are its last ones."""
        row = self._row()
        if row[1] != self._token:
            self._refuse()
        self._position = row[0]
        with self._connection.transaction("read") as cursor:
            last = self._reader.events(cursor, self._position - 1, self._position)
        if [row[1:] for row in last] == [encode(events[-1])]:
            return self._position
        return self._append(events)

    def _refuse(self) -> None:
        """Says why the study did not advance."""
        row = self._row()
        if row[1] == self._token:
            raise _Stale
        who = Lease(*row[1:6]).holder if row[1] else "another process"
        raise StudyLocked(
            f"{self.where}: expected to conduct this study, got the lease taken over by {who}; "
            "this process records nothing more: end it, or end the other one and run the script again"
        )

    def _after_outage(self, error: ConnectionLost, work: Callable[[], T]) -> T:
        """Does something again as soon as the server is back; after one long outage it is not waited for again.

        Raises:
            ConnectionLost: it stays away for `OUTAGE` seconds.
        """
        patience = 0.0 if self._gave_up else OUTAGE
        if patience:
            text = f"{error}. The search waits for it, {OUTAGE:.0f} seconds at most"
            warnings.warn(text, KrigeTunerWarning, stacklevel=6)
        deadline, pause = time.monotonic() + patience, 0.05
        while True:
            try:
                self._connection.reopen()
                done = work()
            except (ConnectionLost, _Stale) as again:  # stale: the lost connection's commit arrived after all
                if time.monotonic() > deadline:
                    self._gave_up = True
                    text = f"{again}; it was waited for, {OUTAGE:.0f} seconds. What was recorded before is there"
                    raise ConnectionLost(text) from error
            else:
                self._gave_up = False
                return done
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _read(self, work: Callable[[Any], T], whole: bool = False) -> T:
        """What `work` reads with a cursor, at one moment where that is asked for."""

        def once() -> T:
            with self._connection.snapshot() if whole else self._connection.transaction("read") as cursor:
                return work(cursor)

        with self._lock:
            try:
                with self._understood():
                    return once()
            except ConnectionLost as error:
                return self._after_outage(error, once)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Says of rows that cannot be understood that they are damaged."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise Damaged(
                f"{self.where}: expected to read the study, got a row that makes no sense ({error}); {DAMAGE}"
            ) from error

    def read(self, after: int = 0, reports: bool = True) -> Iterator[tuple[int, Event]]:
        """The events behind position `after`, in order, those that are added meanwhile too.

        `reports=False` leaves the reports of single steps out.
        """
        while after < self._last():
            rows = self._read(partial(self._reader.events, low=after, high=after + CHUNK, reports=reports))
            with self._understood():
                found = [(position, decode(kind, version, body)) for position, kind, version, body in rows]
            if not found and not self._read(partial(self._reader.events, low=after, high=after + 1)):
                raise Damaged(f"{self.where}: expected events behind position {after}, got none; {DAMAGE}")
            yield from found
            after += CHUNK

    def state(self) -> StudyState:
        """The study as the plain tables have it."""
        try:
            return self._read(self._reader.state, whole=True)
        except Damaged as error:
            raise self._explained(error, self.where) from error

    def measurements(self, number: int | None = None) -> Iterator[TrialReported]:
        """Every reported step of one trial, or of all, in the order of trial, then of recording."""
        if number is not None:
            yield from self._read(partial(self._reader.reports, low=number, high=number))
            return
        low = self._read(partial(self._reader.next_reported, low=0))
        while low is not None:
            high = low + CHUNK // 10
            yield from self._read(partial(self._reader.reports, low=low, high=high))
            low = self._read(partial(self._reader.next_reported, low=high + 1))

    def erase(self) -> None:
        """Removes everything recorded of this study; other studies of the database stay."""
        with self._lock, self._connection.transaction() as cursor:
            self._statements.blank.run(cursor, self._held())
            if cursor.rowcount != 1:
                self._refuse()
            for statement in self._statements.erase:
                statement.run(cursor, {"study": self._study})
            self._position = 0

    def copy_from(self, source: DatabaseStore) -> int:
        """Makes this study, which must be empty, the same as another database's, and returns how many events it has.

        Everything is copied as the source had it at one moment, all or nothing; its conductor may go on meanwhile.

        Raises:
            StoreError: something is recorded here already, or one of the two could not be read or written.
        """
        with self._lock, source._connection.snapshot() as reading, self._connection.transaction() as writing:
            if self._position or self._token is None:
                raise StoreError(
                    f"{self.where}: expected an empty study to copy to, got one with {self._position} events; choose "
                    "another target"
                )
            self._statements.renew.run(writing, self._held())
            if writing.rowcount != 1:
                self._refuse()
            ends = (reading, source._place(), writing, self._place())
            position = copy_study_row(*ends)
            copy_rows(*ends)
        self._position = position
        return position

    def _place(self) -> tuple[int, Any]:
        """The study's id and the dialect of its database."""
        return self._study, self._connection.dialect

    def _held(self) -> dict[str, Any]:
        """What the statements about the lease are told."""
        return {"now": time.time(), "seconds": SECONDS, "study": self._study, "token": self._token}

    def close(self) -> None:
        """Gives the lease back and closes the database; harmless when called twice."""
        with self._lock:
            self._token = None
            self._finish()

    # --- the study's row and its lease -----------------------------------------------------------------------------

    def _find(self, study: str, make: bool) -> int:
        """The id of the study in the database."""
        found = self._look_up(study)
        if found is None and make:
            try:
                with self._connection.transaction() as cursor:
                    self._statements.make.run(cursor, {"study": study, "position": 0})
            except StoreError:
                found = self._look_up(study)  # another process may have made it just now
                if found is None:
                    raise
            else:
                found = self._look_up(study)
        if found is None:
            with self._connection.transaction("read") as cursor:
                there = [row[0] for row in self._statements.names.run(cursor, {}).fetchmany(5)]
            known = f"; the last that were made there are {', '.join(map(repr, there))}" if there else ""
            raise StoreError(
                f"{self.where}: expected a study named {study!r}, got none; check the project_name (or --study){known}"
            )
        return found

    def _look_up(self, study: str) -> int | None:
        """The id of the study, if it is there."""
        with self._connection.transaction("read") as cursor:
            row = self._statements.find.run(cursor, {"key": study}).fetchone()
        return None if row is None else int(row[0])

    def _row(self) -> Any:
        """Position, lease (token, host, process, machine, birth, expiry), and how many seconds it lasts yet."""
        with self._connection.transaction("read") as cursor:
            return self._statements.row.run(cursor, {"study": self._study, "now": time.time()}).fetchone()

    def _last(self) -> int:
        """The position of the last event."""
        values = {"study": self._study, "now": time.time()}
        return int(self._read(lambda cursor: self._statements.row.run(cursor, values).fetchone())[0])

    def _take_lease(self) -> None:
        """Takes the lease, and keeps it by a heartbeat until `close` or the end of the process."""
        self._position, token, host, pid, machine, birth, _, lasts = self._row()
        if token is not None:
            former = Lease(token, host, pid, machine, birth)
            lasts = watched(self.where, self._row) if former.from_the_future(lasts) else lasts
            former.refuse_if_held(self.where, lasts)
        mine = Lease.mine()
        with self._connection.transaction() as cursor:
            values = {f"lease_{n}": getattr(mine, n) for n in HOLDER}
            values |= {"now": time.time(), "seconds": SECONDS, "key": self._study, "old": token or ""}
            self._statements.take.run(cursor, values)
            if cursor.rowcount != 1:
                self._refuse()
        self._token = mine.token
        stop = threading.Event()
        held = {"study": self._study, "token": mine.token}
        release = partial(self._statements.give_back.run, values=held)
        self._finish = weakref.finalize(self, give_back, self._connection, release, stop, os.getpid())
        beating = (weakref.ref(self), stop, SECONDS / 3)
        threading.Thread(target=beat, args=beating, name="krigetuner-lease", daemon=True).start()

    def renew(self) -> None:
        """Renews the lease; when that fails, the next `append` says so."""
        with self._lock, suppress(StoreError):
            if self._token is not None:
                try:
                    self._prolong()
                except ConnectionLost:
                    self._connection.reopen()
                    self._prolong()

    def _prolong(self) -> None:
        """Has the lease last from now on."""
        with self._connection.transaction() as cursor:
            self._statements.renew.run(cursor, self._held())


class _NotAdvanced(Exception):
    """The study's row is not as this process left it; the transaction is undone."""


class _Stale(Exception):
    """The position noted down is not that of the database, though the lease is ours."""
