"""Where trainings complete: regions are learned, failures at random decide nothing, gradients are derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from krigetuner.backend.numpy_backend import NumpyBackend
from krigetuner.backend.protocol import AcquisitionSpec, Array, Effort
from krigetuner.gp.feasibility import LEAST, Feasibility, Labels, boundary, feasibility
from krigetuner.gp.model import LEARNED, Surrogate, choose, surrogate
from krigetuner.gp.priors import Columns

NUMBERS = Columns.linear(2)


def points(n: int = 60, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random((n, 2))


def learned(x: Array, failed: Labels) -> Feasibility:
    backend = NumpyBackend()
    return feasibility(backend, x, failed, boundary(backend, x, failed, NUMBERS))


def probability(of: Feasibility, x: Array) -> Array:
    return np.exp(of.log_probability(x)[0])


def test_a_region_is_learned() -> None:
    x, grid = points(), points(400, 1)
    found = learned(x, x.sum(axis=1) > 1.2)
    wrong = grid.sum(axis=1) > 1.2
    inside, outside = probability(found, grid[wrong]), probability(found, grid[~wrong])
    assert inside.mean() < 0.15
    assert outside.mean() > 0.9
    assert ((probability(found, grid) < 0.5) == wrong).mean() > 0.95


def test_one_failure_is_shunned_nearby_only() -> None:
    x = points(12)
    failed = np.zeros(12, dtype=bool)
    failed[3] = True
    found = learned(x, failed)
    assert probability(found, x[3:4])[0] < 0.5
    assert np.median(probability(found, points(200, 1))) > 0.8


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_failures_at_random_are_the_same_everywhere(share: float) -> None:
    x = points(120)
    failed = np.random.default_rng(7).random(120) < share
    logs = learned(x, failed).log_probability(points(300, 1))[0]
    assert np.exp(logs).mean() == pytest.approx(1 - failed.mean(), abs=0.06)
    assert logs.std() < 0.2


@pytest.mark.parametrize("which", ["none", "all"])
def test_one_kind_of_label_decides_nothing(which: str) -> None:
    x = points(10)
    p = probability(learned(x, np.full(10, which == "all")), points(50, 1))
    assert p == pytest.approx(np.full(50, LEAST if which == "all" else 1.0), rel=1e-6)


def test_gradients_are_derivatives() -> None:
    x = points(25)
    found = learned(x, x[:, 0] > 0.6)
    at = points(8, 3)
    values, slopes = found.log_probability(at, gradient=True)
    assert slopes is not None
    assert np.allclose(values, found.log_probability(at)[0])
    for j in range(2):
        step = 1e-6 * np.eye(2)[j]
        numeric = (found.log_probability(at + step)[0] - found.log_probability(at - step)[0]) / 2e-6
        assert slopes[:, j] == pytest.approx(numeric, abs=1e-5)


def failing() -> tuple[Surrogate, Surrogate]:
    """A model of losses that fall towards x0 = 0, before and after it knows that trainings fail where x0 < 0.4."""
    backend, x = NumpyBackend(), points(50)
    failed = x[:, 0] < 0.4
    good, zero = np.ascontiguousarray(x[~failed]), np.zeros(int((~failed).sum()))
    losses = good[:, 0] + 0.03 * np.random.default_rng(3).standard_normal(len(good))
    choice = choose(backend, good, losses, zero, NUMBERS, 0.0, LEARNED)
    before = surrogate(backend, good, losses, zero, choice)
    return before, before.failing(x[failed], learned(x, failed))


def test_the_acquisition_stays_where_trainings_complete() -> None:
    before, after = failing()
    spec = AcquisitionSpec("logei", best=before.best)
    starts, lower, upper = points(6, 2), np.zeros((6, 2)), np.ones((6, 2))
    ends = [m.ascend(starts, lower, upper, spec, Effort(40, 1e-6)) for m in (before, after)]
    top = [e[np.argmax(m.score(e, spec)[0]), 0] for m, e in zip((before, after), ends, strict=True)]
    assert top[0] < 0.37 < top[1]


def test_failed_trials_are_no_incumbents_and_teach_no_losses() -> None:
    before, after = failing()
    grid = points(100, 5)
    assert after.best == before.best
    assert after.mean(grid) == pytest.approx(before.mean(grid), abs=1e-5)
    assert before.failing(np.empty((0, 2)), None) is not None
