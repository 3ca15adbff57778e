"""Files of trials at a URL: a mirror of a directory, written in the order of its writing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from krigetuner.errors import MissingDependency, StoreError
from krigetuner.store import remote_files
from krigetuner.store.artifacts import trial_directory
from krigetuner.store.remote_files import RemoteFiles

fsspec: Any = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'krigetuner[remote]'")


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place of either kind, empty."""
    fsspec.filesystem("memory").makedirs("/far", exist_ok=True)
    yield f"file://{tmp_path}/far" if request.param == "file" else "memory://far/search"
    fsspec.filesystem("memory").rm("/far", recursive=True)


def fill(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        path = directory / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def content(directory: Path) -> dict[str, str]:
    return {str(p.relative_to(directory)): p.read_text() for p in directory.rglob("*") if p.is_file()}


def test_what_is_sent_comes_back(url: str, tmp_path: Path) -> None:
    files = RemoteFiles(url)
    files.check()
    files.put("3", fill(tmp_path / "here", a="one", b_c="two"))
    files.get("3", tmp_path / "there")
    assert content(tmp_path / "there") == {"a": "one", "b/c": "two"}


def test_the_url_becomes_what_the_directory_is(url: str, tmp_path: Path) -> None:
    files = RemoteFiles(url)
    here = fill(tmp_path / "here", a="one", b="two")
    files.put("3", here)
    (here / "a").unlink()
    fill(here, b="changed", c="three")
    files.put("3", here)
    files.get("3", tmp_path / "there")
    assert content(tmp_path / "there") == {"b": "changed", "c": "three"}
    RemoteFiles(url).put("3", tmp_path / "absent")
    RemoteFiles(url).get("3", tmp_path / "again")
    assert content(tmp_path / "again") == {}


def test_only_what_has_changed_is_sent_again(tmp_path: Path) -> None:
    files, far = RemoteFiles(f"file://{tmp_path}/far"), tmp_path / "far" / "trial_3"
    here = fill(tmp_path / "here", a="one", b="two")
    files.put("3", here)
    (far / "a").write_text("untouched")
    fill(here, b="changed")
    files.put("3", here)
    assert content(far) == {"a": "untouched", "b": "changed"}


def test_files_are_sent_in_the_order_in_which_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = fill(tmp_path / "here", a="last", b="first", c="second")
    for name, second in (("a", 30), ("b", 10), ("c", 20)):
        os.utime(here / name, (second, second))
    files = RemoteFiles(f"file://{tmp_path}/far")
    real, sent = files._files.put_file, []

    def put_file(path: str, there: str) -> None:
        sent.append(Path(path).name)
        real(path, there)

    monkeypatch.setattr(files._files, "put_file", put_file)
    files.put("3", here)
    assert sent == ["b", "c", "a"]
    assert content(tmp_path / "far" / "trial_3") == {"a": "last", "b": "first", "c": "second"}


def test_marks_and_what_is_being_written_stay_here(url: str, tmp_path: Path) -> None:
    here = trial_directory(tmp_path, "3", create=True)
    fill(here / ".writing-x", a="half")
    fill(here, a="whole")
    files = RemoteFiles(url)
    files.put("3", here)
    files.get("3", tmp_path / "there")
    assert content(tmp_path / "there") == {"a": "whole"}


def test_trials_cannot_lead_elsewhere(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no separators"):
        RemoteFiles(url).put("../../etc", tmp_path)


def test_an_unknown_url_says_so() -> None:
    with pytest.raises(ValueError, match=re.escape('files: expected a URL that fsspec knows, such as "s3://')):
        RemoteFiles("nonsense://bucket")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=re.escape("pip install 'krigetuner[remote]'")):
        RemoteFiles("file:///tmp")


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_files, "TRIES", 1)
    (tmp_path / "file").touch()
    files = RemoteFiles(f"file://{tmp_path}/file/below")
    with pytest.raises(StoreError, match="files: expected a place that can be written, got file://"):
        files.check()
    with pytest.raises(StoreError, match="files: expected that file://"):
        files.put("3", fill(tmp_path / "here", a="one"))
