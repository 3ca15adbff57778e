"""Priors and the fit of hyperparameters, against finite differences and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from krigetuner.backend.numpy_backend import NumpyBackend
from krigetuner.gp.fitting import fit
from krigetuner.gp.priors import Columns, Prior, prior

NUMBERS = np.zeros(2, dtype=bool)
MIXED = Columns(np.array([False, True, False]), np.array([False, False, True]))


def flat(d: int) -> Prior:
    wide = prior(Columns.linear(d), 1e-8)
    return Prior(wide.mean, np.full(d + 2, 1e6), wide.lower, wide.upper)


def data(n: int = 25, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.random((n, 2))
    y = np.sin(5 * x[:, 0]) + 0.3 * x[:, 1] + noise * rng.standard_normal(n)
    return x, (y - y.mean()) / y.std()


def test_the_prior_gradient_is_the_derivative() -> None:
    p = prior(MIXED, 1e-8)
    theta = np.random.default_rng(1).normal(size=(2, 5))
    _, gradient = p.log_density(theta)
    for j in range(5):
        step = 1e-6 * np.eye(5)[j]
        numeric = (p.log_density(theta + step)[0] - p.log_density(theta - step)[0]) / 2e-6
        assert gradient[:, j] == pytest.approx(numeric, rel=1e-6, abs=1e-8)


def test_log_lengthscales_have_a_shift_in_common() -> None:
    """A normal density whose covariance is that of independent numbers and one that is added to all lengthscales."""
    p = prior(MIXED, 1e-8)
    covariance = np.diag(p.deviation**2)
    covariance[:3, :3] += p.shared**2
    theta = np.random.default_rng(2).normal(size=(6, 5))
    expected = multivariate_normal(p.mean, covariance).logpdf(theta)
    assert p.shared > 0
    np.testing.assert_allclose(p.log_density(theta)[0] + p.log_constant, expected, rtol=1e-9)


def test_terms_of_a_sum_have_nothing_in_common() -> None:
    assert prior(Columns.linear(3), 1e-8, "additive52").shared == 0.0


@pytest.mark.parametrize("d", [1, 3, 20])
def test_lengthscales_on_a_logarithmic_scale_do_not_grow_with_the_columns(d: int) -> None:
    linear, logarithmic = Columns.linear(d), Columns(np.zeros(d, dtype=bool), np.arange(d) == 0)
    mean, usual = prior(logarithmic, 0.0).mean, prior(linear, 0.0).mean
    assert usual[0] == pytest.approx(np.log(0.4 * np.sqrt(d)))
    assert mean[0] == pytest.approx(min(np.log(0.5), usual[0]))
    np.testing.assert_array_equal(mean[1:], usual[1:])
    np.testing.assert_array_equal(prior(logarithmic, 0.0, "additive52").mean, prior(linear, 0.0, "additive52").mean)


@pytest.mark.parametrize("floor", [0.0, 1e-3, 0.5, 10.0])
def test_the_prior_is_inside_its_box(floor: float) -> None:
    p = prior(Columns.linear(4), floor)
    assert (p.lower <= p.mean).all()
    assert (p.mean <= p.upper).all()
    assert np.exp(p.lower[-1]) >= floor * (1 - 1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_with_a_flat_prior_the_likelihood_is_scikit_learns_maximum() -> None:
    x, y = data()
    found = fit(NumpyBackend(), x, y, np.zeros(len(x)), flat(2), NUMBERS)
    kernel = ConstantKernel(1.0, (0.02, 50.0)) * Matern([0.5, 0.5], (0.02, 70.0), nu=2.5) + WhiteKernel(
        0.01, (1e-8, 0.5)
    )
    judge = GaussianProcessRegressor(kernel, alpha=0.0, n_restarts_optimizer=4, random_state=0)
    judge.fit(x, y)
    assert found.log_posterior == pytest.approx(judge.log_marginal_likelihood_value_, abs=1e-3)
    assert found.noise == pytest.approx(judge.kernel_.k2.noise_level, rel=0.05)


def test_a_few_steps_from_what_fewer_observations_say_come_near_to_what_all_say() -> None:
    x, y = data(40)
    believed, few = prior(Columns.linear(2), 0.0), slice(0, 34)
    fewer = fit(NumpyBackend(), x[few], y[few], np.zeros(34), believed, NUMBERS)
    best = fit(NumpyBackend(), x, y, np.zeros(40), believed, NUMBERS)
    found = fit(NumpyBackend(), x, y, np.zeros(40), believed, NUMBERS, fewer)
    theta = np.log(np.append(fewer.hyper.lengthscales, [fewer.hyper.variance, fewer.noise]))
    before = NumpyBackend().likelihood(x, y, np.full((1, 40), fewer.noise), [fewer.hyper]).value[0]
    before += believed.log_density(theta[None])[0][0]
    assert before + 0.05 < found.log_posterior <= best.log_posterior + 1e-9
    assert best.log_posterior - found.log_posterior < 0.2 * (best.log_posterior - before)


def test_the_noise_is_learned() -> None:
    found = fit(NumpyBackend(), *data(60, 0.3), np.zeros(60), prior(Columns.linear(2), 0.0), NUMBERS)
    assert 0.05 < found.noise < 0.4
    clean = fit(NumpyBackend(), *data(60, 0.0), np.zeros(60), prior(Columns.linear(2), 0.0), NUMBERS)
    assert clean.noise < 1e-4


def test_known_noise_is_not_learned_again() -> None:
    x, y = data(60, 0.3)
    unknown = fit(NumpyBackend(), x, y, np.zeros(60), prior(Columns.linear(2), 0.0), NUMBERS)
    known = fit(NumpyBackend(), x, y, np.full(60, unknown.noise), prior(Columns.linear(2), 0.0), NUMBERS)
    assert known.noise < 0.5 * unknown.noise


def test_irrelevant_columns_get_long_lengthscales() -> None:
    rng = np.random.default_rng(2)
    x = rng.random((40, 3))
    y = np.sin(6 * x[:, 1])
    found = fit(
        NumpyBackend(),
        x,
        (y - y.mean()) / y.std(),
        np.zeros(40),
        prior(Columns.linear(3), 0.0),
        np.zeros(3, bool),
    )
    lengths = found.hyper.lengthscales
    assert lengths[1] < 0.5 * min(lengths[0], lengths[2])
