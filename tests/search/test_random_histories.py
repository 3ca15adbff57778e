"""Random spaces and random results through sixty trials: always a new configuration of the space, or a clear end.

`pytest --hypothesis-profile=long tests/search/test_random_histories.py` goes on for minutes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import krigetuner as kt
from krigetuner.backend.registry import set_backend, why_absent
from krigetuner.gp.acquisition import NAMES
from krigetuner.space.space import Space

TRIALS = 60
WEIRD = (0.0, 1.0, 1.0 + 1e-12, 1e30, -1e30, 1e-300, 5e-324, 1e308, -1e308, math.nan, math.inf, -math.inf)


@st.composite
def bounds(draw: st.DrawFn, positive: bool = False) -> tuple[float, float]:
    """Two numbers in order, far apart or the same."""
    low = draw(st.floats(1e-8, 1e3) if positive else st.floats(-1e6, 1e6))
    return low, low + draw(st.sampled_from([0.0, 1e-3, 1.0, 1e5]))


@st.composite
def parameters(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """The name of a method of `hp` and its arguments."""
    kind = draw(st.sampled_from(["Float", "Int", "Choice", "Boolean", "Fixed"]))
    if kind == "Choice":
        some = st.one_of(st.text(min_size=1, max_size=3), st.integers(-5, 5), st.floats(-2.0, 2.0))
        values = draw(st.lists(some, min_size=1, max_size=5, unique_by=lambda v: (type(v), v)))
        return kind, {"values": [v for v in values if type(v) is type(values[0])]}
    if kind == "Boolean":
        return kind, {"default": draw(st.booleans())}
    if kind == "Fixed":
        return kind, {"value": draw(st.sampled_from([3, 0.5, "fixed", True]))}
    sampling = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    if kind == "Float":
        low, high = draw(bounds(positive=sampling != "linear"))
        step = draw(st.sampled_from([None, None, 0.25])) if sampling == "linear" else None
        step = None if step is None or (high - low) / step > 1e6 else step
        return kind, {"min_value": low, "max_value": high, "sampling": sampling, "step": step}
    first = draw(st.integers(1, 20) if sampling != "linear" else st.integers(-20, 20))
    last = first + draw(st.sampled_from([0, 1, 4, 1000]))
    step = draw(st.sampled_from([None, 1, 3] if sampling == "linear" else [None, 2]))
    return kind, {"min_value": first, "max_value": last, "sampling": sampling, "step": step}


@st.composite
def spaces(draw: st.DrawFn) -> kt.HyperParameters:
    """Up to six parameters, each under no condition or under the value of a choice, which may have one itself."""
    hp = kt.HyperParameters()
    hp.Choice("root", ["a", "b", "c"][: draw(st.integers(1, 3))])
    hp.Boolean("twig", parent_name="root", parent_values=["a"])
    for i in range(draw(st.integers(0, 6))):
        method, arguments = draw(parameters())
        parent = draw(st.sampled_from([None, None, ("root", ["a"]), ("root", ["b", "c"]), ("twig", [True])]))
        under = {} if parent is None else {"parent_name": parent[0], "parent_values": parent[1]}
        getattr(hp, method)(f"p{i}", **arguments, **under)
    return hp


def results() -> st.SearchStrategy[list[float | None]]:
    """Losses of the trials in turn, None for one that breaks down."""
    finite, wild = st.floats(-1.0, 1.0), st.floats(allow_nan=True, allow_infinity=True)
    one = st.one_of(finite, finite, wild, st.sampled_from(WEIRD), st.none())
    return st.one_of(st.lists(one, min_size=1, max_size=TRIALS), st.sampled_from(WEIRD).map(lambda v: [v]))


def drive(oracle: Any, losses: list[float | None], rng: np.random.Generator, workers: int) -> None:
    """Runs trials to the end, up to `workers` at a time, which end in any order."""
    running: list[Any] = []
    while True:
        trial = oracle.create_trial(f"tuner{len(oracle.trials)}") if len(running) < workers else None
        if trial is not None and trial.status == "RUNNING":
            running.append(trial)
            continue
        if not running:
            assert trial is not None
            assert trial.status == "STOPPED", "an oracle waits only while a trial runs"
            return
        done = running.pop(int(rng.integers(len(running))))
        loss = losses[int(done.trial_id) % len(losses)]
        if loss is not None:
            oracle.update_trial(done.trial_id, {"loss": loss})
        done.status = "INVALID" if loss is None else "COMPLETED"
        oracle.end_trial(done)


def judge(oracle: Any) -> None:
    """Every trial is new and lies in the space; the search ended because it had to; the best one is a finite one."""
    space = Space(oracle.hyperparameters.space)
    tried = [trial.hyperparameters.values for trial in oracle.trials.values()]
    assert all(space.contains(values) for values in tried)
    assert len({space.key(values) for values in tried}) == len(tried)
    if len(tried) < TRIALS:
        assert "exhausted" in oracle.stop_reason
        assert len(tried) == space.size
    assert all(math.isfinite(trial.score) for trial in oracle.get_best_trials(3))


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "share"), [("cpp", 1.0), ("numpy", 0.2)])
def test_sixty_trials_of_anything(backend: str, share: float) -> None:
    if backend in (absent := why_absent()):
        pytest.skip(absent[backend])

    @settings(max_examples=max(1, int(share * settings.default.max_examples)))
    @given(spaces(), results(), st.integers(0, 2**31), st.integers(1, 4), st.sampled_from(("auto", *NAMES)))
    def law(hp: kt.HyperParameters, losses: list[float | None], seed: int, workers: int, acquisition: str) -> None:
        oracle = kt.oracles.BayesianOptimizationOracle(
            kt.Objective("loss", "min"),
            max_trials=TRIALS,
            seed=seed,
            hyperparameters=hp,
            max_consecutive_failed_trials=None,
            acquisition=acquisition,
        )
        drive(oracle, losses, np.random.default_rng(seed), workers)
        judge(oracle)

    set_backend(backend)
    try:
        law()
    finally:
        set_backend(None)
