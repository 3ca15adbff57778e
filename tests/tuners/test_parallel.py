"""Searches whose trials run in worker processes of this machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import ShuffleSplit
from tests.tuners.odd_trials import Branches, Dies, Hoards, Sums, story
from tests.tuners.parabola import Parabola

from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle, RandomSearchOracle
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.sklearn_tuner import SklearnTuner
from krigetuner.tuners.trial import Trial


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No process that a test has started outlives it."""
    before = set(children())
    yield
    assert not set(children()) - before


def test_one_worker_process_finds_what_this_process_finds(tmp_path: Path, opened: list[BaseTuner]) -> None:
    for workers in (None, 1):
        oracle = BayesianOptimizationOracle("loss", max_trials=8, seed=4)
        opened.append(Branches(oracle, directory=tmp_path / str(workers)))
        opened[-1].search(verbose=0, workers=workers)
    assert story(opened[0]) == story(opened[1])


def test_a_hypermodel_of_the_script_travels(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Square(HyperModel):  # travels by value, as a class of a script does
        def build(self, hp: HyperParameters) -> float:
            return hp.Float("x", -1.0, 1.0) ** 2

    class Builds(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return self.hypermodel.build(trial.hyperparameters)

    tuner = Builds(Square(), max_trials=2, directory=tmp_path, seed=0)
    opened.append(tuner)
    tuner.search(verbose=0, workers=1)
    trials = tuner.oracle.trials.values()
    assert [t.score for t in trials] == [t.hyperparameters.values["x"] ** 2 for t in trials]


def test_the_searching_process_leaves_the_gpus_to_the_workers(
    tmp_path: Path, opened: list[BaseTuner], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensorflow, jax = names = "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE"
    seen = []

    def build(hp: HyperParameters) -> float:
        seen.append([os.environ.get(name) for name in names])
        return hp.Float("x", -1.0, 1.0)

    class Builds(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return self.hypermodel.build(trial.hyperparameters)

    monkeypatch.delenv(tensorflow, raising=False)
    monkeypatch.setenv(jax, "a say of the user's own")
    opened.append(Builds(build, max_trials=1, directory=tmp_path))
    assert seen == [["true", "a say of the user's own"]]  # when the space is found, before anything is known of workers
    opened[0].search(verbose=0)
    assert seen[1:] == [[None, "a say of the user's own"]]


def test_a_trial_that_dies_or_hangs_fails_with_its_reason_and_the_search_goes_on(
    tmp_path: Path, opened: list[BaseTuner]
) -> None:
    ways = ["", "segfault", "exit", "hang", "", "segfault"]
    tuner = Dies(max_trials=6, directory=tmp_path, seed=0, max_consecutive_failed_trials=None)
    opened.append(tuner)
    tuner.search(ways, verbose=0, workers=2, trial_timeout=3)
    trials = tuner.oracle.trials
    assert [trials[n].status for n in "012345"] == ["COMPLETED", *["FAILED"] * 3, "COMPLETED", "FAILED"]
    assert "SIGSEGV" in str(trials["1"].message)
    assert str(tmp_path) in str(trials["1"].message)
    assert "trial 2 says hello" in str(trials["2"].message)
    assert "exit code 3" in str(trials["2"].message)
    assert "trial_timeout: expected the trial to end within 3 s" in str(trials["3"].message)
    assert "trial 4 says hello" in (Path(tuner.get_trial_dir("4")) / "output.log").read_text()


def test_retries_bring_such_a_trial_to_its_end(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = Dies(max_trials=2, directory=tmp_path, seed=0, max_retries_per_trial=1)
    opened.append(tuner)
    tuner.search(["", "exit"], verbose=0, workers=2)
    assert [(t.status, t.attempt) for t in tuner.oracle.trials.values()] == [("COMPLETED", 0), ("COMPLETED", 1)]


@pytest.mark.parametrize("deaths", [2, 3])
def test_first_trials_that_die_before_they_ask_for_anything(
    deaths: int, tmp_path: Path, opened: list[BaseTuner]
) -> None:
    ways = [*["exit"] * deaths, *[""] * 4]
    tuner = Dies(max_trials=5, directory=tmp_path, seed=0)
    opened.append(tuner)
    if deaths == 3:
        with pytest.raises(RuntimeError, match=r"(?s)consecutive failures exceeded the limit of 3.*exit code 3"):
            tuner.search(ways, verbose=0, workers=1)
    else:
        tuner.search(ways, verbose=0, workers=1)
        assert [t.status for t in tuner.oracle.trials.values()] == [*["FAILED"] * 2, *["COMPLETED"] * 3]


def test_what_cannot_travel_is_named(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = Parabola(max_trials=2, directory=tmp_path)
    opened.append(tuner)
    tuner.cache = {"lock": threading.Lock()}  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"tuner\.cache\['lock'\]"):
        tuner.search(verbose=0, workers=2)
    del tuner.cache  # type: ignore[attr-defined]
    tuner.search(verbose=0, workers=2)
    assert [t.status for t in tuner.oracle.trials.values()] == ["COMPLETED"] * 2


def test_data_are_shared(tmp_path: Path, opened: list[BaseTuner]) -> None:
    x = np.ones((1000, 300))
    opened.append(Sums(RandomSearchOracle(max_trials=3), directory=tmp_path))
    opened[0].search(x, {"x": x}, verbose=0, workers=2)
    assert {t.score for t in opened[0].oracle.trials.values()} == {300_000.0}


def ridge(hp: HyperParameters) -> Any:
    return Ridge(alpha=hp.Choice("alpha", [0.1, 1.0]), solver=hp.Choice("solver", ["cholesky", "svd"]))


class Saves(SklearnTuner):
    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        result = super().run_trial(trial, *args, **kwargs)
        self.save_model(trial.trial_id, Ridge(alpha=123.0).fit(*args))
        return result


@pytest.mark.slow
def test_scikit_learn(tmp_path: Path, opened: list[BaseTuner]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = x @ [1.0, 2.0, 3.0] + rng.normal(size=60)
    oracle = RandomSearchOracle(Objective("score", "max"), max_trials=4, seed=1)
    opened.append(Saves(oracle, ridge, cv=ShuffleSplit(3), directory=tmp_path))
    opened[0].search(x, y, verbose=0, workers=2)
    scores: dict[float, list[float]] = {}
    for trial in oracle.trials.values():
        scores.setdefault(trial.hyperparameters["alpha"], []).append(trial.score or 0.0)
    assert len(scores) == 2  # solvers agree, so all trials have had the same folds
    assert all(pair == pytest.approx([pair[0]] * 2, rel=1e-6) for pair in scores.values())
    assert opened[0].get_best_models()[0].alpha == 123.0


def test_isolated_trials_begin_with_nothing_and_leave_nothing(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = Hoards(max_trials=4, directory=tmp_path, seed=0)
    opened.append(tuner)
    before = psutil.Process().memory_info().rss
    tuner.search(verbose=0, isolate_trials=True)
    table = tuner.results()
    assert table["kept"].tolist() == [1] * 4
    assert table["process"].nunique() == 4
    assert psutil.Process().memory_info().rss - before < 40e6
