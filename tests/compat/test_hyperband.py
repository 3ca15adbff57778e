"""Hyperband side by side with keras_tuner 1.4.8: the same brackets and rounds, whoever runs them in whatever order."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from krigetuner.oracles import HyperbandOracle
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.hyperband import Hyperband

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
CONTROL = ("tuner/bracket", "tuner/round", "tuner/epochs", "tuner/initial_epoch", "tuner/trial_id")


def pair(keras_tuner: Any, path: Path, direction: str = "min", **options: Any) -> tuple[Any, Any]:
    """An oracle of theirs and one of ours, over a continuum of two dimensions."""
    oracles = []
    for kind, recorder, objective in (
        (keras_tuner.oracles.HyperbandOracle, keras_tuner.HyperParameters(), keras_tuner.Objective("s", direction)),
        (HyperbandOracle, HyperParameters(), Objective("s", direction)),
    ):
        recorder.Float("a", 0.0, 1.0)
        recorder.Float("b", 0.0, 1.0)
        oracle = kind(objective, hyperparameters=recorder, seed=3, max_consecutive_failed_trials=10**6, **options)
        oracle._set_project_dir(path / kind.__module__.split(".")[0], "project")
        oracles.append(oracle)
    return oracles[0], oracles[1]


def seen(trial: Any) -> tuple[Any, ...]:
    """What both packages must agree on: the status, the id, and where the trial stands."""
    values = trial.hyperparameters.values
    where = tuple(values.get(name) for name in CONTROL) if trial.status == "RUNNING" else ()
    return (trial.status, trial.trial_id if where else None, *where)


def end(oracle: Any, trial: Any, score: float | None) -> None:
    if score is None:
        trial.status = "FAILED"
    else:
        oracle.update_trial(trial.trial_id, {"s": score})
        trial.status = "COMPLETED"
    oracle.end_trial(trial)


OPTIONS = [(9, 3, 1), (4, 2, 2), (10, 3, 1), (1, 3, 2), (7, 4, 1)]


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize(("max_epochs", "factor", "iterations"), OPTIONS)
def test_one_worker(
    keras_tuner: Any, tmp_path: Path, direction: str, max_epochs: int, factor: int, iterations: int
) -> None:
    options = {"max_epochs": max_epochs, "factor": factor, "hyperband_iterations": iterations}
    both = pair(keras_tuner, tmp_path, direction, **options)
    scores = random.Random(0)
    while True:
        theirs, ours = (oracle.create_trial("tuner0") for oracle in both)
        assert seen(ours) == seen(theirs)
        if theirs.status == "STOPPED":
            break
        score = scores.choice([scores.random(), 0.5])  # ties too
        for oracle, trial in zip(both, (theirs, ours), strict=True):
            end(oracle, trial, score)
    assert len(both[0].trials) == len(both[1].trials) == both[1].schedule.trials * iterations


@pytest.mark.parametrize("seed", range(6))
def test_several_workers_in_any_order(keras_tuner: Any, tmp_path: Path, seed: int) -> None:
    max_epochs, factor, iterations = OPTIONS[seed % 3]
    both = pair(keras_tuner, tmp_path, max_epochs=max_epochs, factor=factor, hyperband_iterations=iterations)
    chance, running = random.Random(seed), {}
    for _ in range(400):
        free = [f"w{i}" for i in range(5) if f"w{i}" not in running]
        if free and (not running or chance.random() < 0.6):
            pair_of_trials = [oracle.create_trial(free[0]) for oracle in both]
            theirs, ours = map(seen, pair_of_trials)
            # theirs gives the newest bracket as tuner/bracket, ours the trial's own
            assert ours[:2] + ours[3:] == theirs[:2] + theirs[3:]
            if ours[0] == "STOPPED":
                break
            if ours[0] == "RUNNING":
                running[free[0]] = pair_of_trials
                continue
        worker = chance.choice(sorted(running))
        for oracle, trial, score in zip(both, running.pop(worker), [chance.random()] * 2, strict=True):
            end(oracle, trial, score)
    assert both[1].create_trial("last").status == "STOPPED"
    assert not running


def rounds(oracle: Any, result: Callable[[int], float | None]) -> list[tuple[Any, ...]]:
    """The trials of a search of one worker."""
    found: list[tuple[Any, ...]] = []
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        found.append(seen(trial)[2:4])
        end(oracle, trial, result(len(found) - 1))
    return found


def test_a_failure_costs_theirs_the_last_round_and_ours_nothing_but_its_place(keras_tuner: Any, tmp_path: Path) -> None:
    theirs, ours = pair(keras_tuner, tmp_path, max_epochs=9)
    found = [rounds(oracle, lambda number: None if number == 4 else float(number)) for oracle in (theirs, ours)]
    assert [[f.count((2, r)) for r in range(3)] for f in found] == [[9, 2, 0], [9, 3, 1]]
    assert [[f.count(place) for place in ((1, 0), (1, 1), (0, 0))] for f in found] == [[5, 2, 3]] * 2


def test_failures_that_cost_no_promotion_change_nothing_elsewhere(keras_tuner: Any, tmp_path: Path) -> None:
    theirs, ours = pair(keras_tuner, tmp_path, max_epochs=9)
    last = {12, 19, 22}  # the last rounds, and the bracket of one round
    found = [rounds(oracle, lambda number: None if number in last else float(number)) for oracle in (theirs, ours)]
    assert found[0] == found[1]


def test_the_state_has_their_keys_and_their_layout(keras_tuner: Any, tmp_path: Path) -> None:
    both = pair(keras_tuner, tmp_path, max_epochs=4, factor=2)
    for number in range(6):
        for oracle in both:
            trial = oracle.create_trial("tuner0")
            if number < 5:
                end(oracle, trial, float(number))
    theirs, ours = (oracle.get_state() for oracle in both)
    assert set(theirs) - {"display"} <= set(ours)
    names = ("max_epochs", "min_epochs", "factor", "hyperband_iterations", "current_bracket", "current_iteration")
    for name in (*names, "brackets"):
        assert ours[name] == theirs[name]
    assert ours["brackets"][0]["rounds"][1] == [{"past_id": "0000", "id": "0004"}, {"past_id": "0001", "id": "0005"}]
    other = HyperbandOracle(Objective("s", "min"))
    other.set_state(theirs)
    assert (other.max_epochs, other.factor) == (4, 2)


def test_the_values_hash_is_theirs(keras_tuner: Any, tmp_path: Path) -> None:
    theirs, ours = pair(keras_tuner, tmp_path, max_epochs=9)
    values = {"a": 0.5, "b": 0.25}
    placed = {**values, "tuner/epochs": 3, "tuner/initial_epoch": 1, "tuner/bracket": 2, "tuner/round": 1}
    for given in (values, placed, {**placed, "tuner/trial_id": "0001"}):
        assert ours._compute_values_hash(given) == theirs._compute_values_hash(given)
    assert ours._compute_values_hash(placed) == ours._compute_values_hash(values)


@pytest.mark.parametrize("options", [{"factor": 1}, {"factor": 0}, {"factor": 1.5}])
def test_both_refuse_a_small_factor(keras_tuner: Any, options: dict[str, Any]) -> None:
    for kind in (keras_tuner.Hyperband, Hyperband):
        with pytest.raises(ValueError, match="factor needs to be"):
            kind(lambda hp: None, "val_loss", **options)


def test_private_names_of_the_schedule(keras_tuner: Any, tmp_path: Path) -> None:
    for max_epochs, factor in [(100, 3), (81, 3), (27, 3), (243, 3), (125, 5), (50, 4), (1000, 10), (6, 2.5)]:
        theirs, ours = pair(keras_tuner, tmp_path / f"{max_epochs}-{factor}", max_epochs=max_epochs, factor=factor)
        assert ours._get_num_brackets() == theirs._get_num_brackets()
        for s in range(theirs._get_num_brackets()):
            assert ours._get_num_rounds(s) == theirs._get_num_rounds(s)
            for r in range(s + 1):
                assert ours._get_size(s, r) == theirs._get_size(s, r)
                assert ours._get_epochs(s, r) == theirs._get_epochs(s, r)
