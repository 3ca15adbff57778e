"""The one file to run where only one can be: a fresh environment with nothing but the package and pytest."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

import krigetuner as kt


@pytest.fixture(params=["cpp", "numpy"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param not in kt.config.backends_available():
        pytest.skip(f"backend {request.param} is not available here")
    kt.config.set_backend(request.param)
    yield str(request.param)
    kt.config.set_backend(None)


def loss(values: dict[str, Any]) -> float:
    """Lowest, 0, at rate 0.01, 6 units, kind "b"."""
    penalty = 0.0 if values["kind"] == "b" else 1.0
    return penalty + (math.log10(values["rate"]) + 2) ** 2 + (values["units"] - 6) ** 2 / 16


def searched(seed: int, trials: int = 25) -> list[dict[str, Any]]:
    """The values of a search's trials, in order."""
    hp = kt.HyperParameters()
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    hp.Int("units", 1, 16)
    hp.Choice("kind", ["a", "b", "c"])
    oracle = kt.oracles.BayesianOptimizationOracle(
        objective=kt.Objective("loss", "min"), max_trials=trials, hyperparameters=hp, seed=seed
    )
    tried = []
    for _ in range(trials):
        trial = oracle.create_trial("tuner")
        tried.append(dict(trial.hyperparameters.values))
        oracle.update_trial(trial.trial_id, {"loss": loss(trial.hyperparameters.values)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert oracle.get_best_trials(1)[0].score == min(map(loss, tried))
    return tried


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    kt.show_versions()
    assert re.search(rf"^krigetuner +{re.escape(kt.__version__)}$", capsys.readouterr().out, re.MULTILINE)


def test_type_checkers_read_the_annotations() -> None:
    assert files("krigetuner").joinpath("py.typed").is_file()


def test_a_search_finds_the_minimum(backend: str) -> None:
    assert kt.config.get_backend() == backend
    tried = searched(seed=0)
    assert min(map(loss, tried)) < 0.1
    assert len({str(sorted(values.items(), key=str)) for values in tried}) == len(tried)


def test_a_seed_gives_the_same_search(backend: str) -> None:
    assert searched(seed=3, trials=8) == searched(seed=3, trials=8)


def test_the_backends_suggest_the_same() -> None:
    if "cpp" not in kt.config.backends_available():
        pytest.skip("the C++ core is not available here")
    found = []
    for name in ("cpp", "numpy"):
        kt.config.set_backend(name)
        found.append(searched(seed=1, trials=8))
    kt.config.set_backend(None)
    for one, other in zip(*found, strict=True):
        assert one["kind"] == other["kind"]
        assert one["units"] == other["units"]
        assert one["rate"] == pytest.approx(other["rate"], rel=1e-5)
