"""Files of trials: no name leads out of the project, files are whole or absent, overwriting removes only ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.conductors import conductor, finish

from krigetuner.errors import KrigeTunerWarning, StoreError, StudyLocked
from krigetuner.store import events as e
from krigetuner.store.artifacts import remove_leftovers, safe_name, trial_directory, written_whole
from krigetuner.store.memory import MemoryStore
from krigetuner.store.project import open_store
from krigetuner.trial.history import Origin

OPENED = e.StudyOpened("s", {"name": "loss", "direction": "min"}, "random", {}, "cpp", 1, 0.0, "0.1")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "...",
        "../x",
        "a/b",
        "a\\b",
        "/etc",
        "C:x",
        "x\0",
        "a\nb",
        " x",
        "x ",
        "NUL",
        "con.txt",
        "a" * 201,
        "\ud800",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"name: expected one that can be a file's name .*, got .*; choose another"):
        trial_directory(tmp_path, name, create=True)
    assert list(tmp_path.iterdir()) == []


@given(name=st.text(max_size=12))
def test_every_accepted_name_stays_inside(name: str) -> None:
    try:
        safe_name(name)
    except ValueError:
        return
    path = trial_directory("/project", name)
    assert path.parent == Path("/project")
    assert ".." not in path.parts
    assert path.resolve().parent == Path("/project").resolve()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StoreError, match=r"directory: expected one that can be written, got .*file/trial_0000 \(Not a dir"
    ):
        trial_directory(tmp_path / "file", "0000", create=True)


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "best.weights.h5"
    with written_whole(path) as beside:
        beside.write_text("first")
        assert beside.suffixes == path.suffixes
        assert not path.exists()
    assert path.read_text() == "first"

    def break_off() -> None:
        with written_whole(path) as beside:
            beside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert path.read_text() == "first"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    (tmp_path / ".writing-x").mkdir()
    (tmp_path / ".writing-x" / "half").touch()
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def recorded(root: Path, storage: str | None = None) -> None:
    """A study with the trials 0000 and 0001, and foreign files beside them."""
    store = open_store(root, storage)
    store.append(OPENED)
    for number in range(2):
        store.append(e.TrialAsked(number, f"{number:04d}", {}, Origin("random"), 1))
    store.close()
    for name in ("0000", "0001"):
        (trial_directory(root, name, create=True) / "best.weights.h5").touch()
    for foreign in ("notes.txt", "trial_mine/data.csv", "trial_0001.txt", "study.sqlite.backup"):
        path = root / foreign
        path.parent.mkdir(exist_ok=True)
        path.touch()


FOREIGN = ["notes.txt", "study.sqlite.backup", "trial_0001.txt", "trial_mine"]


@pytest.mark.parametrize("damage", [False, True])
def test_overwriting_removes_only_our_own_files(tmp_path: Path, damage: bool) -> None:
    recorded(tmp_path)
    if damage:
        (tmp_path / "study.sqlite").write_text("this is no database at all")
    store = open_store(tmp_path, overwrite=True)
    assert list(store.read()) == []
    store.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*FOREIGN, "study.sqlite"])
    assert (tmp_path / "trial_mine" / "data.csv").exists()


def test_overwriting_in_a_shared_database_removes_one_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for project in ("a", "b"):
        (tmp_path / project).mkdir()
        recorded(tmp_path / project, url)
    store = open_store(tmp_path / "a", url, overwrite=True)
    assert store.state().position == 0
    store.close()
    other = open_store(tmp_path / "b", url)
    assert len(other.state().trials) == 2
    other.close()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == FOREIGN


def test_a_study_that_is_being_conducted_is_not_overwritten(tmp_path: Path) -> None:
    recorded(tmp_path)
    process = conductor(tmp_path / "study.sqlite")
    with pytest.raises(StudyLocked, match=f"held by process {process.pid} .*; end that process.*`krigetuner show`"):
        open_store(tmp_path, overwrite=True)
    finish(process)
    assert (tmp_path / "trial_0000").exists()
    open_store(tmp_path, overwrite=True).close()
    assert not (tmp_path / "trial_0000").exists()


def test_a_search_in_an_empty_file_says_that_it_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").touch()
    with pytest.warns(KrigeTunerWarning, match=r"study.sqlite: expected a recorded study or no file, got an empty one"):
        store = open_store(tmp_path)
    assert store.append(OPENED) == 1
    store.close()
    open_store(tmp_path).close()  # without a warning
    (tmp_path / "study.sqlite").write_bytes(b"")
    open_store(tmp_path, overwrite=True).close()


def test_memory_leaves_no_file(tmp_path: Path) -> None:
    root = tmp_path / "project"
    assert isinstance(open_store(root, "memory"), MemoryStore)
    assert isinstance(open_store(root, "memory", overwrite=True), MemoryStore)
    assert not root.exists()


def test_an_absent_project_is_made_and_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / ".krigetuner").touch()
    root = tmp_path / "new" / "project"
    open_store(root, overwrite=True).close()
    (root / "trial_0000").symlink_to(target, target_is_directory=True)
    open_store(root, overwrite=True).close()
    assert (target / ".krigetuner").exists()
