"""What a chief leaves behind for workers that come when it is gone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from krigetuner.run.network import last_word

OVER: dict[str, Any] = {"kind": "done", "reason": "all trials", "run": "r", "search": 2}
TOLD = {"kind": "done", "reason": "all trials", "run": "r"}


@pytest.mark.parametrize(
    ("age", "waited", "believed"),
    [(-5.0, 0.0, True), (30.0, 0.0, False), (30.0, 61.0, True), (3600.0, 61.0, False)],
    ids=["since this process began", "a moment before", "a moment before, and nobody comes", "an earlier run"],
)
def test_what_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, waited: float, believed: bool
) -> None:
    last_word.leave(tmp_path, OVER)
    monkeypatch.setattr(last_word, "STARTED", time.time() + age)
    assert last_word.find(tmp_path, 1, waited) == (TOLD if believed else None)
    assert last_word.find(tmp_path, 2, waited) == (TOLD if believed else None)
    assert last_word.find(tmp_path, 3, waited) is None  # that search is still to come


def test_a_new_search_withdraws_it(tmp_path: Path) -> None:
    last_word.leave(tmp_path, OVER)
    last_word.withdraw(tmp_path)
    assert last_word.find(tmp_path, 1, 100.0) is None
    last_word.withdraw(tmp_path)
    last_word.leave(tmp_path / "nowhere", OVER)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null", json.dumps({"time": "soon"}), '{"time": 9e99}'])
def test_a_file_that_is_not_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / last_word.NAME).write_text(text)
    assert last_word.find(tmp_path, 1, 100.0) is None
