"""The tables of a study database, version 2, and how older ones are brought up to date.

`events` is the truth: one row per event, never changed. The others are what it adds up to, written in the same
transaction, for people with SQL and for reading without a replay. One database may hold several studies; `study` is a
row's owner everywhere. JSON columns are strict JSON, non-finite numbers tagged (store/events.py); in number columns NaN
is NULL, and infinities are themselves. Times are seconds since 1970.

    krigetuner    one row: version of these tables
    studies       one row per study, and the lease of the process that conducts it
    events        study, position -> kind, version, body (JSON)
    parameters    the search space: configs in order of (place, item)
    trials        one row per trial: its present state; ended_at and waiting_since are positions of events
    measurements  one row per metric of a reported step; position is that of its event
    enqueued      values to try next, in order of position
    saved         states of users' own oracles and tuners
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from krigetuner.errors import MissingDependency, StoreError

if TYPE_CHECKING:
    from sqlalchemy import MetaData

VERSION = 2

LOCK = 5_280_141_927_310_461
"""Number of the PostgreSQL lock under which tables are made; any that no other program is likely to take."""


def _add_unasked(connection: Any) -> None:
    """Version 2: what the code of a trial never asked for."""
    connection.exec_driver_sql("ALTER TABLE trials ADD COLUMN unasked TEXT")


MIGRATIONS: Mapping[int, Callable[[Any], None]] = {1: _add_unasked}
"""From version v to v + 1: a function of a SQLAlchemy connection, run in one transaction with the change of version."""


def sqlalchemy() -> Any:
    """The package, imported when the first database is opened."""
    try:
        import sqlalchemy
    except ImportError as error:
        raise MissingDependency(
            "storage: expected SQLAlchemy to be installed; pip install 'sqlalchemy>=2.0', or use storage='memory'"
        ) from error
    return sqlalchemy


def _key(name: str, kind: Any) -> Any:
    """A column of a primary key."""
    return sqlalchemy().Column(name, kind, primary_key=True, autoincrement=False)


@cache
def metadata() -> MetaData:
    """The tables as SQLAlchemy knows them."""
    sa = sqlalchemy()
    result: MetaData = sa.MetaData()
    study = ("study", sa.Integer)
    name = sa.String(255).with_variant(sa.Text(), "postgresql")  # others want a length for keys
    tables = {
        "krigetuner": [_key("version", sa.Integer)],
        "studies": _study_columns(sa),
        "events": [
            _key(*study),
            _key("position", sa.BigInteger),
            sa.Column("kind", sa.String(40), nullable=False),
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("body", sa.Text, nullable=False),
        ],
        "parameters": [
            _key(*study),
            _key("place", sa.BigInteger),
            _key("item", sa.Integer),
            *[sa.Column(n, sa.Text, nullable=False) for n in ("name", "identity", "config")],
        ],
        "trials": [_key(*study), _key("number", sa.BigInteger), *_trial_columns(sa)],
        "measurements": [
            _key(*study),
            _key("number", sa.BigInteger),
            _key("position", sa.BigInteger),
            _key("name", name),
            *[sa.Column(n, sa.BigInteger, nullable=False) for n in ("attempt", "execution", "step")],
            sa.Column("value", sa.Double),
            sa.Column("time", sa.Double),
        ],
        "enqueued": [_key(*study), _key("position", sa.BigInteger), sa.Column("hyperparameters", sa.Text)],
        "saved": [_key(*study), _key("key", name), sa.Column("state", sa.Text)],
    }
    for name, columns in tables.items():
        sa.Table(name, result, *columns, sqlite_with_rowid=name in {"krigetuner", "studies"})
    return result


def _study_columns(sa: Any) -> list[Any]:
    """The columns of `studies`."""
    text = sa.Text
    return [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study", sa.String(255), nullable=False, unique=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        *[sa.Column(n, text) for n in ("name", "objective", "algorithm", "options", "backend", "seed", "version")],
        sa.Column("created", sa.Double),
        sa.Column("closed", text),
        *[sa.Column(n, text) for n in ("lease_token", "lease_host", "lease_machine", "lease_birth")],
        sa.Column("lease_pid", sa.BigInteger),
        sa.Column("lease_expiry", sa.Double),
    ]


def _trial_columns(sa: Any) -> list[Any]:
    """The columns of `trials` behind its key."""
    text, whole, number = sa.Text, sa.BigInteger, sa.Double
    return [
        *[sa.Column(n, text, nullable=False) for n in ("trial_id", "status", "hyperparameters", "origin")],
        *[sa.Column(n, whole, nullable=False) for n in ("seen", "counted", "attempt", "failures", "best_step")],
        *[sa.Column(n, text) for n in ("worker", "message")],
        *[sa.Column(n, text, nullable=False) for n in ("metrics", "executions")],
        *[sa.Column(n, number) for n in ("score", "variance", "asked", "started", "ended")],
        *[sa.Column(n, whole) for n in ("ended_at", "waiting_since")],
        sa.Column("unasked", text),
    ]


def prepare(connection: Any, where: str, write: bool) -> None:
    """Makes the tables, or brings them up to date.

    Args:
        connection: a SQLAlchemy connection.
        where: the database, for messages.
        write: False to look only.

    Raises:
        StoreError: the database is of a newer version, or not one of ours.
    """
    sa = sqlalchemy()
    if write and connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # its driver begins none for tables; others may open it just now
    elif write and connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")  # two may not make the same table at once
    present = set(sa.inspect(connection).get_table_names())
    if "krigetuner" not in present:
        clash = present & set(metadata().tables)
        if clash or not write:
            what = f"tables of another program ({', '.join(sorted(clash))})" if clash else "none"
            raise StoreError(f"{where}: expected a KrigeTuner study, got {what}; name another database or project_name")
    if write:
        for each in metadata().tables.values():  # "krigetuner" is the first, so that a crash here can be gone on from
            if each.name not in present:
                connection.execute(sa.schema.CreateTable(each, if_not_exists=True))
    version = _version(connection)
    if version is None and write:
        connection.execute(metadata().tables["krigetuner"].insert(), {"version": VERSION})
        version = VERSION
    _bring_up_to_date(connection, where, VERSION if version is None else version, write)
    connection.commit()


def _version(connection: Any) -> int | None:
    """The version that the database says it has; None for one that was never finished."""
    found: int | None = connection.execute(sqlalchemy().text("SELECT max(version) FROM krigetuner")).scalar()
    return found


def _bring_up_to_date(connection: Any, where: str, version: int, write: bool) -> None:
    """Runs the migrations from `version` on, all of them or none."""
    if version > VERSION:
        raise StoreError(
            f"{where}: expected a database of version {VERSION} or earlier, got version {version}; "
            "it was written by a newer KrigeTuner: upgrade to go on with it, or use another project_name"
        )
    if version == VERSION:
        return
    if not write:
        raise StoreError(
            f"{where}: expected a database of version {VERSION}, got the earlier version {version}; "
            "run the search once with this KrigeTuner to bring it up to date"
        )
    for step in range(version, VERSION):
        MIGRATIONS[step](connection)
        connection.execute(metadata().tables["krigetuner"].update(), {"version": step + 1})
