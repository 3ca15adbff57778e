"""The two searches for maxima: laws of every backend, and scipy as the judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from tests.contracts.problems import ACQUISITIONS, Problem, make_problem

from krigetuner.backend.protocol import AcquisitionSpec, Array, Effort, KernelHyper, Penalty, Prior

THOROUGH = Effort(iterations=200, tolerance=1e-6)


def prior_of(d: int, shared: float = 0.7) -> Prior:
    mean = np.concatenate([np.full(d, np.log(0.5)), [0.0, np.log(1e-3)]])
    deviation = np.concatenate([np.linspace(0.7, 1.2, d), [1.0, 2.0]])
    return Prior(mean, deviation, mean - 4.0, mean + 4.0, shared)


def density(backend: Any, p: Problem, prior: Prior, theta: Array) -> tuple[float, Array]:
    """Log posterior density of theta (p + 1,) and its gradient, put together from the likelihood verb."""
    values = np.exp(theta)
    hyper = KernelHyper(values[:-2].copy(), float(values[-2]), p.hyper.categorical, p.hyper.family)
    found = backend.likelihood(p.x, p.y, (p.noise + values[-1])[None], [hyper])
    log_prior, slope = prior.log_density(theta[None])
    gradient = np.append(found.gradient[0], found.noise_gradient[0].sum() * values[-1]) + slope[0]
    return float(found.value[0] + log_prior[0]), gradient


def most_likely(backend: Any, p: Problem, prior: Prior, starts: Array, effort: Effort = THOROUGH) -> Any:
    return backend.most_likely(p.x, p.y, p.noise, p.hyper.categorical, p.hyper.family, prior, starts, effort)


def box(p: Problem, starts: Array) -> tuple[Array, Array]:
    """The cube, but for the categorical columns, which stay."""
    stays = np.broadcast_to(p.hyper.categorical, starts.shape)
    return np.where(stays, starts, 0.0), np.where(stays, starts, 1.0)


class BackendMaxima:
    """Laws of `most_likely` and `ascend`."""

    @pytest.mark.parametrize("seed", range(4))
    def test_most_likely_is_what_scipy_finds(self, backend: Any, seed: int) -> None:
        p, prior = make_problem(seed, n=25, d=2 + seed), prior_of(2 + seed, shared=0.5 * seed)
        theta, found = most_likely(backend, p, prior, prior.mean[None])
        judge = minimize(
            lambda t: tuple(-np.asarray(v) for v in density(backend, p, prior, t)),
            prior.mean,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(prior.lower, prior.upper, strict=True)),
            options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9},
        )
        assert found[0] >= -judge.fun - 1e-6
        assert found[0] == pytest.approx(density(backend, p, prior, theta[0])[0], abs=1e-9)

    @settings(max_examples=15, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        d=st.integers(1, 5),
        starts=st.integers(1, 3),
        shared=st.sampled_from([0.0, 1e-200, 0.3, 1e200]),
    )
    def test_most_likely_climbs_inside_its_box(
        self, backend: Any, seed: int, d: int, starts: int, shared: float
    ) -> None:
        p, prior = make_problem(seed, n=15, d=d), prior_of(d, shared)
        rng = np.random.default_rng(seed)
        begin = np.clip(prior.mean + rng.normal(size=(starts, d + 2)), prior.lower, prior.upper)
        theta, found = most_likely(backend, p, prior, begin)
        assert theta.shape == begin.shape
        assert np.all((theta >= prior.lower) & (theta <= prior.upper))
        for i in range(starts):
            assert found[i] >= density(backend, p, prior, begin[i])[0] - 1e-9

    @pytest.mark.parametrize("shared", [-0.1, float("nan"), float("inf")])
    def test_a_bad_prior_is_refused(self, backend: Any, shared: float) -> None:
        p, prior = make_problem(5, n=5, d=2), prior_of(2, shared)
        with pytest.raises(ValueError, match=f"^prior.shared: expected .* at least 0, got {shared}"):
            most_likely(backend, p, prior, prior.mean[None])

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 5), kind=st.sampled_from(ACQUISITIONS))
    def test_ascend_ends_where_nothing_free_climbs(self, backend: Any, seed: int, d: int, kind: Any) -> None:
        p = make_problem(seed, n=15, m=4, d=d)
        fitted, spec = p.fit(backend), AcquisitionSpec(kind, best=-0.5)
        lower, upper = box(p, p.candidates)
        rows, values = backend.ascend(fitted, p.candidates, lower, upper, spec, THOROUGH)
        assert np.all((rows >= lower) & (rows <= upper))
        np.testing.assert_allclose(values, backend.score(fitted, rows, spec)[0], rtol=1e-9, atol=1e-12)
        assert np.all(values >= backend.score(fitted, p.candidates, spec)[0] - 1e-12)

    @settings(max_examples=25, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 5), strength=st.sampled_from([0.0, 1e-3, 1.0, 1e6]))
    def test_a_penalty_is_taken_outside_its_box(self, backend: Any, seed: int, d: int, strength: float) -> None:
        p = make_problem(seed, n=15, m=4, d=d)
        rng = np.random.default_rng(seed)
        penalty = Penalty(rng.uniform(0.0, 0.5, d), rng.uniform(0.5, 1.0, d), strength)
        fitted, spec = p.fit(backend), AcquisitionSpec("logei", best=-0.5)
        rows, values = backend.ascend(fitted, p.candidates, *box(p, p.candidates), spec, THOROUGH, penalty)

        def less(x: Array) -> Array:
            below, above = np.clip(penalty.lower - x, 0.0, None), np.clip(x - penalty.upper, 0.0, None)
            return backend.score(fitted, x, spec)[0] - strength * (below**2 + above**2).sum(axis=1)

        np.testing.assert_allclose(values, less(rows), rtol=1e-9, atol=1e-9)
        assert np.all(values >= less(p.candidates) - 1e-9)

    def test_a_penalty_shifts_the_top_of_a_known_hill(self, backend: Any) -> None:
        x = np.linspace(0.0, 1.0, 12)[:, None]
        hyper = KernelHyper(np.array([0.3]), 1.0, np.zeros(1, dtype=bool))
        fitted = backend.fit(x, 4.0 * (x[:, 0] - 0.7) ** 2 - 1.0, np.full(12, 1e-6), hyper)
        spec, bounds = AcquisitionSpec("lcb", beta=0.0), (np.zeros((2, 1)), np.ones((2, 1)))
        for strength, top in ((0.0, 0.7), (4.0, 0.6), (12.0, 0.55)):  # of -4 (x - 0.7)^2 - strength (x - 0.5)^2
            penalty = Penalty(np.zeros(1), np.array([0.5]), strength)
            rows, _ = backend.ascend(fitted, np.array([[0.05], [0.95]]), *bounds, spec, THOROUGH, penalty)
            assert rows[:, 0] == pytest.approx(np.full(2, top), abs=5e-3)

    @pytest.mark.parametrize(
        ("penalty", "message"),
        [
            (Penalty(np.zeros(1), np.ones(2), 1.0), r"^penalty.lower: expected shape .*2.*, got .*\(1,\)"),
            (Penalty(np.zeros(2), np.full(2, np.nan), 1.0), r"^penalty.upper: expected finite"),
            (Penalty(np.zeros(2), np.ones(2), -1.0), r"^penalty.strength: expected .* at least 0, got -1"),
        ],
        ids=["width", "nan", "negative"],
    )
    def test_a_bad_penalty_is_refused(self, backend: Any, penalty: Penalty, message: str) -> None:
        p = make_problem(5, m=3, d=2)
        with pytest.raises(ValueError, match=message):
            backend.ascend(
                p.fit(backend), p.candidates, *box(p, p.candidates), AcquisitionSpec("ei"), THOROUGH, penalty
            )

    def test_ascend_finds_the_top_of_a_known_hill(self, backend: Any) -> None:
        x = np.linspace(0.0, 1.0, 12)[:, None]
        hyper = KernelHyper(np.array([0.3]), 1.0, np.zeros(1, dtype=bool))
        fitted = backend.fit(x, 4.0 * (x[:, 0] - 0.37) ** 2 - 1.0, np.full(12, 1e-6), hyper)
        bounds = np.zeros((2, 1)), np.ones((2, 1))
        rows, _ = backend.ascend(
            fitted, np.array([[0.05], [0.95]]), *bounds, AcquisitionSpec("lcb", beta=0.0), THOROUGH
        )
        assert rows[:, 0] == pytest.approx(np.full(2, 0.37), abs=5e-3)

    def test_starts_outside_are_moved_in_and_left_alone(self, backend: Any) -> None:
        p = make_problem(5, m=3, d=2)
        starts = np.full((3, 2), 7.0)
        rows, _ = backend.ascend(
            p.fit(backend), starts, np.zeros((3, 2)), np.ones((3, 2)), AcquisitionSpec("lcb"), Effort(0, 1e-6)
        )
        assert np.all(rows == 1.0)
        assert np.all(starts == 7.0)

    def test_no_starts(self, backend: Any) -> None:
        p, prior = make_problem(5, d=2), prior_of(2)
        none = np.empty((0, 2))
        rows, values = backend.ascend(p.fit(backend), none, none, none, AcquisitionSpec("ei"), THOROUGH)
        theta, found = most_likely(backend, p, prior, np.empty((0, 4)))
        assert rows.shape == (0, 2)
        assert theta.shape == (0, 4)
        assert len(values) == len(found) == 0

    def test_starts_of_another_width_are_refused(self, backend: Any) -> None:
        p, prior = make_problem(5, d=2), prior_of(2)
        with pytest.raises(ValueError, match=r"^starts: expected shape .*4.*, got .*\(1, 3\)"):
            most_likely(backend, p, prior, np.zeros((1, 3)))
        bad = np.zeros((1, 3))
        with pytest.raises(ValueError, match=r"^starts: expected shape .*2.*, got .*\(1, 3\)"):
            backend.ascend(p.fit(backend), bad, bad, bad, AcquisitionSpec("ei"), THOROUGH)
