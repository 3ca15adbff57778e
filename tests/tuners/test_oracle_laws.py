"""What holds for every search: stops and resumes change nothing, and no result is lost or made up."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tuners.oracle_driver import fail, finish, mixed

from krigetuner.oracles import BayesianOptimizationOracle, GridSearchOracle, HyperbandOracle, RandomSearchOracle
from krigetuner.trial.objective import Objective
from krigetuner.tuners.oracle import Oracle

MAKERS: dict[str, Any] = {
    "random": RandomSearchOracle,
    "grid": GridSearchOracle,
    "bayesian": BayesianOptimizationOracle,
    "hyperband": partial(HyperbandOracle, max_epochs=4, factor=2),
}
OUTCOMES = st.one_of(
    st.floats(-10.0, 10.0), st.sampled_from(["INVALID", "FAILED"]), st.sampled_from([math.nan, math.inf, -math.inf])
)


def make(name: str, seed: int) -> Oracle:
    oracle: Oracle = MAKERS[name](
        Objective("loss", "min"),
        max_trials=9,
        hyperparameters=mixed(),
        seed=seed,
        max_retries_per_trial=1,
        max_consecutive_failed_trials=None,
    )
    return oracle


def step(oracle: Oracle, outcome: float | str) -> tuple[Any, ...] | None:
    """One attempt at a trial; what can be seen of it."""
    trial = oracle.create_trial("t")
    if trial.status == "STOPPED":
        return None
    if isinstance(outcome, str):
        fail(oracle, trial, outcome)
    else:
        finish(oracle, trial, outcome)
    values = tuple(trial.hyperparameters.values.items())
    return trial.trial_id, trial.attempt, values, trial.status, repr(trial.score)


@pytest.mark.parametrize("name", list(MAKERS))
def test_stops_and_resumes_change_nothing(name: str) -> None:
    @settings(max_examples=8)
    @given(st.lists(OUTCOMES, min_size=6, max_size=12), st.sets(st.integers(0, 11)), st.integers(0, 5))
    def law(outcomes: Sequence[float | str], stops: set[int], seed: int) -> None:
        undisturbed = make(name, seed)
        expected = [step(undisturbed, outcome) for outcome in outcomes]
        with tempfile.TemporaryDirectory() as folder:
            oracle = make(name, seed)
            oracle._set_project_dir(Path(folder), "project")
            seen = []
            for index, outcome in enumerate(outcomes):
                if index in stops:
                    oracle.close()
                    oracle = make(name, seed)
                    oracle._set_project_dir(Path(folder), "project")
                seen.append(step(oracle, outcome))
            assert seen == expected
            assert oracle.end_order == undisturbed.end_order
            assert [t.trial_id for t in oracle.get_best_trials(9)] == [
                t.trial_id for t in undisturbed.get_best_trials(9)
            ]
            assert oracle.get_best_trials() == oracle.get_best_trials(9)[:1]
            oracle.close()

    law()


@pytest.mark.parametrize("name", list(MAKERS))
def test_parallel_workers_share_one_search(name: str) -> None:
    @settings(max_examples=40)
    @given(st.lists(st.tuples(st.integers(0, 3), OUTCOMES), max_size=40), st.integers(0, 5))
    def law(turns: Sequence[tuple[int, float | str]], seed: int) -> None:
        oracle = make(name, seed)
        attempts: dict[str, int] = {}
        for worker, outcome in turns:
            running = oracle.ongoing_trials.get(f"w{worker}")
            if running is None:
                trial = oracle.create_trial(f"w{worker}")
                if trial.status == "RUNNING":
                    attempts[trial.trial_id] = attempts.get(trial.trial_id, 0) + 1
            elif isinstance(outcome, str):
                fail(oracle, running, outcome)
            else:
                finish(oracle, running, outcome)
        assert len(oracle.trials) <= 9
        assert all(count <= 2 for count in attempts.values())
        assert set(oracle.end_order) == {i for i, t in oracle.trials.items() if t.status in ("COMPLETED", "FAILED")}
        assert len(oracle.end_order) == len(set(oracle.end_order))
        assert len({str(t.hyperparameters.values) for t in oracle.trials.values()}) == len(oracle.trials)
        best = oracle.get_best_trials()
        scores = [
            t.score for t in oracle.trials.values() if t.status == "COMPLETED" and t.score not in (None, math.inf)
        ]
        assert [t.score for t in best] == sorted(s for s in scores if s is not None)[:1]
        assert oracle.remaining_trials() == 9 - len(oracle.trials)

    law()
