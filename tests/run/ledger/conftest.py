"""Where the ledgers of these tests lie."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A database file; a warning on the way is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield tmp_path / "study.sqlite"
