"""The surrogate: choice of the transform, incumbent, running trials, and the jitter ladder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from krigetuner.backend.numpy_backend import NumpyBackend
from krigetuner.backend.protocol import KernelHyper
from krigetuner.gp.fitting import Hyperparameters
from krigetuner.gp.model import ADDING, LEARNED, Choice, choose, kinds_for, surrogate
from krigetuner.gp.priors import Columns

NUMBERS = Columns.linear(2)


def points(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).random((n, 2))


@pytest.mark.parametrize(("steepness", "expected"), [(0.0, "plain"), (4.0, "log")])
def test_the_losses_choose_their_transform(steepness: float, expected: str) -> None:
    x = points()
    smooth = np.sin(4 * x[:, 0]) + np.cos(3 * x[:, 1])
    losses = np.exp(steepness * smooth) if steepness else smooth
    choice = choose(NumpyBackend(), x, losses, np.zeros(40), NUMBERS, 0.0, ("plain", "log"))
    assert choice.kind == expected


@pytest.mark.parametrize(("count", "steepness", "expected"), [(12, 0.0, "power"), (40, 0.0, "plain"), (40, 4.0, "log")])
def test_many_losses_keep_their_own_scale_unless_another_is_far_more_probable(
    count: int, steepness: float, expected: str
) -> None:
    x = points(count)
    smooth = np.sin(4 * x[:, 0]) + np.cos(3 * x[:, 1])
    losses = np.exp(steepness * smooth) if steepness else smooth
    choice = choose(NumpyBackend(), x, losses, np.zeros(count), NUMBERS, 0.0, kinds_for(count))
    assert choice.kind == expected


def test_the_choice_does_not_depend_on_units() -> None:
    x = points(20)
    losses = np.exp(x.sum(axis=1))
    one, other = (
        choose(NumpyBackend(), x, v, np.zeros(20), NUMBERS, 0.0, LEARNED) for v in (losses, 1e6 * losses - 3e5)
    )
    assert one.kind == other.kind
    assert one.found.hyper.lengthscales == pytest.approx(other.found.hyper.lengthscales, rel=1e-4)


def test_infinite_losses_are_never_the_incumbent() -> None:
    x = points(6)
    losses = np.array([np.inf, 3.0, 2.0, np.inf, 1.0, 2.5])
    choice = choose(NumpyBackend(), x, losses, np.zeros(6), NUMBERS, 0.0, LEARNED)
    model = surrogate(NumpyBackend(), x, losses, np.zeros(6), choice)
    means = model.mean(x)
    assert model.best == means[np.isfinite(losses)].min()
    assert means.argmin() == 4


def test_running_trials_take_the_uncertainty_away_but_leave_the_mean() -> None:
    x = points(12)
    losses = x.sum(axis=1)
    choice = choose(NumpyBackend(), x, losses, np.zeros(12), NUMBERS, 0.0, LEARNED)
    model = surrogate(NumpyBackend(), x, losses, np.zeros(12), choice)
    running, grid = np.array([[0.9, 0.1], [0.1, 0.9]]), np.random.default_rng(5).random((50, 2))
    believed = model.believing(running)
    assert believed.mean(grid) == pytest.approx(model.mean(grid), abs=1e-4)
    before, after = (NumpyBackend().predict(m.fitted, running)[1] for m in (model, believed))
    assert (after < 0.2 * before).all()
    assert believed.best == pytest.approx(min(model.best, model.mean(running).min()))
    assert model.believing(np.empty((0, 2))) is model


def test_the_jitter_ladder_is_climbed_and_recorded() -> None:
    x = np.zeros((5, 2))
    hyper = KernelHyper(np.full(2, 0.5), 1.0, NUMBERS.categorical)
    choice = Choice("plain", Hyperparameters(hyper, 0.0, 0.0), 0.0, 1.0)
    model = surrogate(NumpyBackend(), x, np.arange(5.0), np.zeros(5), choice)
    assert model.jitter > 0
    assert np.isfinite(model.mean(np.ones((1, 2)))).all()


def test_samples_follow_the_posterior() -> None:
    x = points(10)
    losses = x.sum(axis=1)
    choice = choose(NumpyBackend(), x, losses, np.zeros(10), NUMBERS, 0.0, LEARNED)
    model = surrogate(NumpyBackend(), x, losses, np.zeros(10), choice)
    rows = points(30)[10:15]
    draws = model.sample(rows, np.random.default_rng(1).standard_normal((4000, 5)))
    mean, variance = NumpyBackend().predict(model.fitted, rows)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=5 * np.sqrt(variance.max() / 4000))
    assert draws.var(axis=0) == pytest.approx(variance, rel=0.2, abs=1e-8)


def rough(x: np.ndarray) -> np.ndarray:
    """Adds up functions with several minima."""
    return np.cos(6 * np.pi * (x - 0.4)).sum(axis=1) + ((x - 0.4) ** 2).sum(axis=1) * 4


def together(x: np.ndarray) -> np.ndarray:
    """One narrow valley that no column shows alone."""
    return np.log(0.1 + np.abs(np.sin(3 * (x[:, 0] - x[:, 1])) + 2 * x[:, 2] * x[:, 3]))


@pytest.mark.parametrize(("function", "family"), [(rough, "additive52"), (together, "matern52")])
def test_losses_that_add_up_choose_the_additive_kernel(function: Callable[..., np.ndarray], family: str) -> None:
    x, numbers = np.random.default_rng(1).random((60, 4)), Columns.linear(4)
    losses = function(x)
    for additive, expected in ((True, family), (False, "matern52")):
        choice = choose(NumpyBackend(), x, losses, np.zeros(60), numbers, 0.0, LEARNED, additive)
        assert choice.found.hyper.family == expected


def test_an_additive_kernel_knows_combinations_that_were_never_tried() -> None:
    rng, numbers = np.random.default_rng(2), Columns.linear(4)
    x, others = rng.random((60, 4)), rng.random((300, 4))
    error = {}
    for additive in (True, False):
        choice = choose(NumpyBackend(), x, rough(x), np.zeros(60), numbers, 0.0, ("plain",), additive)
        means = surrogate(NumpyBackend(), x, rough(x), np.zeros(60), choice).mean(others)
        error[additive] = 1.0 - np.corrcoef(means, rough(others))[0, 1] ** 2
    assert error[True] < 0.1 < 0.5 < error[False]


def test_what_adds_up_may_differ_from_category_to_category() -> None:
    rng, categorical = np.random.default_rng(3), np.array([False, True, False])
    x = rng.random((80, 3))
    x[:, 1] = np.where(x[:, 1] < 0.5, 0.25, 0.75)
    losses = rough(x[:, [0, 2]] + x[:, 1:2])
    columns = Columns(categorical, np.zeros(3, dtype=bool))
    choice = choose(NumpyBackend(), x, losses, np.zeros(80), columns, 0.0, LEARNED, additive=True)
    assert choice.found.hyper.family == "additive52"
    assert choice.found.hyper.lengthscales[1] < 2.0


@pytest.mark.parametrize(("count", "categorical"), [(ADDING - 1, [False, False]), (40, [False, True])])
def test_few_observations_and_single_numbers_have_the_plain_kernel(count: int, categorical: list[bool]) -> None:
    x, fixed = points(count), np.array(categorical)
    x[:, fixed] = np.round(x[:, fixed])
    columns = Columns(fixed, np.zeros(2, dtype=bool))
    choice = choose(NumpyBackend(), x, rough(x), np.zeros(count), columns, 0.0, LEARNED, additive=True)
    assert choice.found.hyper.family == "matern52"
