"""A study in a database: SQLite in the project directory by default, any SQLAlchemy URL for a shared one.

One transaction per event holds the event and all it changes. SQLite runs with a write-ahead log and synchronous NORMAL:
the death of the process loses nothing that `append` returned for; `durability="full"` also survives a power cut.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from krigetuner.errors import StoreError, StudyLocked
from krigetuner.store.connection import Connection, Durability
from krigetuner.store.events import Event, StudyClosed, TrialReported, decode
from krigetuner.store.lease import SECONDS, Lease
from krigetuner.store.reading import Reader
from krigetuner.store.replay import StudyState
from krigetuner.store.tables import metadata, sqlalchemy
from krigetuner.store.writing import Statement, Writer

CHUNK = 1000
"""How many events are read at a time, and how many trials' reports."""


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
        self._connection = Connection(location, durability, read_only, unchanging)
        self._lock = threading.RLock()
        self._position = 0
        self._finish = self._connection.close
        self._token: str | None = None
        try:
            self._statements = _Statements(self._connection.dialect)
            self._study = self._find(study, make=not read_only)
            self._reader = Reader(self._study, self._connection.dialect)
            self._writer = Writer(self._study, self._connection.dialect)
            if not read_only:
                self._take_lease()
        except BaseException:
            self._connection.close()
            raise

    @property
    def where(self) -> str:
        """The database, in words."""
        return self._connection.where

    def append(self, event: Event) -> int:
        """Records one event and all it changes in one transaction, and returns its position.

        Raises:
            StoreError: nothing of the event was recorded (disk full, read-only, lease lost, store closed).
        """
        with self._lock:
            if self._token is None:
                raise StoreError(f"{self.where}: expected an open study, got one that is closed or read-only; open it")
            try:
                return self._append((event,))
            except _Stale:  # an interruption hit between a commit and its noting down
                self._position = self._row()[0]
                return self._append((event,))

    def append_all(self, events: Sequence[Event]) -> int:
        """Records all these events, at least one, in one transaction, and returns the position of the last.

        Raises:
            StoreError: none of them was recorded.
        """
        with self._lock:
            if self._token is None:
                raise StoreError(f"{self.where}: expected an open study, got one that is closed or read-only; open it")
            return self._append(events)

    def _append(self, events: Sequence[Event]) -> int:
        """One transaction of events that follow each other."""
        position, last = self._position + len(events), events[-1]
        with self._connection.transaction() as cursor:
            self._statements.advance.run(
                cursor,
                {
                    "new": position,
                    "old": self._position,
                    "closed": last.reason if isinstance(last, StudyClosed) else None,
                    "expiry": time.time() + SECONDS,
                    "study": self._study,
                    "token": self._token,
                },
            )
            if cursor.rowcount != 1:
                self._refuse()
            for place, event in enumerate(events, self._position + 1):
                self._writer.write(cursor, place, event)
        self._position = position
        return position

    def _refuse(self) -> None:
        """Says why the study did not advance."""
        row = self._row()
        if row[1] == self._token:
            raise _Stale
        who = f"process {row[3]} on host {row[2]!r}" if row[1] else "another process"
        raise StudyLocked(
            f"{self.where}: expected to conduct this study, got the lease taken over by {who}; "
            "this process records nothing more: end it, or end the other one and run the script again"
        )

    def read(self, after: int = 0, reports: bool = True) -> Iterator[tuple[int, Event]]:
        """The events behind position `after`, in order, those that are added meanwhile too.

        `reports=False` leaves the reports of single steps out.
        """
        while after < self._last():
            with self._lock, self._connection.transaction("read") as cursor:
                rows = self._reader.events(cursor, after, after + CHUNK, reports)
            for position, kind, version, body in rows:
                yield position, decode(kind, version, body)
            after += CHUNK

    def state(self) -> StudyState:
        """The study as the plain tables have it."""
        with self._lock, self._connection.snapshot() as cursor:
            return self._reader.state(cursor)

    def measurements(self, number: int | None = None) -> Iterator[TrialReported]:
        """Every reported step of one trial, or of all, in the order of trial, then of recording."""
        low, last = (0, -1) if number is None else (number, number)
        if number is None:
            with self._lock, self._connection.transaction("read") as cursor:
                last = self._statements.last.run(cursor, {"study": self._study}).fetchone()[0]
        while last is not None and low <= last:
            high = min(low + CHUNK // 10 - 1, last)
            with self._lock, self._connection.transaction("read") as cursor:
                found = self._reader.reports(cursor, low, high)
            yield from found
            low = high + 1

    def erase(self) -> None:
        """Removes everything recorded of this study; other studies of the database stay."""
        with self._lock, self._connection.transaction() as cursor:
            for statement in self._statements.erase:
                statement.run(cursor, {"study": self._study})
            self._statements.blank.run(cursor, {"study": self._study, "token": self._token})
            if cursor.rowcount != 1:
                self._refuse()
            self._position = 0

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
            raise StoreError(f"{self.where}: expected a study named {study!r}, got none; check the project_name")
        return found

    def _look_up(self, study: str) -> int | None:
        """The id of the study, if it is there."""
        with self._connection.transaction("read") as cursor:
            row = self._statements.find.run(cursor, {"key": study}).fetchone()
        return None if row is None else int(row[0])

    def _row(self) -> Any:
        """Position and lease: token, host, process, machine, birth, expiry."""
        with self._connection.transaction("read") as cursor:
            return self._statements.row.run(cursor, {"study": self._study}).fetchone()

    def _last(self) -> int:
        """The position of the last event."""
        with self._lock:
            return int(self._row()[0])

    def _take_lease(self) -> None:
        """Takes the lease, and keeps it by a heartbeat until `close` or the end of the process."""
        self._position, token, host, pid, machine, birth, expiry = self._row()
        if token is not None:
            Lease(token, host, pid, machine, birth).refuse_if_held(self.where, expiry - time.time())
        mine = Lease.mine()
        with self._connection.transaction() as cursor:
            values = {f"lease_{n}": getattr(mine, n) for n in ("token", "host", "pid", "machine", "birth")}
            values |= {"lease_expiry": time.time() + SECONDS, "key": self._study, "old": token or ""}
            self._statements.take.run(cursor, values)
            if cursor.rowcount != 1:
                self._refuse()
        self._token = mine.token
        stop = threading.Event()
        held = {"study": self._study, "token": mine.token}
        release = partial(self._statements.give_back.run, values=held)
        self._finish = weakref.finalize(self, _give_back, self._connection, release, stop, os.getpid())
        threading.Thread(target=_beat, args=(weakref.ref(self), stop), name="krigetuner-lease", daemon=True).start()

    def _renew(self) -> None:
        """Renews the lease; when that fails, the next `append` says so."""
        with self._lock, suppress(StoreError):
            if self._token is not None:
                with self._connection.transaction() as cursor:
                    values = {"expiry": time.time() + SECONDS, "study": self._study, "token": self._token}
                    self._statements.renew.run(cursor, values)


class _Stale(Exception):
    """The position noted down is not that of the database, though the lease is ours."""


class _Statements:
    """The statements about the study's row, compiled."""

    def __init__(self, dialect: Any) -> None:
        sa, tables = sqlalchemy(), metadata().tables
        studies, bind = tables["studies"], sa.bindparam
        c = studies.c
        lease = [c[f"lease_{n}"] for n in ("token", "host", "pid", "machine", "birth", "expiry")]
        held = (c.id == bind("study"), c.lease_token == bind("token"))
        blank = {
            n.name: sa.null() for n in c if n.name not in ("id", "study", "position") and not n.name.startswith("lease")
        }

        def compiled(construct: Any) -> Statement:
            return Statement(construct, dialect)

        self.find = compiled(sa.select(c.id).where(c.study == bind("key")))
        self.make = compiled(studies.insert().inline().values(study=bind("study"), position=bind("position")))
        self.row = compiled(sa.select(c.position, *lease).where(c.id == bind("study")))
        self.take = compiled(
            studies.update()
            .values({column.name: bind(column.name) for column in lease})
            .where(c.id == bind("key"), sa.func.coalesce(c.lease_token, sa.literal_column("''")) == bind("old"))
        )
        self.advance = compiled(
            studies.update()
            .values(position=bind("new"), closed=bind("closed"), lease_expiry=bind("expiry"))
            .where(*held, c.position == bind("old"))
        )
        self.renew = compiled(studies.update().values(lease_expiry=bind("expiry")).where(*held))
        self.give_back = compiled(studies.update().values(lease_token=sa.null()).where(*held))
        self.blank = compiled(studies.update().values(blank | {"position": sa.literal_column("0")}).where(*held))
        self.last = compiled(
            sa.select(sa.func.max(tables["trials"].c.number)).where(tables["trials"].c.study == bind("study"))
        )
        self.erase = [
            compiled(t.delete().where(t.c.study == bind("study")))
            for t in tables.values()
            if t.name not in ("krigetuner", "studies")
        ]


def _beat(store: weakref.ref[DatabaseStore], stop: threading.Event) -> None:
    """Renews a lease until it is given back or nobody holds the store any more."""
    while not stop.wait(SECONDS / 3):
        alive = store()
        if alive is None:
            return
        alive._renew()
        del alive


def _give_back(connection: Connection, release: Callable[[Any], Any], stop: threading.Event, pid: int) -> None:
    """Ends the heartbeat, gives the lease back and closes the connection."""
    if os.getpid() != pid:
        return  # a forked child: connection and lease are its parent's
    stop.set()
    with suppress(StoreError), connection.transaction() as cursor:  # else the lease runs out by itself
        release(cursor)
    connection.close()
