"""Statements that SQLAlchemy writes for any database, and those about a study's row and its lease."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from krigetuner.store.tables import metadata, sqlalchemy

HOLDER = ("token", "host", "pid", "machine", "birth")
"""The columns of a lease, less its expiry."""


class Statement:
    """One compiled statement, run on a plain database cursor: SQLAlchemy writes it, and is out of the way after that.

    Args:
        construct: a SQLAlchemy insert, update, delete or select whose parameters are bound by name.
        dialect: of the database.
    """

    def __init__(self, construct: Any, dialect: Any) -> None:
        compiled = construct.compile(dialect=dialect)
        self.sql = str(compiled)
        self.names: tuple[str, ...] | None = tuple(compiled.positiontup) if compiled.positional else None

    def run(self, cursor: Any, values: Mapping[str, Any]) -> Any:
        """Runs it with these values by name."""
        cursor.execute(self.sql, values if self.names is None else tuple([values[n] for n in self.names]))
        return cursor

    def run_many(self, cursor: Any, rows: Iterable[Mapping[str, Any]]) -> None:
        """Runs it once for each row."""
        names = self.names
        cursor.executemany(self.sql, list(rows) if names is None else [tuple([r[n] for n in names]) for r in rows])


class StudyStatements:
    """The statements about the study's row, compiled.

    Where hosts share a server, its clock is the one by which leases run out; an SQLite file's is its machine's. Both
    `now` and `seconds` (how long a lease lasts) are therefore bound with every statement that renews or asks.
    """

    def __init__(self, dialect: Any) -> None:
        sa, tables = sqlalchemy(), metadata().tables
        studies, bind = tables["studies"], sa.bindparam
        c = studies.c
        compiled = partial(Statement, dialect=dialect)
        self.find = compiled(sa.select(c.id).where(c.study == bind("key")))
        self.names = compiled(sa.select(c.study).order_by(c.id.desc()))
        self.make = compiled(studies.insert().inline().values(study=bind("study"), position=bind("position")))
        blank = [n for n in c if n.name not in ("id", "study", "position") and not n.name.startswith("lease")]
        self.blank = compiled(
            studies.update()
            .values({n.name: sa.null() for n in blank} | {"position": sa.literal_column("0")})
            .where(c.id == bind("study"), c.lease_token == bind("token"))
        )
        self.erase = [
            compiled(t.delete().where(t.c.study == bind("study")))
            for t in tables.values()
            if t.name not in ("krigetuner", "studies")
        ]
        self._about_the_lease(dialect)

    def _about_the_lease(self, dialect: Any) -> None:
        """Taking, asking for, keeping and giving back."""
        sa, studies = sqlalchemy(), metadata().tables["studies"]
        c, bind, compiled = studies.c, sa.bindparam, partial(Statement, dialect=dialect)
        held = (c.id == bind("study"), c.lease_token == bind("token"))
        now = bind("now", type_=sa.Double)
        if dialect.name == "postgresql":
            now = sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double)
        expiry = now + bind("seconds", type_=sa.Double)
        lease = [c[f"lease_{n}"] for n in HOLDER]
        self.row = compiled(
            sa.select(c.position, *lease, c.lease_expiry, c.lease_expiry - now).where(c.id == bind("study"))
        )
        self.take = compiled(
            studies.update()
            .values({column.name: bind(column.name) for column in lease} | {"lease_expiry": expiry})
            .where(c.id == bind("key"), sa.func.coalesce(c.lease_token, sa.literal_column("''")) == bind("old"))
        )
        self.advance = compiled(
            studies.update()
            .values(position=bind("new"), closed=bind("closed"), lease_expiry=expiry)
            .where(*held, c.position == bind("old"))
        )
        self.renew = compiled(studies.update().values(lease_expiry=expiry).where(*held))
        self.give_back = compiled(studies.update().values(lease_token=sa.null()).where(*held))
