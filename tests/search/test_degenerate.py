"""Bad input of Bayesian optimization, by the oracle and in a whole search: a suggestion or a clear end, none twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import krigetuner as kt
from krigetuner.backend.registry import set_backend, why_absent
from krigetuner.errors import KrigeTunerWarning
from krigetuner.space.space import Space
from krigetuner.tuners.oracle import Oracle

Values = Mapping[str, Any]
Given = tuple[dict[str, Any], float]


@dataclass(frozen=True)
class Case:
    """One kind of bad input.

    Attributes:
        define: the space.
        results: of the trials in turn: a loss, NaN, or None for a training that raises; or a function of the values.
        given: observations made elsewhere.
        trials: how many are asked for.
        expected: how many there are in all, where the space ends before.
        options: of the oracle.
    """

    define: Callable[[kt.HyperParameters], Any]
    results: list[float | None] | Callable[[Values], float]
    given: list[Given] = field(default_factory=list)
    trials: int = 9
    expected: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def result(self, values: Values, count: int) -> float | None:
        """Of the trial after `count` others."""
        return self.results(values) if callable(self.results) else self.results[count % len(self.results)]


def plane(hp: kt.HyperParameters) -> None:
    hp.Float("x", 0.0, 1.0)
    hp.Float("y", 0.0, 1.0)


def mixed(hp: kt.HyperParameters) -> None:
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    if hp.Choice("kind", ["a", "b", "c"]) == "b":
        hp.Int("units", 8, 64, step=8, parent_name="kind", parent_values=["b"])
    hp.Boolean("flag")


def wide(hp: kt.HyperParameters) -> None:
    for i in range(200):
        hp.Float(f"x{i}", 0.0, 1.0)


def bowl(values: Values) -> float:
    return (float(values["x"]) - 0.3) ** 2 + (float(values.get("y", 0.0)) - 0.6) ** 2


def close_together() -> list[Given]:
    return [({"x": 0.5 + i * 1e-12, "y": 0.5 - i * 1e-12}, 1.0 + 0.1 * i) for i in range(4)]


HALF, LOW = {"x": 0.5, "y": 0.25}, {"x": 0.1, "y": 0.9}
CASES = {
    "constant objective": Case(mixed, [0.25], trials=14),
    "constant but for rounding": Case(mixed, [1.0, 1.0 + 1e-12, 1.0 - 1e-12]),
    "duplicated points": Case(plane, bowl, [(HALF, float(i % 5) / 10) for i in range(5)] * 2),
    "rows 1e-12 apart": Case(plane, bowl, close_together()),
    "two observations": Case(
        plane, bowl, [(HALF, 1.0), ({"x": 0.1, "y": 0.9}, 2.0)], options={"num_initial_points": 2}
    ),
    "two equal observations": Case(plane, [1.0], [(HALF, 1.0)], options={"num_initial_points": 1}),
    "all trials failed": Case(mixed, [None, math.nan], trials=14),
    "one dimension": Case(lambda hp: hp.Float("x", 0.0, 1.0), bowl, trials=13),
    "200 dimensions": Case(wide, lambda v: sum((float(u) - 0.3) ** 2 for u in v.values()), trials=12),
    "a single choice": Case(lambda hp: hp.Choice("kind", ["only"]), [1.0], expected=1),
    "a single choice beside others": Case(lambda hp: (hp.Choice("kind", ["only"]), hp.Int("n", 1, 40)), [1.0, 2.0]),
    "five configurations": Case(lambda hp: hp.Int("n", 1, 5), [3.0, 1.0, 2.0], expected=5),
    "five configurations that fail": Case(lambda hp: hp.Int("n", 1, 5), [None, math.nan, math.inf], expected=5),
    "huge and infinite": Case(mixed, [1.0, math.nan, math.inf, 1e30, -math.inf, -1e30, None, 0.5, 1e308, -1e308]),
    "all infinite": Case(mixed, [math.inf]),
    "tiny": Case(mixed, [1e-300, 5e-324, 0.0, 2e-300]),
    "one that works": Case(plane, [None, None, None, None, None, 0.5, None, math.inf], trials=14),
}


def named(cases: Mapping[str, Case]) -> Any:
    return pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in cases.items()])


@pytest.fixture(params=["cpp", "numpy"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param in (absent := why_absent()):
        pytest.skip(absent[request.param])
    set_backend(request.param)
    yield request.param
    set_backend(None)


def options(case: Case) -> dict[str, Any]:
    hp = kt.HyperParameters()
    case.define(hp)
    unlimited = {"max_consecutive_failed_trials": None, "max_trials": case.trials}
    return {"objective": kt.Objective("loss", "min"), "seed": 3, "hyperparameters": hp, **unlimited, **case.options}


def tell(oracle: Oracle, trial: Any, result: float | None) -> None:
    if result is not None:
        oracle.update_trial(trial.trial_id, {"loss": result})
    trial.status = "INVALID" if result is None else "COMPLETED"
    oracle.end_trial(trial)


def check(case: Case, oracle: Oracle) -> None:
    """As many trials as there should be, no two alike, the best of them finite, and a reason for the end."""
    space = Space(oracle.hyperparameters.space)
    recorded = len({repr(pair) for pair in case.given})
    tried = [trial.hyperparameters.values for trial in oracle.trials.values()][recorded:]
    keys = {space.key(values) for values in tried}
    assert len(keys) == len(tried) == (case.expected or case.trials)
    assert keys.isdisjoint(space.key(values) for values, _ in case.given)
    assert all(space.contains(values) for values in tried)
    best = oracle.get_best_trials(1)
    assert not best or math.isfinite(best[0].score or 0.0)
    wanted = "exhausted" if case.expected else f"all {case.trials} trials have been run"
    assert wanted in (oracle.stop_reason or "")


@named(CASES)
def test_an_oracle_answers_or_ends(case: Case, backend: str) -> None:
    oracle = kt.oracles.BayesianOptimizationOracle(**options(case))
    for values, loss in case.given:
        oracle.add_observation(values, loss)
    for count in range(case.trials + 1):
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            break
        tell(oracle, trial, case.result(trial.hyperparameters.values, count))
    check(case, oracle)


class Tuner(kt.BayesianOptimization):
    case: Case

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        hp = trial.hyperparameters
        self.case.define(hp)
        result = self.case.result(hp.values, len(self.oracle.trials) - 1)
        if result is None:
            raise RuntimeError("the training broke down")
        return result


def search(case: Case, path: Path) -> None:
    tuner = Tuner(directory=path, **options(case))
    tuner.case = case
    for values, loss in case.given:
        tuner.oracle.add_observation(values, loss)
    nothing = not callable(case.results) and not any(r is not None and math.isfinite(r) for r in case.results)
    expected = (
        pytest.warns(KrigeTunerWarning, match="expected at least one completed trial") if nothing else nullcontext()
    )
    with expected:
        tuner.search(verbose=0)
    check(case, tuner.oracle)
    tuner.oracle.close()


@named(CASES)
def test_a_search_ends_well(case: Case, tmp_path: Path) -> None:
    search(case, tmp_path)


@named({name: CASES[name] for name in ("five configurations that fail", "duplicated points", "huge and infinite")})
def test_a_search_with_numpy_ends_well(case: Case, tmp_path: Path) -> None:
    set_backend("numpy")
    try:
        search(case, tmp_path)
    finally:
        set_backend(None)


def test_failures_in_a_row_end_the_search_by_default() -> None:
    hp = kt.HyperParameters()
    plane(hp)
    oracle = kt.oracles.BayesianOptimizationOracle("loss", hyperparameters=hp)
    for _ in range(2):
        tell(oracle, oracle.create_trial("tuner0"), None)
    third = oracle.create_trial("tuner0")
    with pytest.raises(RuntimeError, match="consecutive failures"):
        tell(oracle, third, None)


@pytest.mark.parametrize("acquisition", ["ucb", "ei", "logei", "pi", "thompson"])
@named({name: CASES[name] for name in ("duplicated points", "rows 1e-12 apart", "huge and infinite", "all infinite")})
def test_named_acquisitions_do_too(case: Case, acquisition: str) -> None:
    oracle = kt.oracles.BayesianOptimizationOracle(**options(case), acquisition=acquisition, beta=1e300, xi=1e300)
    for values, loss in case.given:
        oracle.add_observation(values, loss)
    while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
        tell(oracle, trial, case.result(trial.hyperparameters.values, len(oracle.trials) - 1))
    check(case, oracle)
