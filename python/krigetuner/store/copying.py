"""A study's rows from one database into another, as they are: any two that have the same tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from krigetuner.store.statements import Statement
from krigetuner.store.tables import metadata, sqlalchemy

RANGES = {"events": ("position", 2000), "trials": ("number", 1000), "measurements": ("number", 100)}
"""Tables that are read piece by piece: by which column, and how many of its values at a time."""


def own_columns() -> list[str]:
    """The columns of `studies` that belong to the study, not to its place or its conductor."""
    columns = metadata().tables["studies"].c.keys()
    return [name for name in columns if name not in ("id", "study") and not name.startswith("lease")]


def copy_rows(reading: Any, source: tuple[int, Any], writing: Any, target: tuple[int, Any]) -> None:
    """Copies everything of a study but its row in `studies`.

    Args:
        reading: a cursor that sees the source at one moment.
        source: the study's id there, and SQLAlchemy's dialect.
        writing: a cursor in a transaction of the target, where the study is empty.
        target: as `source`.
    """
    for name, table in metadata().tables.items():
        if name in ("krigetuner", "studies"):
            continue
        insert = Statement(table.insert().inline().values({c.name: _bind(c.name) for c in table.c}), target[1])
        for rows in _pieces(reading, *source, name):
            insert.run_many(writing, [{**row, "study": target[0]} for row in rows])


def copy_study_row(reading: Any, source: tuple[int, Any], writing: Any, target: tuple[int, Any]) -> int:
    """Makes the target's row in `studies` say what the source's does, and returns the position of its last event."""
    sa, studies, names = sqlalchemy(), metadata().tables["studies"], own_columns()
    select = sa.select(*[studies.c[n] for n in names]).where(studies.c.id == _bind("study"))
    row = Statement(select, source[1]).run(reading, {"study": source[0]}).fetchone()
    values = dict(zip(names, row, strict=True))
    update = studies.update().values({n: _bind(n) for n in names}).where(studies.c.id == _bind("target"))
    Statement(update, target[1]).run(writing, {**values, "target": target[0]})
    return int(values["position"])


def _bind(name: str) -> Any:
    return sqlalchemy().bindparam(name)


def _pieces(cursor: Any, study: int, dialect: Any, name: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of one table, some at a time."""
    sa, table = sqlalchemy(), metadata().tables[name]
    columns, mine = table.c.keys(), table.c.study == _bind("study")
    if name not in RANGES:
        yield _rows(cursor, Statement(sa.select(table).where(mine), dialect), columns, {"study": study})
        return
    key, count = RANGES[name]
    span = Statement(sa.select(sa.func.min(table.c[key]), sa.func.max(table.c[key])).where(mine), dialect)
    low, last = span.run(cursor, {"study": study}).fetchone()
    between = (table.c[key] >= _bind("low"), table.c[key] < _bind("high"))
    piece = Statement(sa.select(table).where(mine, *between).order_by(*table.primary_key), dialect)
    while last is not None and low <= last:
        yield _rows(cursor, piece, columns, {"study": study, "low": low, "high": low + count})
        low += count


def _rows(cursor: Any, statement: Statement, columns: list[str], values: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in statement.run(cursor, values).fetchall()]
