"""One connection to a study database: how it is opened, its transactions, and its errors in plain words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from krigetuner.errors import StoreError
from krigetuner.store.tables import prepare, sqlalchemy

Durability = Literal["normal", "full"]

REMEDIES = (
    ("full", "free some space and run the same script again: everything recorded before is there"),
    ("disk i/o error", "look for a full disk, a quota or a failing drive, then run the same script again"),
    ("not a database", "it is damaged or another program's: move it away, or restore it from a copy"),
    ("malformed", "it is damaged: restore it from a copy, or move it away and begin anew"),
    ("encrypted", "it is damaged or another program's: move it away, or restore it from a copy"),
    ("readonly", "the file or its directory cannot be written: choose another directory or change its permissions"),
    ("read-only", "the file or its directory cannot be written: choose another directory or change its permissions"),
    ("unable to open", "the directory is absent or cannot be written: choose another or change its permissions"),
    ("permission denied", "choose another directory or change its permissions"),
    ("locked", "another program keeps the database busy: end it and try again"),
)
"""What a message holds, and what to do then."""


PATIENCE = 200
"""How often the change to a write-ahead log is tried, twenty times a second."""


class Connection:
    """A connection that several threads may use one after the other.

    Args:
        location: path of an SQLite file or a SQLAlchemy URL.
        durability: "full" waits for the disk at every commit (SQLite).
        read_only: True to look only.
        unchanging: True when nobody writes meanwhile: then an SQLite file is read without files beside it.

    Attributes:
        where: the database in words, for messages; never with a password.
        dialect: SQLAlchemy's.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, location: str | Path, durability: Durability, read_only: bool, unchanging: bool = False) -> None:
        if durability not in ("normal", "full"):
            raise ValueError(f"durability: expected 'normal' or 'full', got {durability!r}; choose one of the two")
        sa = sqlalchemy()
        self._errors: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError, OSError, OverflowError)
        self.where = str(location)
        url = self._url(location, read_only, unchanging)
        with self.translated("open"):
            self._engine = self._create(url)
            self.dialect = self._engine.dialect
            self._errors = (*self._errors, self.dialect.loaded_dbapi.Error)
        self.sqlite = self.dialect.name == "sqlite"
        try:
            with self.translated("open"):
                self._connect(url, durability, read_only)
        except BaseException:
            self.close()
            raise

    def _connect(self, url: Any, durability: Durability, read_only: bool) -> None:
        """Opens the connection and the tables."""
        if self.sqlite and not read_only and url.database not in (None, "", ":memory:"):
            Path(url.database).absolute().parent.mkdir(parents=True, exist_ok=True)
        self._raw: Any = self._engine.raw_connection()
        with self._engine.connect() as connection:
            prepare(connection, self.where, write=not read_only)
        if self.sqlite and not read_only:
            self._tune(durability)

    def _url(self, location: str | Path, read_only: bool, unchanging: bool) -> Any:
        """The SQLAlchemy URL of a location."""
        sa = sqlalchemy()
        if isinstance(location, str) and "://" in location:
            try:
                url = sa.engine.make_url(location)
            except sa.exc.ArgumentError as error:
                raise StoreError(
                    "storage: expected a path, 'memory' or a SQLAlchemy URL such as sqlite:///study.sqlite, "
                    f"got {location!r}; correct it"
                ) from error
            self.where = url.database if url.get_backend_name() == "sqlite" and url.database else url.render_as_string()
            return url
        path = Path(location)
        if not read_only:
            return sa.URL.create("sqlite", database=str(path))
        if not path.exists():
            raise StoreError(f"{path}: expected a recorded study, got no file; check the directory and project_name")
        file = "file:" + quote(str(path.absolute()))
        still = {"immutable": "1"} if unchanging else {}
        return sa.URL.create("sqlite", database=file, query={"mode": "ro", "uri": "true", **still})

    def _create(self, url: Any) -> Any:
        """An engine with one connection, which is kept."""
        sa = sqlalchemy()
        options = {"check_same_thread": False, "timeout": 30.0} if url.get_backend_name() == "sqlite" else {}
        try:
            return sa.create_engine(url, poolclass=sa.pool.StaticPool, connect_args=options)
        except ImportError as error:
            raise StoreError(
                f"storage: expected a driver for {url.get_backend_name()!r}, got {error}; install it with pip"
            ) from error

    def _tune(self, durability: Durability) -> None:
        """SQLite's settings: readers never wait for the writer, and a commit waits for the disk only if asked."""
        cursor = self._raw.cursor()
        for rest in reversed(range(PATIENCE)):
            try:
                cursor.execute("PRAGMA journal_mode=WAL")
                break
            except self._errors as error:  # SQLite does not wait here when others are opening the file
                if rest == 0 or "locked" not in str(error):
                    raise
                time.sleep(0.05)
        cursor.execute(f"PRAGMA synchronous={'FULL' if durability == 'full' else 'NORMAL'}")
        cursor.close()

    @contextmanager
    def transaction(self, doing: str = "write") -> Iterator[Any]:
        """A cursor in a transaction: committed at the end, rolled back when an exception leaves the block.

        Raises:
            StoreError: the database refused; nothing of the transaction was recorded.
        """
        with self.translated(doing):
            cursor = self._raw.cursor()
            try:
                yield cursor
                self._raw.commit()
            except BaseException:
                self._raw.rollback()
                raise
            finally:
                cursor.close()

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        """A cursor whose reads all see the database at one moment."""
        with self.transaction("read") as cursor:
            if self.sqlite:
                cursor.execute("BEGIN")
            yield cursor

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Turns the errors of drivers and files into `StoreError`."""
        try:
            yield
        except self._errors as error:
            reason = str(getattr(error, "orig", None) or error).strip()
            remedy = next((r for word, r in REMEDIES if word in reason.lower()), "correct that and try again")
            raise StoreError(f"{self.where}: expected to {doing} the study, got {reason!r}; {remedy}") from error

    def close(self) -> None:
        """Closes it; harmless when called twice or when it never opened."""
        engine = getattr(self, "_engine", None)
        if engine is not None:
            raw, self._raw = getattr(self, "_raw", None), None
            if raw is not None:
                raw.close()
            engine.dispose()
