"""Damaged files: what can be read of them goes on elsewhere, and they stay as they are."""

from __future__ import annotations

import itertools
import random
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from tests.contracts.store import portrait, same_reports, stories, texts
from tests.faults.append_script import story

from krigetuner.cli import main
from krigetuner.errors import StoreError
from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.store.mending import Remains, mend
from krigetuner.store.replay import StudyState, fold
from krigetuner.store.salvage import recovered_path, salvage
from krigetuner.trial.trial import TrialStatus

OPENED = e.StudyOpened("s", {"name": "loss", "direction": "min"}, "random", {"a": 1}, "cpp", 1, 7.0, "0.1")
CONFIG = {"class_name": "Float", "config": {"name": "x", "min_value": 0.0, "max_value": 1.0, "conditions": []}}
EVENTS = (OPENED, e.SpaceGrew((CONFIG,), (), 1.0), *itertools.islice(story(0), 1500))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "study.sqlite"
    with closing(DatabaseStore(path)) as store:
        store.append_all(EVENTS)
    return path


def read_back(path: Path) -> tuple[list[e.Event], StudyState]:
    """The events of a file, which can be conducted."""
    with closing(DatabaseStore(path)) as store:
        events = [event for _, event in store.read()]
        assert portrait(store.state()) == portrait(fold(enumerate(events, 1)))
        reports = [x for x in events if isinstance(x, e.TrialReported) and x.metrics]
        assert same_reports(store.measurements(), sorted(reports, key=lambda x: x.number))
        state = store.state()
        assert list(state.trials) == list(range(len(state.trials)))
        assert store.append(e.StudyClosed("goes on")) == len(events) + 1
    return events, state


def cut(data: bytearray, rng: random.Random) -> None:
    del data[int(len(data) * rng.uniform(0.3, 0.95)) :]


def zeroed_page(data: bytearray, rng: random.Random) -> None:
    page = rng.randrange(1, len(data) // 4096)
    data[4096 * page : 4096 * (page + 1)] = bytes(4096)


def noise(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(4096, len(data) - 30_000)
    data[start : start + 30_000] = rng.randbytes(30_000)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("damage", [cut, zeroed_page, noise])
def test_what_is_readable_goes_on(whole: Path, tmp_path: Path, damage: Any, seed: int) -> None:
    data = bytearray(whole.read_bytes())
    damage(data, random.Random(seed))
    path = tmp_path / "study.sqlite"
    path.write_bytes(data)
    found = salvage(path)
    assert path.read_bytes() == data
    assert sorted(p.name for p in tmp_path.iterdir()) == ["study-recovered.sqlite", "study.sqlite"]
    _, state = read_back(found.path)
    before = {r.trial_id: r for r in fold(enumerate(EVENTS, 1)).trials.values()}
    for record in state.trials.values():
        original = before[record.trial_id]
        assert (record.values, record.origin) == (original.values, original.origin)
        if record.status == TrialStatus.COMPLETED:
            assert (record.score, record.metrics.keys()) == (original.score, original.metrics.keys())
    assert (found.trials, found.events + found.lost) == (len(state.trials), len(EVENTS))
    if damage is zeroed_page:
        assert len(state.trials) > 0.9 * len(before)


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_gives_anything_but_a_study_or_a_plain_error(tmp_path: Path, seed: int) -> None:
    path, rng = tmp_path / "study.sqlite", random.Random(seed)
    with closing(DatabaseStore(path)) as store:
        store.append_all(EVENTS[:150])
    data = bytearray(path.read_bytes())
    for _ in range(1 + seed % 3):
        start, length = rng.randrange(len(data)), rng.choice([1, 20, 3000])
        data[start : start + length] = rng.randbytes(len(data[start : start + length]))
    for _ in range(20 * (seed % 2)):
        data[rng.randrange(100 * (seed % 4), len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    try:
        read_back(salvage(path).path)
    except StoreError as error:
        assert "got none of it" in str(error)  # noqa: PT017 - either is right
    try:
        with closing(DatabaseStore(path)) as store:
            assert store.state() is not None
            assert len(list(store.read())) + len(list(store.measurements())) >= 0
    except StoreError as error:
        assert str(path) in str(error)  # noqa: PT017


def test_a_whole_file_and_one_with_a_log_are_recovered_whole(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    shutil.copyfile(whole, path)
    with closing(DatabaseStore(path)) as store:
        store.append(e.StudyClosed("only in the log"))
        assert main(["recover", str(tmp_path), "--to", str(tmp_path / "new" / "copy.sqlite")]) == 0
    events, _ = read_back(tmp_path / "new" / "copy.sqlite")
    assert texts(events) == texts([*EVENTS, e.StudyClosed("only in the log")])
    assert main(["recover", str(tmp_path), "--to", str(tmp_path / "new" / "copy.sqlite")]) == 1  # nothing overwritten


def test_a_conductor_of_a_damaged_study_is_told_where_the_rest_is(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    path.write_bytes(whole.read_bytes()[: 4096 * 30])
    before = path.read_bytes()
    with pytest.raises(
        StoreError, match=r"malformed'; it is damaged: .*no event in it was changed\. events that could be"
    ):
        _ = DatabaseStore(path).state()
    assert path.read_bytes()[100:] == before[100:]  # the counter in its head apart
    _, state = read_back(recovered_path(path))
    assert len(state.trials) > 10
    recovered = recovered_path(path).read_bytes()
    with pytest.raises(StoreError, match=r"an earlier attempt could read of it is in .*study-recovered\.sqlite"):
        _ = DatabaseStore(path).state()
    assert recovered_path(path).read_bytes() == recovered
    with pytest.raises(StoreError, match="`krigetuner recover` writes what is readable"):
        _ = DatabaseStore(path, read_only=True).state()


def test_a_file_of_which_nothing_is_left(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "study.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 50_000)
    with pytest.raises(StoreError, match=r"it is damaged.*nothing of it could be recovered .*restore a copy"):
        DatabaseStore(path)
    assert [p.name for p in tmp_path.iterdir()] == ["study.sqlite"]
    assert main(["recover", str(tmp_path)]) == 1
    assert "expected a study that can be read at least in part, got none of it" in capsys.readouterr().err
    path.unlink()
    assert main(["recover", str(tmp_path)]) == 1
    assert "expected a study to recover, got no file" in capsys.readouterr().err


def killed(directory: Path, count: int = 600) -> Path:
    """A study as a killed process leaves it, most of it in the log."""
    path = directory / "study.sqlite"
    directory.mkdir(exist_ok=True)
    with closing(DatabaseStore(directory / "living.sqlite")) as store:
        for event in EVENTS[:count]:
            store.append(event)
        for ending in ("", "-wal"):
            shutil.copyfile(directory / f"living.sqlite{ending}", directory / f"study.sqlite{ending}")
    (directory / "living.sqlite").unlink()
    return path


@pytest.mark.parametrize("left", ["an empty file", "no file"])
def test_a_log_whose_file_is_gone_is_not_lost_to_whoever_looks_or_goes_on(
    tmp_path: Path, left: str, capsys: Any
) -> None:
    path = killed(tmp_path)
    log = path.with_name("study.sqlite-wal")
    recorded = log.read_bytes()
    path.unlink()
    if left == "an empty file":
        path.touch()
    assert main(["show", str(tmp_path)]) == 1
    with pytest.raises(StoreError, match=f"expected the study that study.sqlite-wal belongs to, got {left}; that log"):
        DatabaseStore(path)
    assert main(["recover", str(tmp_path), "--to", str(tmp_path / "found.sqlite")]) == 0
    assert log.read_bytes() == recorded
    _, state = read_back(tmp_path / "found.sqlite")
    assert len(state.trials) > 50
    log.unlink()
    DatabaseStore(path).close()


def test_a_log_of_several_rounds_and_one_that_is_none(tmp_path: Path) -> None:
    path = killed(tmp_path, 1500)
    path.unlink()
    path.touch()
    _, state = read_back(salvage(path).path)
    assert len(state.trials) > 50
    for content in (b"no log" * 100, b"\xff" * 10_000, path.with_name("study.sqlite-wal").read_bytes()[:100]):
        other = tmp_path / f"{len(content)}" / "study.sqlite"
        other.parent.mkdir()
        other.with_name("study.sqlite-wal").write_bytes(content)
        with pytest.raises(StoreError, match="got none of it; restore a copy"):
            salvage(other)


def test_the_way_on_with_what_was_recovered_names_the_log(tmp_path: Path, capsys: Any) -> None:
    path = killed(tmp_path)
    assert main(["recover", str(tmp_path)]) == 0  # a log that stays would be read into the file that takes the place
    assert f"move {path} and its -wal away and the new file to its place" in capsys.readouterr().out


@given(events=stories(24), holes=..., rows=...)
def test_events_with_any_holes_are_a_story(events: list[e.Event], holes: list[bool], rows: list[bool]) -> None:
    state = fold(enumerate(events, 1))
    gone = dict(enumerate(holes, 1))
    kept = {p: x for p, x in enumerate(events, 1) if not gone.get(p, False)}
    trials = {n: r for n, r in state.trials.items() if n < len(rows) and rows[n]}
    mended = mend(Remains(kept, trials, list(state.parameters.values()), len(events)))
    after = fold(enumerate(mended, 1))
    assert isinstance(mended[0], e.StudyOpened)
    assert list(after.trials) == list(range(len(after.trials)))
    assert set(after.parameters) == set(state.parameters)
    for event in kept.values():
        if isinstance(event, e.TrialAsked):
            assert event.trial_id in after.numbers
    for record in trials.values():
        again = after.trials[after.numbers[record.trial_id]]
        over = (TrialStatus.COMPLETED, TrialStatus.FAILED)
        assert (again.status in over) == (record.status in over)
    if not any(holes) and len(kept) == len(events):
        assert texts(mended) == texts(events)


def test_a_study_whose_begin_is_lost_has_its_options_from_its_row(whole: Path) -> None:
    kept = {p: x for p, x in enumerate(EVENTS, 1) if p > 12}
    state = fold(enumerate(mend(Remains(kept, {}, [], 0, OPENED)), 1))
    assert (state.name, state.seed, state.options) == ("s", 1, {"a": 1})
    assert mend(Remains(kept, {}, [], 0))[0] == e.StudyOpened("", {"candidates": []}, "", {}, "", None, 0.0, "")
