"""What KerasTuner 1.4.8 tries, and does not; ours tries what it should: B5b ... B15 of the list of faults."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.compat.fault_driver import LOSS, driven, random_oracle, searched, values

import krigetuner as kt
from krigetuner.backend import registry


def space(**parameters: tuple[str, tuple[Any, ...]]) -> kt.HyperParameters:
    hp = kt.HyperParameters()
    for name, (kind, arguments) in parameters.items():
        getattr(hp, kind)(name, *arguments)
    return hp


def bayesian(hp: kt.HyperParameters | None = None, **options: Any) -> Any:
    return kt.oracles.BayesianOptimizationOracle(objective=LOSS, hyperparameters=hp, seed=1, **options)


def x_of(trial: Any) -> float:
    return float(trial.hyperparameters.Float("x", 0.0, 1.0))


def distinct(seen: list[dict[str, Any]]) -> int:
    return len({tuple(v.items()) for v in seen})


def test_b5b_bayesian_optimization_repeats_nothing() -> None:
    board = space(a=("Int", (0, 10)), b=("Int", (0, 10)))
    seen = driven(bayesian(board, max_trials=40), lambda v: (v["a"] - 3) ** 2 + (v["b"] - 7) ** 2)
    assert len(seen) == distinct(seen) == 40


def test_b5b_bayesian_optimization_ends_with_its_space() -> None:
    oracle = bayesian(space(a=("Int", (1, 6))), max_trials=20)
    assert sorted(v["a"] for v in driven(oracle, lambda v: float(v["a"]))) == [1, 2, 3, 4, 5, 6]
    assert "all 6 configurations" in oracle.stop_reason


@pytest.mark.parametrize("seed", range(5))
def test_b5c_random_search_visits_all_of_a_small_space(seed: int) -> None:
    eighteen = space(a=("Choice", ([1, 2, 3],)), b=("Choice", (["x", "y", "z"],)), c=("Boolean", ()))
    seen = driven(random_oracle(18, hyperparameters=eighteen, seed=seed), lambda v: float(v["a"]))
    assert len(seen) == distinct(seen) == 18


def test_b6b_a_discovered_hyperparameter_while_another_trial_runs() -> None:
    """Two workers; the first trial finds a second hyperparameter after the model was fitted to one."""
    oracle = bayesian(space(x=("Float", (0.0, 1.0))), max_trials=30, num_initial_points=2)
    driven(oracle, lambda v: v["x"], trials=4)
    first, second = oracle.create_trial("w0"), oracle.create_trial("w1")
    first.hyperparameters.Float("y", 0.0, 1.0)
    oracle.update_space(first.hyperparameters)
    for worker, trial in (("w0", first), ("w1", second)):
        oracle.update_trial(trial.trial_id, {"loss": 0.5})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        following = oracle.create_trial(worker)
        assert following.status == "RUNNING"
        assert set(following.hyperparameters.values) == {"x", "y"}


def test_b6b_what_is_fixed_or_inactive_has_no_say() -> None:
    """Neither a fixed value nor the default of an inactive parameter changes a suggestion or the initial design."""

    def branches(default: float, fixed: int) -> kt.HyperParameters:
        hp = space(kind=("Choice", (["a", "b"],)), x=("Float", (0.0, 1.0)))
        hp.Float("inactive", 0.0, 1.0, default=default, parent_name="kind", parent_values=["b"])
        for number in range(fixed):
            hp.Fixed(f"fixed{number}", 1)
        return hp

    def suggested(default: float, fixed: int) -> list[tuple[Any, ...]]:
        oracle = bayesian(branches(default, fixed), max_trials=14, num_initial_points=3)
        for x in (0.1, 0.5, 0.9):
            oracle.add_observation({"kind": "a", "x": x}, {"loss": (x - 0.4) ** 2})
        seen = driven(oracle, lambda v: (v["x"] - 0.4) ** 2 + (v["kind"] == "b"), 3)
        return [(v["kind"], round(v["x"], 6)) for v in seen if v["kind"] == "a"]

    assert suggested(0.0, 0) == suggested(1.0, 0) == suggested(0.0, 25)


def test_b6c_a_suggestion_asks_the_model_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """KerasTuner's evaluates its model about ten thousand times, one point at a time."""
    backend = type(registry.get_backend())
    calls: list[str] = []
    for verb in ("fit", "extend", "likelihood", "most_likely", "predict", "mean", "score", "ascend", "sample"):
        real = getattr(backend, verb)

        def counted(self: Any, *args: Any, _real: Any = real, _verb: str = verb, **kwargs: Any) -> Any:
            calls.append(_verb)
            return _real(self, *args, **kwargs)

        monkeypatch.setattr(backend, verb, counted)
    oracle = bayesian(space(**{f"x{i}": ("Float", (0.0, 1.0)) for i in range(5)}), max_trials=60)
    driven(oracle, lambda v: sum((x - 0.3) ** 2 for x in v.values()), 40)
    calls.clear()
    driven(oracle, lambda v: sum((x - 0.3) ** 2 for x in v.values()), 10)
    assert 0 < len(calls) <= 10 * 30


def test_b6c_the_record_grows_with_the_trials_and_not_with_their_square(tmp_path: Path) -> None:
    sizes = []
    for trials in (50, 100, 200):
        searched(x_of, random_oracle(trials), tmp_path / str(trials))
        sizes.append((tmp_path / str(trials) / "untitled_project" / "study.sqlite").stat().st_size)
    assert sizes[2] - sizes[1] < 3 * (sizes[1] - sizes[0]) + 2**16


@pytest.mark.parametrize(
    ("low", "high", "step", "count"),
    [(0, 1, 0.1, 11), (0, 0.6, 0.1, 7), (0, 0.5, 0.1, 6), (0, 0.3, 0.1, 4), (0, 1, 0.2, 6), (0, 1, 0.05, 21)],
)
def test_b8_steps_reach_the_maximum_and_go_there_and_back(low: float, high: float, step: float, count: int) -> None:
    parameter = kt.engine.hyperparameters.Float("x", low, high, step=step)
    assert list(parameter.values) == pytest.approx(np.linspace(low, high, count), abs=1e-12)
    assert parameter.values[-1] == high
    assert [parameter.prob_to_value(parameter.value_to_prob(v)) for v in parameter.values] == list(parameter.values)


def test_b8_reverse_log_steps_stay_inside() -> None:
    parameter = kt.engine.hyperparameters.Float("x", 1e-3, 10.0, step=10, sampling="reverse_log")
    drawn = [parameter.prob_to_value(p) for p in np.linspace(0, 1, 101)]
    assert 1e-3 <= min(drawn) <= max(drawn) <= 10.0


def test_b8_the_dropout_of_xception() -> None:
    hp = kt.HyperParameters()
    hp.Fixed("num_residual_blocks", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kt.applications.HyperXception(input_shape=(8, 8, 3), classes=2).build(hp)
    (dropout,) = [p for p in hp.space if p.name == "dropout_rate"]
    assert max(dropout.values) == 0.6


def first_values(seed: int, trials: int = 8) -> list[float]:
    oracle = random_oracle(trials, seed=seed, hyperparameters=space(x=("Float", (0.0, 1.0)), y=("Float", (0.0, 1.0))))
    return [x for v in driven(oracle, lambda v: 1.0) for x in v.values()]


def test_b14_zero_is_a_seed_and_neighbours_share_nothing() -> None:
    assert first_values(0) == first_values(0)
    assert kt.oracles.RandomSearchOracle(LOSS, seed=0).seed == 0
    assert not {*first_values(1)} & ({*first_values(2)} | {*first_values(3)})  # not the same numbers, shifted


@pytest.mark.parametrize("name", ["RandomSearchOracle", "BayesianOptimizationOracle"])
def test_b14_a_stopped_search_goes_on_as_if_undisturbed(name: str, tmp_path: Path) -> None:
    def function(trial: Any) -> float:
        hp = trial.hyperparameters
        return float(hp.Float("x", 0.0, 1.0) + hp.Int("n", 1, 9) * (hp.Choice("k", ["a", "b"]) == "b"))

    def oracle(trials: int) -> Any:
        return getattr(kt.oracles, name)(objective=LOSS, max_trials=trials, seed=0)

    searched(function, oracle(5), tmp_path)
    again = searched(function, oracle(10), tmp_path)
    assert values(again) == values(searched(function, oracle(10), tmp_path / "undisturbed"))


def test_b15_a_failure_costs_hyperband_its_place_only(tmp_path: Path) -> None:
    oracle = kt.oracles.HyperbandOracle(
        objective=LOSS, max_epochs=9, seed=1, hyperparameters=space(x=("Float", (0, 1)))
    )

    def function(trial: Any) -> float:
        if trial.number == 4:
            raise kt.errors.FailedTrialError("too large")
        return float(trial.number)

    places = [(v["tuner/bracket"], v["tuner/round"]) for v in values(searched(function, oracle, tmp_path))]
    assert [places.count((2, rung)) for rung in range(3)] == [9, 3, 1]


def test_b15_hyperband_learns_its_space_from_the_first_trial(tmp_path: Path) -> None:
    oracle = kt.oracles.HyperbandOracle(objective=LOSS, max_epochs=3, seed=1)
    tuner = searched(x_of, oracle, tmp_path)
    assert len({v["x"] for v in values(tuner)}) > 2
