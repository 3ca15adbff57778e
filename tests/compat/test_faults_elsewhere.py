"""Faults of KerasTuner 1.4.8 in searches of several processes, B7, and with scikit-learn, B10, that ours has not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.compat.fault_driver import Plain, random_oracle, statuses
from tests.ports import free_port

import krigetuner as kt

SCRIPT = Path(__file__).with_name("crew_script.py")


def crew(folder: Path, mode: str, *names: str) -> dict[str, tuple[int, str]]:
    """Exit status and standard error of each process of a search, all of which end by themselves."""
    place = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free_port())}
    processes = {}
    for name in names:
        environment = {**os.environ, **place, "KERASTUNER_TUNER_ID": name}
        command = [sys.executable, str(SCRIPT), str(folder), mode]
        processes[name] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        errors = {name: process.communicate(timeout=300)[1] for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    return {name: (process.returncode, errors[name]) for name, process in processes.items()}


@pytest.mark.slow
def test_b7_a_killed_workers_trial_is_run_again_and_the_chief_ends(tmp_path: Path) -> None:
    """Also: a space that is known inside a trial only keeps no worker away."""
    ended = crew(tmp_path, "kill", "chief", "strong", "weak")
    assert {name: status for name, (status, _) in ended.items()} == {"chief": 0, "strong": 0, "weak": -9}, ended
    (lost,) = tmp_path.glob("weak-*")
    assert (tmp_path / lost.name.replace("weak", "strong")).exists()
    tuner = Plain(lambda trial: 0.0, random_oracle(4), directory=tmp_path)
    assert statuses(tuner) == ["COMPLETED"] * 4
    tuner.oracle.close()


@pytest.mark.slow
def test_b7_failing_trials_end_the_search_with_the_users_traceback(tmp_path: Path) -> None:
    ended = crew(tmp_path, "fail", "chief", "worker")
    assert all(status == 1 for status, _ in ended.values()), ended
    for _, errors in ended.values():
        assert "consecutive failures exceeded the limit of 3" in errors
        assert "the user's own mistake" in errors


def tuned(folder: Path, build: Any, *data: Any, **options: Any) -> Any:
    oracle = kt.oracles.RandomSearchOracle(objective=kt.Objective("score", "max"), max_trials=1, seed=1)
    tuner = kt.SklearnTuner(oracle, build, directory=folder, overwrite=True, **options)
    tuner.search(*data)
    tuner.oracle.close()
    return tuner


@pytest.fixture
def data() -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(40, 3))
    return x, (x[:, 0] > 0).astype(int)


def test_b10_sample_weight_reaches_fit(data: tuple[Any, Any], tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = data
    labels = np.where(np.arange(40) < 20, y, 1 - y)  # the second half is wrong, and weighs nothing
    weight = np.where(np.arange(40) < 20, 1.0, 0.0)

    def plain(hp: Any) -> Any:
        return LogisticRegression(C=hp.Float("C", 10.0, 100.0))

    def pipeline(hp: Any) -> Any:
        return make_pipeline(StandardScaler(), plain(hp))

    for build in (plain, pipeline):
        tuner = tuned(tmp_path, build, x, labels, weight)
        assert tuner.get_best_models()[0].score(x, y) > 0.85  # without weights the labels tell nothing


def test_b10_series_lists_and_sparse_matrices(data: tuple[Any, Any], tmp_path: Path) -> None:
    import pandas
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    x, y = data

    def build(hp: Any) -> Any:
        return LogisticRegression(C=hp.Float("C", 0.1, 1.0))

    frames, lists = (pandas.DataFrame(x), pandas.Series(y)), (x.tolist(), y.tolist())
    tuners = [tuned(tmp_path, build, *given) for given in ((x, y), frames, lists, (sparse.csr_matrix(x), y))]
    scores = [tuner.oracle.get_best_trials()[0].score for tuner in tuners]
    assert scores == pytest.approx([scores[0]] * 4)


def test_b10_the_best_model_has_seen_all_of_the_data(data: tuple[Any, Any], tmp_path: Path) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    x, y = data
    tuner = tuned(tmp_path, lambda hp: KNeighborsClassifier(hp.Int("n", 1, 3)), x, y)
    assert tuner.get_best_models()[0].n_samples_fit_ == 40
