"""Statements are written by SQLAlchemy for any database; what needs no server is looked at here."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from krigetuner.store.reading import Reader
from krigetuner.store.statements import StudyStatements
from krigetuner.store.tables import metadata


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect(), sqlite.dialect()], ids=lambda d: d.name)
def test_every_statement_can_be_written(dialect: sa.Dialect) -> None:
    for table in metadata().tables.values():
        assert "CREATE TABLE" in str(sa.schema.CreateTable(table).compile(dialect=dialect))
    assert StudyStatements(dialect).advance.sql.startswith("UPDATE studies SET")
    assert Reader(1, dialect)._trials.sql.startswith("SELECT")


def test_without_sqlalchemy_the_remedy_is_named() -> None:
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from krigetuner.errors import MissingDependency\n"
        "from krigetuner.store.database import DatabaseStore\n"
        "try:\n    DatabaseStore('x.sqlite')\n"
        "except MissingDependency as error:\n    sys.stdout.write(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("storage: expected SQLAlchemy to be installed; pip install 'sqlalchemy>=2.0'")


def test_the_package_is_not_imported_before_a_database_is_opened() -> None:
    code = (
        "import sys, krigetuner.run.ledger, krigetuner.store.project\n"
        "sys.stdout.write(str('sqlalchemy' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False"
