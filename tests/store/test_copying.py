"""A study is the same after it was copied, whatever holds it."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.contracts.store import portrait, same_reports, stories, texts
from tests.golden.make_study import EVENTS
from tests.postgresql import Server

from krigetuner.cli import main
from krigetuner.errors import StoreError
from krigetuner.store import copying
from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.store.replay import fold

NUMBERS = itertools.count()


def same(one: DatabaseStore, other: DatabaseStore) -> bool:
    assert texts(x for _, x in one.read()) == texts(x for _, x in other.read())
    assert portrait(one.state()) == portrait(other.state()) == portrait(fold(other.read()))
    return same_reports(one.measurements(), list(other.measurements()))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories(24))
def test_any_story_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: list[e.Event]) -> None:
    monkeypatch.setattr(copying, "RANGES", {"events": ("position", 2), "trials": ("number", 1)})
    number = next(NUMBERS)
    source, target = (DatabaseStore(tmp_path / f"{name}{number}.sqlite") for name in "ab")
    source.append_all(story)
    assert target.copy_from(source) == len(story)
    assert same(source, target)
    more = e.StudyClosed("more")
    assert target.append(more) == source.append(more) == len(story) + 1
    assert same(source, target)
    for store in (source, target):
        store.close()


def recorded(directory: Path) -> Path:
    with closing(DatabaseStore(directory / "study.sqlite")) as store:
        store.append_all(EVENTS)
    return directory


def test_from_sqlite_to_postgresql_and_back(tmp_path: Path, postgresql: Server, capsys: Any) -> None:
    project, url = recorded(tmp_path / "golden"), postgresql.create("copies")
    assert main(["copy", str(project), url]) == 0
    assert f"copied {len(EVENTS)} events of study 'golden' from {project}" in capsys.readouterr().out
    other = postgresql.create("more_copies")
    assert main(["copy", url, other, "--study", "golden"]) == 0
    assert main(["copy", other, str(tmp_path / "new" / "golden")]) == 0
    with (
        closing(DatabaseStore(tmp_path / "new" / "golden" / "study.sqlite")) as back,
        closing(DatabaseStore(project / "study.sqlite", read_only=True)) as source,
    ):
        assert same(source, back)
        assert texts(x for _, x in back.read()) == texts(EVENTS)
        assert back.append(e.TrialStarted(2, 1, "w", 1.0)) == len(EVENTS) + 1  # it goes on


def test_a_study_is_copied_while_it_is_conducted(tmp_path: Path) -> None:
    source = DatabaseStore(tmp_path / "study.sqlite")
    source.append_all(EVENTS)
    assert main(["copy", str(tmp_path), str(tmp_path / "copy")]) == 0
    source.append(e.StudyClosed("later"))
    with closing(DatabaseStore(tmp_path / "copy" / "study.sqlite")) as copy:
        assert len(list(copy.read())) == len(EVENTS)
    source.close()


def test_what_is_recorded_is_not_overwritten(tmp_path: Path, capsys: Any) -> None:
    first, second = recorded(tmp_path / "a"), tmp_path / "b"
    with closing(DatabaseStore(second / "study.sqlite")) as store:
        store.append(EVENTS[0])
    assert main(["copy", str(first), str(second)]) == 1
    assert (
        f"{second}/study.sqlite: expected an empty study to copy to, got one with 1 events" in capsys.readouterr().err
    )
    with closing(DatabaseStore(second / "study.sqlite", read_only=True)) as store:
        assert texts(x for _, x in store.read()) == texts(EVENTS[:1])
    assert main(["copy", str(first), str(first)]) == 1


def test_a_copy_that_breaks_off_leaves_the_target_empty(tmp_path: Path) -> None:
    recorded(tmp_path)
    source = DatabaseStore(tmp_path / "study.sqlite", read_only=True)
    target = DatabaseStore(tmp_path / "target.sqlite")
    raw = target._connection._raw
    raw.execute(f"PRAGMA max_page_count={raw.execute('PRAGMA page_count').fetchone()[0]}")
    big = DatabaseStore(tmp_path / "big.sqlite")
    big.append_all([*EVENTS, e.StateSaved("big", {"x": "y" * 100_000})])
    with pytest.raises(StoreError, match="disk is full"):
        target.copy_from(big)
    raw.execute("PRAGMA max_page_count=100000")
    assert list(target.read()) == []
    assert target.copy_from(source) == len(EVENTS)
    for store in (source, target, big):
        store.close()


def test_what_cannot_be_copied(tmp_path: Path, capsys: Any) -> None:
    url = f"sqlite:///{tmp_path / 'all.sqlite'}"
    assert main(["copy", url, url]) == 1
    assert "copy: expected --study NAME where both are databases" in capsys.readouterr().err
    assert main(["copy", str(tmp_path / "nowhere"), str(tmp_path / "x")]) == 1
    assert "expected a project's directory, got none" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["copy", str(tmp_path / "empty"), str(tmp_path / "x")]) == 1
    assert "expected a recorded study, got no file" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
