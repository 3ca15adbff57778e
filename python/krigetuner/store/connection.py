"""One connection to a study database: how it is opened, its transactions, and its errors in plain words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal

from krigetuner.errors import StoreError
from krigetuner.store import location as places
from krigetuner.store.tables import prepare, sqlalchemy

Durability = Literal["normal", "full"]

PATIENCE = 200
"""How often the change to a write-ahead log is tried, twenty times a second."""


class ConnectionLost(StoreError):
    """The database's server has gone away; whether the transaction under way was committed is not known."""


class Damaged(StoreError):
    """An SQLite file that is damaged, or another program's."""


def check_log(path: Path) -> None:
    """Makes sure that a write-ahead log has a file to belong to: beside an empty or absent one SQLite deletes it.

    Raises:
        Damaged: it has none.
    """
    log = path.with_name(path.name + "-wal")
    if _size(log) and not _size(path):  # in this order: another process may make both just now, the log last
        what = "an empty file" if path.exists() else "no file"
        raise Damaged(
            f"{path}: expected the study that {log.name} belongs to, got {what}; that log has what was recorded last: "
            f"put the file back to it, or move {log.name} away to begin anew; `krigetuner recover` reads what the log "
            "alone can tell"
        )


def _size(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _url(location: str | Path, read_only: bool, unchanging: bool) -> tuple[Any, str]:
    """The URL of a database, and the database in words."""
    if not (isinstance(location, str) and "://" in location):
        return places.file_url(Path(location), read_only, unchanging), str(location)
    url = places.database_url(location)
    where = places.in_words(url)
    file = url.drivername == "sqlite" and url.database not in (None, "", ":memory:") and not url.query
    if read_only and file:
        url = places.file_url(Path(url.database), read_only, unchanging)  # else a file would be made to be read
    return url, where


class Connection:
    """A connection that several threads may use one after the other.

    Args:
        location: path of an SQLite file or a SQLAlchemy URL.
        durability: "full" waits for the disk at every commit (SQLite), and insists on it (PostgreSQL).
        read_only: True to look only.
        unchanging: True when nobody writes meanwhile: then an SQLite file is read without files beside it.

    Attributes:
        where: the database in words, for messages; never with a password.
        dialect: SQLAlchemy's.

    Raises:
        StoreError: it cannot be opened.
        MissingDependency: the driver is not installed.
    """

    def __init__(self, location: str | Path, durability: Durability, read_only: bool, unchanging: bool = False) -> None:
        if durability not in ("normal", "full"):
            raise ValueError(f"durability: expected 'normal' or 'full', got {durability!r}; choose one of the two")
        sa = sqlalchemy()
        self._errors: tuple[type[Exception], ...] = (
            sa.exc.SQLAlchemyError,
            OSError,
            OverflowError,
            UnicodeDecodeError,
        )  # the last, where a damaged file's text is part of an error's
        self._durability, self._read_only = durability, read_only
        self._raw: Any = None
        self._file: Path | None = None
        self._gone = ""
        url, self.where = _url(location, read_only, unchanging)
        with self.translated("open"):
            self._engine = places.engine(url)
            self.dialect = self._engine.dialect
            self._errors = (*self._errors, self.dialect.loaded_dbapi.Error)
        self.sqlite = self.dialect.name == "sqlite"
        try:
            if self.sqlite:
                check_log(Path(self.where))
            with self.translated("open"):
                if self.sqlite and not read_only and url.database not in (None, "", ":memory:"):
                    file = Path(url.database).absolute()
                    file.parent.mkdir(parents=True, exist_ok=True)
                    self._file = None if url.query else file  # else it may be a URI, which names another one
                with self._engine.connect() as connection:
                    prepare(connection, self.where, write=not read_only)
                self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        """Takes the connection out of the pool, which would meddle with one that broke, and sets it up."""
        pooled = self._engine.raw_connection()
        pooled.detach()
        self._raw = pooled.dbapi_connection
        cursor = self._raw.cursor()
        if self.sqlite and not self._read_only:
            self._write_ahead(cursor)
            cursor.execute(f"PRAGMA synchronous={'FULL' if self._durability == 'full' else 'NORMAL'}")
        elif self.dialect.name == "postgresql" and not self._read_only:
            for setting in places.SESSION:
                cursor.execute(setting)
            if self._durability == "full":
                cursor.execute("SHOW synchronous_commit")
                if cursor.fetchone()[0] in {"off", "local"}:
                    cursor.execute("SET synchronous_commit = 'on'")
            self._raw.commit()
        cursor.close()

    def _write_ahead(self, cursor: Any) -> None:
        """Has SQLite keep a write-ahead log, so that readers never wait for the writer."""
        for rest in reversed(range(PATIENCE)):
            try:
                cursor.execute("PRAGMA journal_mode=WAL")
                return
            except self._errors as error:  # SQLite does not wait here when others are opening the file
                if rest == 0 or "locked" not in str(error):
                    raise
                time.sleep(0.05)

    def reopen(self) -> None:
        """Connects again after `ConnectionLost`.

        Raises:
            ConnectionLost: the server is not there.
        """
        try:
            with self.translated("connect to"):
                self._raw.close()
                self._connect()
        except ConnectionLost:
            raise
        except StoreError as error:
            raise ConnectionLost(str(error)) from error

    def check_there(self) -> None:
        """Makes sure that an SQLite file is where others find it; one that is not is written there again.

        A file that was removed lives on for who has it open, and takes all that is written along at the end.

        Raises:
            StoreError: it was removed or renamed; nothing more is to be written.
        """
        if self._file is None:
            return
        try:
            if not self._gone:
                self._file.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._gone = self._written_again(self._file)
        except OSError:  # a file server that is away for a moment: the write that follows tells
            return
        if self._gone:
            raise StoreError(self._gone)

    def _written_again(self, file: Path) -> str:
        """Copies what is open to where it was, and says what has become of it."""
        text = f"{self.where}: expected the file that this search writes, got none: it was removed or renamed meanwhile"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            for ending in ("-wal", "-shm"):  # of the file that is gone; all that they hold is copied
                file.with_name(file.name + ending).unlink(missing_ok=True)
            self._raw.execute("VACUUM INTO ?", (str(file),))
        except self._errors as error:
            return f"{text}, and could not be written again ({error}); if it was renamed, name it as before"
        return f"{text}. What was recorded is there again: run the same script again to go on"

    @contextmanager
    def transaction(self, doing: str = "write") -> Iterator[Any]:
        """A cursor in a transaction: committed at the end, rolled back when an exception leaves the block.

        Raises:
            ConnectionLost: the server went away.
            StoreError: the database refused; nothing of the transaction was recorded.
        """
        with self.translated(doing):
            cursor = self._raw.cursor()
            try:
                yield cursor
                self._raw.commit()
            except BaseException:
                self._roll_back()
                raise
            finally:
                cursor.close()

    @contextmanager
    def aside(self) -> Iterator[Any]:
        """A second cursor in the transaction, whose results do not take the place of the first one's."""
        cursor = self._raw.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def at_once(self) -> AbstractContextManager[Any]:
        """Sends the statements of a block together, and has their results behind it; gives None where neither is so."""
        if self.dialect.driver == "psycopg" and self.dialect.loaded_dbapi.Pipeline.is_supported():
            return self._raw.pipeline()  # type: ignore[no-any-return]
        return nullcontext()

    def _roll_back(self) -> None:
        """Undoes a transaction, if need be by giving up the connection: the next use finds it lost."""
        try:
            self._raw.rollback()
        except self._errors:
            if self.sqlite:
                raise
            self._raw.close()

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """A cursor whose reads all see the database at one moment."""
        with self.transaction("read") as cursor:
            if self.sqlite:
                cursor.execute("BEGIN")
            elif self.dialect.name == "postgresql":
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield cursor

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Turns the errors of drivers and files into `StoreError`."""
        try:
            yield
        except self._errors as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            text = f"{self.where}: expected to {doing} the study, got {reason!r}; {places.remedy(reason)}"
            raise self._class_of(error, reason)(text) from error

    def _class_of(self, error: Exception, reason: str) -> type[StoreError]:
        """What kind of trouble a driver's error is."""
        if getattr(self, "sqlite", True):
            broken = isinstance(error, UnicodeDecodeError) or "malformed" in reason or "not a database" in reason
            return Damaged if broken else StoreError
        if self._raw is None:
            return StoreError
        lost = self.dialect.is_disconnect(getattr(error, "orig", None) or error, self._raw, None)
        return ConnectionLost if lost else StoreError

    def close(self) -> None:
        """Closes it, with all that was recorded in the file itself; harmless when called twice or never opened."""
        engine = getattr(self, "_engine", None)
        if engine is not None:
            raw, self._raw = self._raw, None
            if raw is not None:
                if self.sqlite and not self._read_only:  # SQLite does it by itself only where nobody reads meanwhile
                    with suppress(*self._errors):  # on a full disk, say; nothing is lost, the log still has it
                        raw.execute("PRAGMA wal_checkpoint(PASSIVE)")
                raw.close()
            engine.dispose()
