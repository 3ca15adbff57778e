"""Folds of a trial that runs: means with their folds, and what is kept of a trial that was cut short."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from krigetuner.adapters import kept_folds
from krigetuner.adapters.fold_means import FoldMeans, numbers
from krigetuner.adapters.function import executions
from krigetuner.adapters.kept_folds import KeptFolds
from krigetuner.trial.objective import Objective

SCORE = Objective("score", "max")


def test_means_become_one_execution_for_each_fold() -> None:
    means = FoldMeans([{"score": np.float64(0.5), "r": [1, 2]}, {"score": 1.0, "extra": 3}])
    assert means == {"score": 0.75, "extra": 3.0}
    assert [e.metrics for e in executions(means, SCORE, "run_trial")] == [{"score": 0.5}, {"score": 1.0, "extra": 3.0}]


def test_code_that_changes_the_means_is_believed() -> None:
    means = FoldMeans([{"score": 0.5}, {"score": 1.0}])
    means["score"] -= 0.25
    assert [e.metrics for e in executions(means, SCORE, "run_trial")] == [{"score": 0.5}]
    assert [e.metrics for e in executions({**FoldMeans([{"score": 1.0}]), "more": 2}, SCORE, "run_trial")] == [
        {"score": 1.0, "more": 2.0}
    ]
    assert FoldMeans([{"score": math.nan}]).untouched()


def test_what_are_numbers() -> None:
    assert numbers({"a": np.float32(2.0), "b": np.ones(3), "c": "text", "d": True}) == {"a": 2.0, "d": 1.0}


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_folds, "WORTH_KEEPING", 0.0)


@pytest.mark.usefixtures("eager")
def test_a_later_attempt_finds_what_was_kept(tmp_path: Path) -> None:
    first = KeptFolds(tmp_path / "t", "key", again=False)
    first.add({"score": np.float64(0.1), "array": np.ones(2)}, 1.0)
    first.add({"score": math.inf}, 1.0)
    (tmp_path / "t" / ".writing-x").mkdir()
    second = KeptFolds(tmp_path / "t", "key", again=True)
    assert second.folds == [{"score": 0.1}, {"score": math.inf}]
    assert KeptFolds(tmp_path / "t", "other folds", again=True).folds == []
    second.remove()
    assert KeptFolds(tmp_path / "t", "key", again=True).folds == []
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_costs_the_folds_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / kept_folds.NAME).write_text('{"key": "key", "fol')
    assert KeptFolds(tmp_path, "key", again=True).folds == []
    assert "the folds are run again" in caplog.text


@pytest.mark.usefixtures("eager")
def test_a_first_attempt_takes_nothing_over(tmp_path: Path) -> None:
    KeptFolds(tmp_path, "key", again=False).add({"score": 0.1}, 1.0)
    assert KeptFolds(tmp_path, "key", again=False).folds == []
    assert KeptFolds(tmp_path, "key", again=True).folds == []


def test_quick_folds_write_nothing(tmp_path: Path) -> None:
    kept = KeptFolds(tmp_path / "t", "key", again=False)
    kept.add({"score": 0.1}, kept_folds.WORTH_KEEPING / 2)
    assert not tmp_path.joinpath("t").exists()
    kept.add({"score": 0.1}, kept_folds.WORTH_KEEPING / 2)
    assert KeptFolds(tmp_path / "t", "key", again=True).folds == [{"score": 0.1}] * 2
