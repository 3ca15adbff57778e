"""The tables of a study database, version 1, and how older ones are brought up to date.

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

VERSION = 1

MIGRATIONS: Mapping[int, Callable[[Any], None]] = {}
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


@cache
def metadata() -> MetaData:
    """The tables as SQLAlchemy knows them."""
    sa = sqlalchemy()
    result: MetaData = sa.MetaData()

    def table(name: str, *columns: Any) -> None:
        sa.Table(name, result, *columns, sqlite_with_rowid=name in {"krigetuner", "studies"})

    def key(name: str, kind: Any) -> Any:
        return sa.Column(name, kind, primary_key=True, autoincrement=False)

    whole, number, text = sa.BigInteger, sa.Double, sa.Text
    table("krigetuner", key("version", sa.Integer))
    table(
        "studies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study", sa.String(255), nullable=False, unique=True),
        sa.Column("position", whole, nullable=False, default=0),
        *[sa.Column(n, text) for n in ("name", "objective", "algorithm", "options", "backend", "seed", "version")],
        sa.Column("created", number),
        sa.Column("closed", text),
        *[sa.Column(n, text) for n in ("lease_token", "lease_host", "lease_machine", "lease_birth")],
        sa.Column("lease_pid", whole),
        sa.Column("lease_expiry", number),
    )
    table(
        "events",
        key("study", sa.Integer),
        key("position", whole),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("body", text, nullable=False),
    )
    table(
        "parameters",
        key("study", sa.Integer),
        key("place", whole),
        key("item", sa.Integer),
        *[sa.Column(n, text, nullable=False) for n in ("name", "identity", "config")],
    )
    table("trials", key("study", sa.Integer), key("number", whole), *_trial_columns(sa))
    table(
        "measurements",
        key("study", sa.Integer),
        key("number", whole),
        key("position", whole),
        key("name", sa.String(255)),
        *[sa.Column(n, whole, nullable=False) for n in ("attempt", "execution", "step")],
        sa.Column("value", number),
        sa.Column("time", number),
    )
    table("enqueued", key("study", sa.Integer), key("position", whole), sa.Column("hyperparameters", text))
    table("saved", key("study", sa.Integer), key("key", sa.String(255)), sa.Column("state", text))
    return result


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
    present = set(sa.inspect(connection).get_table_names())
    if "krigetuner" not in present:
        clash = present & set(metadata().tables)
        if clash or not write:
            what = f"tables of another program ({', '.join(sorted(clash))})" if clash else "none"
            raise StoreError(f"{where}: expected a KrigeTuner study, got {what}; name another database or project_name")
    if write:
        for each in metadata().tables.values():  # "krigetuner" is the first, so that a crash here can be gone on from
            connection.execute(sa.schema.CreateTable(each, if_not_exists=True))
    version = connection.execute(sa.text("SELECT max(version) FROM krigetuner")).scalar()
    if version is None and write:
        connection.execute(metadata().tables["krigetuner"].insert(), {"version": VERSION})
        version = VERSION
    _bring_up_to_date(connection, where, VERSION if version is None else version, write)
    connection.commit()


def _bring_up_to_date(connection: Any, where: str, version: int, write: bool) -> None:
    """Runs the migrations from `version` on."""
    if version > VERSION:
        raise StoreError(
            f"{where}: expected a database of version {VERSION} or earlier, got version {version}; "
            "it was written by a newer KrigeTuner: upgrade to go on with it, or use another project_name"
        )
    if version < VERSION and not write:
        raise StoreError(
            f"{where}: expected a database of version {VERSION}, got the earlier version {version}; "
            "run the search once with this KrigeTuner to bring it up to date"
        )
    for step in range(version, VERSION):
        MIGRATIONS[step](connection)
        connection.execute(metadata().tables["krigetuner"].update(), {"version": step + 1})
