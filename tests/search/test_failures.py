"""What Bayesian search makes of trainings that fail: regions are left alone, chance is ignored, streaks are ended."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from tests.contracts.algorithm import Conversation

from krigetuner.backend.protocol import Array
from krigetuner.search.bayesian import BayesianSearch
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin


def square() -> Space:
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Float("y", 0.0, 1.0)
    return Space(hp.space)


def bowl(row: Array) -> float:
    return float(((row - [0.3, 0.45]) ** 2).sum())


def told(rows: Array, fails: Callable[[int, Array], bool], worst: float | None = None) -> History:
    """Trials at rows (n, 2); those that fail have no loss, or the worst."""
    space, trials = square(), []
    for i, row in enumerate(rows):
        failed = fails(i, row)
        phase = "failed" if failed and worst is None else "completed"
        trials.append(Observation(i, space.decode(row), phase, worst if failed else bowl(row), None, Origin("given")))  # type: ignore[arg-type]
    return History(trials)


def suggested(history: History, acquisition: str = "auto", seed: int = 0) -> Array:
    answer = BayesianSearch(seed, acquisition=acquisition).ask(square(), history, 1)
    assert isinstance(answer, list)
    return square().encode(answer[0].values)


def test_a_region_that_fails_ends_no_search() -> None:
    """The optimum lies at the edge of a half in which nothing completes; three failures in a row are too many."""
    space = square()
    talk = Conversation(lambda: BayesianSearch(1), space)
    talk.run(lambda values: None if float(values["y"]) < 0.5 else bowl(space.encode(values)), 30)
    failed = "".join("x" if o.phase == "failed" else "." for o in talk.observations)
    assert "xxx" not in failed[5:]
    assert min(o.loss for o in talk.observations if o.loss is not None) < 0.0025 + 5e-4


@pytest.mark.parametrize("seed", range(3))
def test_failures_by_chance_do_not_hide_the_optimum(seed: int) -> None:
    space, chance = square(), np.random.default_rng(seed).random(30) < 0.3
    talk = Conversation(lambda: BayesianSearch(seed), space)
    talk.run(lambda values: None if chance[len(talk.observations) - 1] else bowl(space.encode(values)), 30)
    assert min(o.loss for o in talk.observations if o.loss is not None) < 1e-4


def test_after_failures_in_a_row_the_next_trial_is_a_safer_one() -> None:
    rows = np.random.default_rng(4).random((20, 2))
    rows[-2:] = [[0.3, 0.44], [0.35, 0.46]]
    below = told(rows, lambda _, row: row[1] < 0.5)
    before = told(np.concatenate([rows[-2:], rows[:-2]]), lambda _, row: row[1] < 0.5)
    assert [o.phase for o in below][-2:] == ["failed", "failed"]
    assert before[-1].phase == "completed"
    assert suggested(below)[1] > suggested(before)[1]


@pytest.mark.parametrize("acquisition", ["ucb", "ei", "pi"])
def test_to_a_named_acquisition_a_failure_is_the_worst_seen(acquisition: str) -> None:
    rows = np.random.default_rng(2).random((15, 2))

    def fails(index: int, row: Array) -> bool:
        return bool(row[1] < 0.4)

    failed, diverged = told(rows, fails), told(rows, fails, worst=math.inf)
    assert (suggested(failed, acquisition) == suggested(diverged, acquisition)).all()
    assert (suggested(failed) != suggested(diverged)).any()


def test_nothing_but_failures_goes_on_with_random_trials() -> None:
    talk = Conversation(lambda: BayesianSearch(0), square())
    assert len(talk.run([None], 15)) == 15
    assert all("start" in o.origin.note for o in talk.observations)
