"""Values that are enqueued and observations that are given."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.tuners.oracle_driver import MIN, ORACLES, drive, finish, mixed, points_18, random_oracle

from krigetuner.errors import KrigeTunerWarning
from krigetuner.oracles import BayesianOptimizationOracle, RandomSearchOracle
from krigetuner.space import HyperParameters


@pytest.mark.parametrize("make", ORACLES)
def test_enqueued_values_come_first_and_count(make: Any) -> None:
    oracle = make(objective=MIN, max_trials=3, hyperparameters=mixed(), seed=0)
    oracle.enqueue({"units": 24, "rate": 0.5})
    oracle.enqueue({"kind": "b", "flag": True})
    seen = drive(oracle)
    assert len(seen) == 3
    assert seen[0] == {"rate": 0.5, "units": 24, "kind": "a"}
    assert seen[1] == {"rate": 1e-4, "units": 8, "kind": "b", "flag": True}
    assert oracle._ledger.state.trials[0].origin.algorithm == "queue"
    oracle.max_trials += 1
    oracle.enqueue({"units": 24, "rate": 0.5})
    assert drive(oracle)[0] not in seen, "what was enqueued before is not tried again"


def test_an_enqueued_value_must_be_one_of_its_own_branch() -> None:
    hp = HyperParameters()
    hp.Choice("model", ["a", "b"])
    hp.Float("x", 0.0, 1.0, parent_name="model", parent_values=["a"])
    hp.Int("x", 1, 3, parent_name="model", parent_values=["b"])
    oracle = RandomSearchOracle(MIN, 5, hyperparameters=hp)
    for model, x in (("a", 3), ("b", 0.5)):
        with pytest.raises(ValueError, match=f"x: expected .*got {x}"):
            oracle.enqueue({"model": model, "x": x})
    for model, x in (("a", 0.5), ("b", 3)):
        oracle.enqueue({"model": model, "x": x})
        assert oracle.create_trial(f"worker of {model}").hyperparameters.values == {"model": model, "x": x}


def test_enqueued_names_may_be_discovered_later() -> None:
    oracle = RandomSearchOracle(MIN, max_trials=2, seed=0)
    oracle.enqueue({"batch_size": 64})
    trial = oracle.create_trial("t")
    assert trial.hyperparameters.Choice("batch_size", [16, 32, 64]) == 64
    finish(oracle, trial, 1.0)
    assert oracle.results()["batch_size"].tolist() == [64]


def test_enqueued_names_that_a_known_space_lacks_are_reported_at_once_and_once() -> None:
    oracle = random_oracle()
    text = r"enqueue: expected names among \['a', 'b', 'c'\], got \['lerning_rate'\]"
    with pytest.warns(KrigeTunerWarning, match=text):
        oracle.enqueue({"a": 2, "lerning_rate": 0.1})
    drive(oracle, 1)


def test_enqueued_names_that_nobody_asks_for_are_reported() -> None:
    oracle = RandomSearchOracle(MIN, 3)
    oracle.enqueue({"a": 2, "lerning_rate": 0.1})
    trial = oracle.create_trial("t")
    trial.hyperparameters.Int("a", 1, 3)
    text = r"enqueue: expected names that the code asks for, got \['lerning_rate'\]"
    with pytest.warns(KrigeTunerWarning, match=text):
        finish(oracle, trial, 1.0)


@pytest.mark.parametrize(
    ("values", "text"),
    [({"units": 9}, "units: expected"), ({"kind": "z"}, "kind: expected one of"), ([1], "values: expected a dict")],
)
def test_values_that_cannot_be_are_refused(values: Any, text: str) -> None:
    oracle = RandomSearchOracle(MIN, hyperparameters=mixed())
    with pytest.raises((ValueError, TypeError), match=text):
        oracle.enqueue(values)
    with pytest.raises((ValueError, TypeError), match=text):
        oracle.add_observation(values, 1.0)
    assert oracle.trials == {}


def test_unknown_names_are_refused_when_nothing_may_be_new() -> None:
    oracle = random_oracle(allow_new_entries=False)
    with pytest.raises(ValueError, match=r"values: expected names among \['a', 'b', 'c'\], got \['typo'\]"):
        oracle.enqueue({"typo": 1})


@pytest.mark.parametrize("make", ORACLES)
def test_an_observation_is_a_completed_trial_that_does_not_count(make: Any) -> None:
    oracle = make(objective=MIN, max_trials=2, hyperparameters=points_18(), seed=0)
    trial = oracle.add_observation({"a": 1, "b": "x", "c": False}, {"loss": 0.5, "other": 3})
    assert (trial.status, trial.score, trial.metrics.get_best_value("other")) == ("COMPLETED", 0.5, 3.0)
    assert oracle.remaining_trials() == 2
    assert oracle.add_observation({"a": 1, "b": "x", "c": False}, {"loss": 0.5, "other": 3}) is trial
    assert {"a": 1, "b": "x", "c": False} not in drive(oracle)
    assert len(oracle.trials) == 3
    assert oracle.add_observation({"a": 3}, 0.25) is oracle.get_best_trials(1)[0]


def test_names_of_an_observation_that_a_known_space_lacks_are_reported() -> None:
    oracle = random_oracle()
    text = r"add_observation: expected names among \['a', 'b', 'c'\], got \['lerning_rate'\]"
    with pytest.warns(KrigeTunerWarning, match=text):
        oracle.add_observation({"a": 2, "lerning_rate": 0.1}, 1.0)
    assert oracle.remaining_trials() == 10


def test_observations_are_initial_points_of_bayesian_optimization() -> None:
    oracle = BayesianOptimizationOracle(MIN, 20, num_initial_points=4, hyperparameters=mixed(), seed=0)
    for i in range(4):
        oracle.add_observation({"units": 8 + 8 * i, "rate": 0.1}, float(i))
    oracle.create_trial("t")
    assert "start" not in oracle._ledger.state.trials[4].origin.note


def test_an_observation_needs_a_score() -> None:
    oracle = random_oracle()
    with pytest.raises(ValueError, match="expected a number for 'loss', got nan"):
        oracle.add_observation({"a": 1}, {"loss": math.nan})
    with pytest.raises(ValueError, match="Objective value missing"):
        oracle.add_observation({"a": 1}, {"acc": 1.0})
    with pytest.raises(TypeError, match="expected a number for 'loss'"):
        oracle.add_observation({"a": 1}, {"loss": "low"})
