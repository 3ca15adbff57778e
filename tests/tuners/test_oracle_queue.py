"""Values that are enqueued and observations that are given."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.oracle_driver import MIN, ORACLES, drive, finish, mixed, points_18, random_oracle

from krigetuner.errors import KrigeTunerWarning
from krigetuner.oracles import BayesianOptimizationOracle, HyperbandOracle, RandomSearchOracle
from krigetuner.space import HyperParameters
from krigetuner.tuners.oracle import Oracle


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


def branches(hp: HyperParameters) -> Any:
    """Asks for x in both branches, of another type."""
    kind = hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", [kind]):
        return hp.Float("x", 0.0, 1.0) if kind == "a" else hp.Int("x", 1, 9)


def test_enqueued_values_of_a_branch_that_nobody_knows_yet_are_tried() -> None:
    given = HyperParameters()
    branches(given)
    for hyperparameters in (given, None):
        oracle = RandomSearchOracle(MIN, max_trials=3, seed=0, hyperparameters=hyperparameters)
        oracle._definitions.whole = False  # as of a tuner whose trials may bring up more
        oracle.enqueue({"kind": "a", "x": 0.5})
        oracle.enqueue({"kind": "b", "x": 3})
        for expected in (0.5, 3):
            trial = oracle.create_trial("t")
            x = branches(trial.hyperparameters)
            assert (x, type(x)) == (expected, type(expected))
            finish(oracle, trial, 1.0)
        assert oracle.results()["x"].tolist() == [0.5, 3.0]


def test_observed_values_of_a_branch_that_nobody_knows_yet_are_kept() -> None:
    oracle = RandomSearchOracle(MIN, max_trials=3, seed=0)
    oracle._definitions.whole = False
    trial = oracle.create_trial("t")
    trial.hyperparameters.values["kind"] = "a"
    branches(trial.hyperparameters)
    finish(oracle, trial, 1.0)
    for x in (3, 4):
        oracle.add_observation({"kind": "b", "x": x}, 0.5)
    assert oracle.results()["x"].tolist() == [0.0, 3.0, 4.0]


def test_enqueued_values_that_are_not_active_are_reported() -> None:
    text = r"enqueue: expected names that are active with \{'kind': 'a', 'late': 1\}, got \['x'\] too"
    known = HyperParameters()
    known.Choice("kind", ["a", "b"])
    known.Int("x", 1, 9, parent_name="kind", parent_values=["b"])
    known.Int("late", 1, 9)
    oracle = RandomSearchOracle(MIN, 3, hyperparameters=known)
    with pytest.warns(KrigeTunerWarning, match=text):
        oracle.enqueue({"x": 3})
    oracle = RandomSearchOracle(MIN, 3)
    oracle.enqueue({"x": 3})
    trial = oracle.create_trial("t")
    for parameter in known.space:
        trial.hyperparameters._retrieve(parameter)
    with pytest.warns(KrigeTunerWarning, match=text):
        finish(oracle, trial, 1.0)
    assert trial.hyperparameters.values == {"kind": "a", "late": 1}


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


def discover_and_finish(oracle: Oracle, trial: Any) -> None:
    """Ends a trial whose code asks for "a" and "b"."""
    hp = trial.hyperparameters
    finish(oracle, trial, hp.Float("a", 0, 1) + hp.Int("b", 0, 5))


@pytest.mark.parametrize("make", [*ORACLES, HyperbandOracle])
def test_observations_of_an_unknown_space_do_not_exhaust_it(make: Any) -> None:
    oracle = make(objective=MIN, max_trials=3, seed=0)
    oracle.add_observation({"a": 0.5, "b": 2}, 2.5)
    for left in (3, 2, 1):
        assert oracle.remaining_trials() == left
        discover_and_finish(oracle, oracle.create_trial("t"))
    seen = [record.values for record in oracle._ledger.state.trials.values()]
    assert len({(values["a"], values["b"]) for values in seen}) == 4
    assert oracle.results()["in_space"].all()


@pytest.mark.parametrize("make", ORACLES)
def test_a_space_that_stays_empty_is_exhausted_by_one_trial_that_ran(make: Any) -> None:
    oracle = make(objective=MIN, max_trials=3, seed=0)
    oracle.add_observation({"a": 0.5}, 2.5)
    trial = oracle.create_trial("t")
    assert (trial.status, oracle.create_trial("other").status) == ("RUNNING", "IDLE")
    finish(oracle, trial, 1.0)
    stopped = oracle.create_trial("t")
    assert (stopped.status, len(oracle.trials)) == ("STOPPED", 2)
    assert "the search space is exhausted" in stopped.message


@pytest.mark.parametrize("make", [*ORACLES, HyperbandOracle])
def test_a_space_that_was_given_is_exhausted_by_observations(make: Any) -> None:
    hp = HyperParameters()
    hp.Boolean("flag")
    oracle = make(objective=MIN, max_trials=3, hyperparameters=hp)
    for flag in (True, False):
        oracle.add_observation({"flag": flag}, float(flag))
    assert oracle.create_trial("t").status == "STOPPED"


def unfit_queue(path: Path, max_trials: int = 3) -> Any:
    """An oracle that had two configurations enqueued before its space was known, the second out of range."""
    oracle = RandomSearchOracle(MIN, max_trials, seed=1)
    oracle._set_project_dir(path, "project")
    oracle.enqueue({"b": 2})
    oracle.enqueue({"a": 50, "b": 2})
    discover_and_finish(oracle, oracle.create_trial("t"))
    return oracle


def test_an_enqueued_value_that_the_space_turns_out_not_to_have_is_not_tried(tmp_path: Path) -> None:
    oracle = unfit_queue(tmp_path)
    text = r"enqueue: \{'a': 50, 'b': 2\} is not tried: a: expected a number from 0\S* to 1\S*, got 50"
    with pytest.warns(KrigeTunerWarning, match=text) as caught:
        discover_and_finish(oracle, oracle.create_trial("t"))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        discover_and_finish(oracle, oracle.create_trial("t"))
    table = oracle.results()
    assert table["in_space"].all()
    assert (table["a"] <= 1).all()
    assert len(table) == 3
    assert [r.origin.algorithm for r in oracle._ledger.state.trials.values()] == ["queue", "random", "random"]


def test_a_name_of_another_branch_is_no_reason_to_refuse(tmp_path: Path) -> None:
    oracle = RandomSearchOracle(MIN, 4, seed=1)
    oracle._set_project_dir(tmp_path, "project")
    for kind, units in (("a", 5), ("b", 150)):
        oracle.enqueue({"kind": kind, "units": units})
    for kind in "ab":
        trial = oracle.create_trial("t")
        hp = trial.hyperparameters
        assert hp.Choice("kind", ["a", "b"]) == kind
        with hp.conditional_scope("kind", kind):
            hp.Int("units", *((1, 10) if kind == "a" else (100, 200)))
        finish(oracle, trial, 1.0)
    assert [r.origin.algorithm for r in oracle._ledger.state.trials.values()] == ["queue", "queue"]
    oracle.close()


def test_a_refused_configuration_stays_refused_after_a_restart(tmp_path: Path) -> None:
    oracle = unfit_queue(tmp_path)
    oracle.enqueue({"b": 4})
    with pytest.warns(KrigeTunerWarning, match="a: expected"):
        trial = oracle.create_trial("t")
    assert trial.hyperparameters.values["b"] == 4
    oracle.close()
    again = RandomSearchOracle(MIN, 3, seed=1)
    again._set_project_dir(tmp_path, "project")
    assert not again._ledger.state.enqueued
    assert len(again.trials) == 2
    again.close()


def test_an_observation_that_the_space_turns_out_not_to_have_is_never_the_best() -> None:
    oracle = RandomSearchOracle(MIN, 2, seed=1)
    oracle.add_observation({"a": -50, "b": 2}, -48.0)
    oracle.add_observation({"a": 0.5, "b": 2}, 9.0)
    assert oracle.get_best_trials()[0].score == -48.0, "nothing is known against it yet"
    for _ in range(2):
        discover_and_finish(oracle, oracle.create_trial("t"))
    assert oracle.remaining_trials() == 0
    assert oracle.results()["in_space"].tolist() == [False, True, True, True]
    assert 0 not in [trial.number for trial in oracle.get_best_trials(9)]
    assert oracle.get_best_trials()[0].score >= 0
