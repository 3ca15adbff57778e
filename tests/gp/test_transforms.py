"""The output transforms: increasing, robust, likely, with right derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from krigetuner.gp import transforms
from krigetuner.gp.transforms import Kind, excess, transform

KINDS: tuple[Kind, ...] = ("plain", "power", "log")


@pytest.mark.parametrize("kind", KINDS)
def test_one_huge_loss_does_not_flatten_the_rest(kind: Kind) -> None:
    rest = np.linspace(0.1, 0.4, 20)
    y = transform(np.append(rest, 1e30), np.zeros(21), kind).y
    assert np.ptp(y[:20]) > 1.0
    assert y[20] == y.max()


@pytest.mark.parametrize("kind", KINDS)
def test_infinite_losses_are_as_bad_as_the_worst(kind: Kind) -> None:
    out = transform(np.array([0.3, np.inf, 0.1, 0.2, np.inf]), np.zeros(5), kind)
    assert out.y[1] == out.y[4] == out.y[0] == out.y.max()
    finite = transform(np.array([0.3, 0.1, 0.2]), np.zeros(3), kind)
    assert out.y[[0, 2, 3]] == pytest.approx(finite.y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "losses",
    [[1.0], [np.inf, np.inf], [2.0, 2.0, 2.0], [1.0, 1.0 + 1e-12], [0.0, 1e-300], [-1e308, 1e308], [0.0] * 9 + [5.0]],
    ids=str,
)
def test_degenerate_losses_give_finite_outputs(kind: Kind, losses: list[float]) -> None:
    out = transform(np.array(losses), np.zeros(len(losses)), kind)
    assert np.isfinite(out.y).all()
    assert np.isfinite(out.log_jacobian)
    assert np.abs(out.y).max() < 1e3


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.sampled_from(KINDS))
def test_order_is_kept(losses: list[float], kind: Kind) -> None:
    v = np.array(losses)
    y = transform(v, np.zeros(len(v)), kind).y
    order = np.argsort(v)
    assert (np.diff(y[order]) >= -1e-9).all()


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_yeo_johnson_agrees_with_scipy(exponent: float) -> None:
    t = np.linspace(-3, 3, 13)
    ours = transforms._yeo_johnson(t, exponent + 1e-9)
    assert ours == pytest.approx(stats.yeojohnson(t, exponent), abs=1e-6)


def test_the_exponent_is_the_likeliest() -> None:
    t = np.random.default_rng(0).gamma(1.5, size=200) - 1.0
    ours = transforms._likeliest(t)
    assert ours == pytest.approx(stats.yeojohnson(t)[1], abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_and_jacobian_follow_the_slope(kind: Kind) -> None:
    v = np.random.default_rng(1).gamma(2.0, size=30)
    out = transform(v, np.full(30, 0.01), kind)
    slope = np.sqrt(out.noise / 0.01)
    order = np.argsort(v)
    secant = np.diff(out.y[order]) / np.diff(v[order])
    between = np.minimum(slope[order][1:], slope[order][:-1]), np.maximum(slope[order][1:], slope[order][:-1])
    assert ((secant >= between[0] - 1e-9) & (secant <= between[1] + 1e-9)).all(), "mean value theorem"
    assert out.log_jacobian == pytest.approx(np.log(slope).sum())
    assert out.unit == pytest.approx(slope[np.argmin(v)])


def test_what_all_trials_vary_by_is_no_noise_of_one() -> None:
    assert excess(np.zeros(4)).tolist() == [0.0] * 4
    assert np.isfinite(excess(np.full(4, 1.7e308))).all()
    assert excess(np.array([0.0, 0.25, 0.25, 0.75, 0.25])).tolist() == [0.0, 0.0, 0.0, 0.5, 0.0]


def test_a_fold_that_is_harder_for_all_trials_makes_none_of_them_noisy() -> None:
    rng = np.random.default_rng(0)
    folds = rng.normal(size=30)[:, None] + np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) + 0.01 * rng.normal(size=(30, 5))
    variances = folds.var(axis=1, ddof=1) / 5
    assert variances.min() > 0.1
    assert excess(variances).max() < 0.01
