"""Where a study database is: paths and URLs, the driver and its settings, and what to do when it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from krigetuner.errors import MissingDependency, StoreError
from krigetuner.store.tables import sqlalchemy

DAMAGE = "it is damaged: restore it from a copy; `krigetuner recover` writes what is readable to a new file"

REMEDIES = (
    ("disk is full", "free some space and run the same script again: everything recorded before is there"),
    ("no space left", "free some space and run the same script again: everything recorded before is there"),
    ("disk i/o error", "look for a full disk, a quota or a failing drive, then run the same script again"),
    ("not a database", "it is damaged or another program's: move it away, or restore it from a copy"),
    ("malformed", DAMAGE),
    ("encrypted", "it is damaged or another program's: move it away, or restore it from a copy"),
    ("readonly", "the file or its directory cannot be written: choose another directory or change its permissions"),
    ("read-only transaction", "this server only copies another one: connect to the one that it copies"),
    ("read-only", "the file or its directory cannot be written: choose another directory or change its permissions"),
    ("unable to open", "the directory is absent or cannot be written: choose another or change its permissions"),
    ("permission denied for", "have the database's owner grant this user the right to create and change tables"),
    ("permission denied", "choose another directory or change its permissions"),
    ("locked", "another program keeps the database busy: end it and try again"),
    ("authentication", "correct user and password; ~/.pgpass or PGPASSWORD keep a password out of the script"),
    ("no password", "give the password in ~/.pgpass or PGPASSWORD, which keep it out of the script"),
    ('" does not exist', "make it, with createdb or createuser, or correct the name"),
    ("too many c", "end other programs that use this server, or raise its max_connections"),
    ("remaining connection slots", "end other programs that use this server, or raise its max_connections"),
    ("could not translate host", "correct the host's name in the URL"),
    ("failed to resolve host", "correct the host's name in the URL"),
    ("connection", "start the database server, or correct host and port, then run the same script again"),
)
"""What a message holds, and what to do then; the first that fits counts."""

SESSION = (
    "SET idle_in_transaction_session_timeout = '60s'",  # a stopped conductor must not lock a row for ever
    "SET lock_timeout = '60s'",
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)
"""What a PostgreSQL server is told about a session that writes."""

LIBPQ = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "application_name": "krigetuner",
}
"""How soon this side of a PostgreSQL connection finds out that the other is gone (seconds; the last but one ms)."""


def remedy(reason: str) -> str:
    """What to do about a database's refusal."""
    return next((what for word, what in REMEDIES if word in reason.lower()), "correct that and try again")


def file_url(path: Path, read_only: bool, unchanging: bool) -> Any:
    """The URL of an SQLite file.

    Raises:
        StoreError: it is to be read and is not there.
    """
    sa = sqlalchemy()
    if not read_only:
        return sa.URL.create("sqlite", database=str(path))
    if not path.exists():
        raise StoreError(f"{path}: expected a recorded study, got no file; check the directory and project_name")
    file = "file:" + quote(str(path.absolute()))
    still = {"immutable": "1"} if unchanging else {}
    return sa.URL.create("sqlite", database=file, query={"mode": "ro", "uri": "true", **still})


def database_url(text: str) -> Any:
    """The SQLAlchemy URL that somebody wrote; PostgreSQL's gets its driver where none is named.

    Raises:
        StoreError: it is none.
    """
    sa = sqlalchemy()
    try:
        url = sa.engine.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise StoreError(
            "storage: expected a path, 'memory' or a SQLAlchemy URL such as postgresql+psycopg://user@host/database, "
            f"got {text.partition('@')[2] or text!r}; correct it"
        ) from error
    return url.set(drivername="postgresql+psycopg") if url.drivername in {"postgres", "postgresql"} else url


def in_words(url: Any) -> str:
    """A database for messages: an SQLite file's path, or the URL without a password."""
    if url.get_backend_name() == "sqlite" and url.database:
        return str(url.database)
    return str(url.set(query={}).render_as_string(hide_password=True))


def engine(url: Any) -> Any:
    """A SQLAlchemy engine with one connection, which is kept.

    Raises:
        MissingDependency, StoreError: the driver is not installed.
    """
    sa, backend = sqlalchemy(), url.get_backend_name()
    options: dict[str, Any] = {}
    if backend == "sqlite":
        options = {"check_same_thread": False, "timeout": 30.0}
    elif url.drivername in {"postgresql+psycopg", "postgresql+psycopg2"}:
        options = {name: value for name, value in LIBPQ.items() if name not in url.query}
    try:
        return sa.create_engine(url, poolclass=sa.pool.StaticPool, connect_args=options)
    except ImportError as error:
        if url.drivername == "postgresql+psycopg":
            raise MissingDependency(
                "storage: expected psycopg to be installed for PostgreSQL; pip install 'krigetuner[postgresql]'"
            ) from error
        raise StoreError(f"storage: expected a driver for {backend!r}, got {error}; install it with pip") from error
