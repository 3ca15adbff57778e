"""Databases that released versions wrote stay readable."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.contracts.store import portrait, same_reports, texts
from tests.golden.make_study import EVENTS

from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.store.replay import fold
from krigetuner.store.salvage import _look_at_pages, salvage
from krigetuner.trial.trial import TrialRecord

GOLDEN = Path(__file__).parents[1] / "golden" / "study-v1.sqlite"


def test_version_1_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    shutil.copy(GOLDEN, path)
    for read_only in (False, True):
        store = DatabaseStore(path, read_only=read_only)
        assert texts(event for _, event in store.read()) == texts(EVENTS)
        assert portrait(store.state()) == portrait(fold(enumerate(EVENTS, 1)))
        reports = [event for event in EVENTS if isinstance(event, e.TrialReported)]
        assert same_reports(store.measurements(), reports)
        store.close()


def test_version_1_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    shutil.copy(GOLDEN, path)
    store = DatabaseStore(path)
    before = store.state()
    assert (before.name, before.closed, before.ended, before.waiting, before.running) == (
        "golden",
        "max_time",
        [0, 1, 3],
        [2],
        {4},
    )
    assert [c["config"]["max_value"] for c in before.parameters.values()] == [64, 2.0]
    assert store.append(e.TrialStarted(2, 1, "w", 1.0)) == len(EVENTS) + 1
    state = store.state()
    assert (state.closed, state.waiting, sorted(state.running)) == (None, [], [2, 4])
    assert portrait(state) == portrait(fold(store.read()))
    store.close()


def test_version_1_can_be_salvaged(tmp_path: Path) -> None:
    path, told = tmp_path / "study.sqlite", fold(enumerate(EVENTS, 1))
    shutil.copy(GOLDEN, path)
    pages: dict[int, TrialRecord] = {}
    _look_at_pages(path, 1, {}, pages)
    assert {n: (r.trial_id, r.values, r.unasked) for n, r in pages.items()} == {
        n: (r.trial_id, r.values, None) for n, r in told.trials.items()
    }
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("delete from events where kind in ('TrialFinished', 'TrialFailed')")
        connection.commit()
    with closing(DatabaseStore(salvage(path).path)) as store:
        found = store.state().trials
    assert {n: (r.status, r.score) for n, r in found.items() if n in told.ended} == {
        n: (told.trials[n].status, told.trials[n].score) for n in told.ended
    }
