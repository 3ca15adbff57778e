"""What a database adds to the contract: durability settings, versions, errors in plain words, several studies."""

from __future__ import annotations

import errno
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.store import live_side_by_side, portrait, texts

from krigetuner.errors import StoreError
from krigetuner.store import events as e
from krigetuner.store import tables
from krigetuner.store.database import DatabaseStore
from krigetuner.store.replay import fold
from krigetuner.trial.history import Origin

OPENED = e.StudyOpened("s", {"name": "loss", "direction": "min"}, "random", {}, "cpp", 1, 0.0, "0.1")


def asked(number: int) -> e.TrialAsked:
    return e.TrialAsked(number, f"{number:04d}", {"x": 0.5}, Origin("random"), 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "study.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[DatabaseStore]:
    made = DatabaseStore(path)
    yield made
    made.close()


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def change(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()


def test_people_with_sql_find_trials_and_measurements(store: DatabaseStore, path: Path) -> None:
    for event in (
        OPENED,
        asked(0),
        e.TrialStarted(0, 0, "w", 1.0),
        e.TrialReported(0, 0, 0, 0, {"loss": math.nan, "accuracy": 0.5}),
        e.TrialReported(0, 0, 0, 1, {"loss": math.inf, "accuracy": -math.inf}),
        e.TrialFinished(0, (({"loss": 2.0}, 1),), {"loss": 2.0}, 1, 2.0, None, 3.0),
    ):
        store.append(event)
    assert rows(path, "select trial_id, status, score, best_step, ended - started from trials") == [
        ("0000", "COMPLETED", 2.0, 1, 2.0)
    ]
    assert rows(path, "select step, name, value from measurements order by position, name") == [
        (0, "accuracy", 0.5),
        (0, "loss", None),
        (1, "accuracy", -math.inf),
        (1, "loss", math.inf),
    ]
    assert rows(path, "select position, kind, version from events order by position")[-1] == (6, "TrialFinished", 2)
    assert rows(path, "select json_extract(hyperparameters, '$.x') from trials") == [(0.5,)]


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
def test_durability(path: Path, durability: str, synchronous: int) -> None:
    store = DatabaseStore(path, durability=durability)  # type: ignore[arg-type]
    with store._connection.transaction() as cursor:
        assert cursor.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_durability_is_one_of_two(path: Path) -> None:
    with pytest.raises(ValueError, match="durability: expected 'normal' or 'full', got 'none'; choose one"):
        DatabaseStore(path, durability="none")  # type: ignore[arg-type]


def test_a_reader_sees_what_is_being_written_and_cannot_write(store: DatabaseStore, path: Path) -> None:
    store.append(OPENED)
    reader = DatabaseStore(path, read_only=True)
    for number in range(3):
        store.append(asked(number))
        assert sorted(reader.state().running) == list(range(number + 1))
    assert texts(event for _, event in reader.read(1)) == texts(map(asked, range(3)))
    with pytest.raises(StoreError, match="closed or read-only"):
        reader.append(OPENED)
    reader.close()


def test_a_closed_study_is_whole_without_its_log_though_somebody_reads_it(store: DatabaseStore, path: Path) -> None:
    with closing(DatabaseStore(path, read_only=True)) as reader:
        store.append(OPENED)
        store.close()
        copy = shutil.copyfile(path, path.with_name("copy.sqlite"))
        assert texts(event for _, event in reader.read()) == texts([OPENED])
    with closing(DatabaseStore(copy, read_only=True)) as alone:
        assert texts(event for _, event in alone.read()) == texts([OPENED])


def test_reading_a_study_that_is_not_there(path: Path) -> None:
    with pytest.raises(StoreError, match="expected a recorded study, got no file; check the directory"):
        DatabaseStore(path, read_only=True)
    assert not path.parent.exists()
    path.parent.mkdir()
    with pytest.raises(StoreError, match="expected a recorded study, got no file"):
        DatabaseStore(f"sqlite:///{path}", read_only=True)
    assert not path.exists()


def test_a_study_of_another_name_is_answered_with_the_names_that_are_there(path: Path) -> None:
    url = f"sqlite:///{path}"
    for number in range(7):
        DatabaseStore(url, f"study{number}").close()
    known = "'study6', 'study5', 'study4', 'study3', 'study2'$"
    with pytest.raises(StoreError, match=f"expected a study named 'nope', got none; .* made there are {known}"):
        DatabaseStore(url, "nope", read_only=True)


def test_several_studies_of_one_database_do_not_see_each_other(path: Path) -> None:
    url = f"sqlite:///{path}"
    with closing(DatabaseStore(url, "first")) as first, closing(DatabaseStore(url, "second")) as second:
        live_side_by_side(first, second)


def test_a_database_of_a_newer_version_is_refused(store: DatabaseStore, path: Path) -> None:
    store.close()
    change(path, "update krigetuner set version = 3")
    for read_only in (False, True):
        with pytest.raises(
            StoreError, match=r"study.sqlite: expected a database of version 2 or earlier, got version 3.*upgrade"
        ):
            DatabaseStore(path, read_only=read_only)


def older(path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool = False) -> None:
    """Makes the version of these tables 3, with a migration from 2 on."""

    def migrate(connection: Any) -> None:
        connection.exec_driver_sql("alter table trials add column colour text")
        connection.exec_driver_sql("update trials set colour = 'red'")
        if fails:
            connection.exec_driver_sql("select 1 from nowhere")

    monkeypatch.setattr(tables, "VERSION", 3)
    monkeypatch.setattr(tables, "MIGRATIONS", {2: migrate})


def test_a_database_of_an_older_version_is_brought_up_to_date(
    store: DatabaseStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(asked(0))
    store.close()
    older(path, monkeypatch)
    with pytest.raises(
        StoreError, match=r"expected a database of version 3, got the earlier version 2; run the search"
    ):
        DatabaseStore(path, read_only=True)
    DatabaseStore(path).close()
    assert rows(path, "select colour from trials") == [("red",)]
    assert rows(path, "select version from krigetuner") == [(3,)]
    DatabaseStore(path).close()


def test_a_migration_that_breaks_off_changes_nothing(
    store: DatabaseStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(asked(0))
    store.close()
    older(path, monkeypatch, fails=True)
    with pytest.raises(StoreError, match="expected to open the study, got 'no such table: nowhere'"):
        DatabaseStore(path)
    assert rows(path, "select version from krigetuner") == [(2,)]
    assert "colour" not in str(rows(path, "select sql from sqlite_master where name = 'trials'"))


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    change(path, "create table events (id integer)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"expected a KrigeTuner study, got tables of another program \(events\)"):
        DatabaseStore(path)
    assert path.read_bytes()[100:] == before[100:]


@pytest.mark.parametrize("content", [b"this is a text, not a database" * 50, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_named_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"study.sqlite: expected to open the study, got '.*'; it is damaged"):
        DatabaseStore(path)
    assert path.read_bytes() == content


def test_a_url_that_cannot_be_one() -> None:
    with pytest.raises(StoreError, match=r"storage: expected a path, 'memory' or a SQLAlchemy URL .* got '://'"):
        DatabaseStore("://")
    with pytest.raises(StoreError, match=r"(?s)nosuch://.*expected to open the study"):
        DatabaseStore("nosuch://host/x")


def test_a_directory_in_the_place_of_the_file(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(
        StoreError, match="expected to open the study, got 'unable to open database file'; the directory"
    ):
        DatabaseStore(path)


AS_NOBODY = """
import os, sys
from krigetuner.errors import StoreError
from krigetuner.store.database import DatabaseStore
DatabaseStore("sqlite://").close()  # everything is imported while files can be read
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    DatabaseStore(sys.argv[1])
except StoreError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("exists", [False, True])
def test_a_read_only_directory(exists: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = root / "study.sqlite" if exists else root / "project" / "study.sqlite"
        if exists:
            store = DatabaseStore(path)
            store.append(OPENED)
            store.close()
            path.chmod(0o444)
        root.chmod(0o555)
        command = [sys.executable, "-c", AS_NOBODY, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        root.chmod(0o755)
        assert str(path) in done.stdout
        assert "choose another directory or change its permissions" in done.stdout
        if exists:
            assert rows(path, "select kind from events") == [("StudyOpened",)]


def test_a_full_disk_loses_nothing_and_the_study_goes_on_when_there_is_room(store: DatabaseStore, path: Path) -> None:
    raw = store._connection._raw
    store.append(OPENED)
    pages = raw.cursor().execute("PRAGMA page_count").fetchone()[0]
    raw.cursor().execute(f"PRAGMA max_page_count={pages + 20}")
    number = 0

    def fill() -> None:
        nonlocal number
        while True:
            store.append(asked(number))
            number += 1

    with pytest.raises(StoreError, match=r"study\.sqlite: expected to write .*disk is full'; free some space and run"):
        fill()
    assert number > 20
    with pytest.raises(StoreError, match="free some space"):
        store.append(e.StateSaved("big", {"x": "y" * 100_000}))
    assert texts(event for _, event in store.read(1)) == texts(map(asked, range(number)))
    raw.cursor().execute("PRAGMA max_page_count=1000000")
    assert store.append(asked(number)) == number + 2
    assert portrait(store.state()) == portrait(fold(store.read()))


@pytest.mark.skipif(os.name == "nt", reason="a file that is open cannot be removed there")
@pytest.mark.parametrize("whole_directory", [True, False])
def test_a_file_that_is_removed_meanwhile_is_noticed_and_written_again(
    store: DatabaseStore, path: Path, whole_directory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append_all([OPENED, asked(0)])
    monkeypatch.chdir(path.parent.parent)
    if whole_directory:
        shutil.rmtree(path.parent)
    else:
        path.unlink()
    for _ in range(2):  # the second time the file is there, and is not what would be written
        with pytest.raises(StoreError, match=r"removed or renamed meanwhile\. What was recorded is there again"):
            store.append(asked(1))
    assert sorted(p.name for p in path.parent.iterdir()) == ["study.sqlite"]
    again = DatabaseStore(path)
    store.close()  # takes nothing of the new file's along
    assert texts(event for _, event in again.read()) == texts([OPENED, asked(0)])
    assert again.append(asked(1)) == 3
    again.close()


def test_the_file_of_a_uri_is_another_one_than_its_text_says(path: Path) -> None:
    path.parent.mkdir()
    made = DatabaseStore(f"sqlite:///file:{path}?uri=true")
    assert made.append(OPENED) == 1
    made.close()
    assert path.exists()


def test_a_file_that_cannot_be_looked_at_is_written_all_the_same(
    store: DatabaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(self: Path, **_: Any) -> Any:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(self))

    store.append(OPENED)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", stale)
        assert store.append(asked(0)) == 2
    assert texts(event for _, event in store.read()) == texts([OPENED, asked(0)])


def test_a_file_that_is_removed_and_cannot_be_written_again(store: DatabaseStore, path: Path) -> None:
    store.append_all([OPENED, asked(0)])
    shutil.rmtree(path.parent)
    path.parent.touch()
    with pytest.raises(StoreError, match="could not be written again"):
        store.append(asked(1))


def test_text_that_is_not_unicode_is_an_error_and_not_recorded(store: DatabaseStore) -> None:
    store.append(OPENED)
    with pytest.raises((StoreError, UnicodeEncodeError)):
        store.append(e.TrialAsked(0, "\ud800", {}, Origin("random"), 1))
    assert len(list(store.read())) == 1


def test_an_interruption_behind_a_commit_is_noticed(store: DatabaseStore) -> None:
    store.append(OPENED)
    store.append(asked(0))
    store._position = 1  # as if Ctrl-C had come between the commit and its noting down
    assert store.append(asked(1)) == 3
    assert portrait(store.state()) == portrait(fold(store.read()))
