"""The native backends agree with the numpy reference to 1e-9, verb by verb, on inputs of every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.backend import load
from tests.contracts.backend_maxima import box, most_likely, prior_of
from tests.contracts.problems import ACQUISITIONS, Problem, close, make_problem, problems

from krigetuner.backend.acquisition_numpy import evaluate
from krigetuner.backend.numpy_backend import NumpyBackend
from krigetuner.backend.protocol import AcquisitionSpec, Effort, KernelHyper, Penalty

REFERENCE = NumpyBackend()
SIZES = {"n": 70, "m": 40, "d": 12}


@pytest.fixture(scope="module", params=["cpp", pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request: pytest.FixtureRequest) -> Any:
    return load(request.param)


def sizes_of(p: Problem) -> dict[str, float]:
    """What an error is measured against: the prior's scale, for each kind of result."""
    return {"mean": 1 + float(np.abs(p.y).max()), "variance": p.hyper.variance}


def summands(p: Problem, noise: np.ndarray, hyper: KernelHyper) -> np.ndarray:
    """Sum of the magnitudes of what each entry (p,) of the likelihood's gradient adds up.

    Two equal rows with different outputs make large terms that cancel; any two ways to add them differ by that.
    """
    inverse = np.linalg.inv(REFERENCE.kernel(p.x, None, hyper) + np.diag(noise))
    alpha = inverse @ p.y
    derivatives = REFERENCE.kernel(p.x, None, hyper, "hyper")
    return np.asarray(np.einsum("ij,kij->k", np.abs(np.outer(alpha, alpha)) + np.abs(inverse), np.abs(derivatives)))


@settings(max_examples=60)
@given(p=problems(**SIZES))
def test_kernel(backend: Any, p: Problem) -> None:
    for a, b in ((p.x, None), (p.x, p.candidates), (p.candidates, p.x)):
        for gradient in ("none", "hyper", "query"):
            expected = REFERENCE.kernel(a, b, p.hyper, gradient)  # type: ignore[arg-type]
            # scaled to the largest entry: a difference of two close coordinates has few digits of its own
            close(backend.kernel(a, b, p.hyper, gradient), expected, backend.tolerance)


@settings(max_examples=60)
@given(p=problems(**SIZES))
def test_likelihood(backend: Any, p: Problem) -> None:
    hypers = [p.hyper, replace(p.hyper, variance=2 * p.hyper.variance)]
    noise = np.stack([p.noise, 3 * p.noise])
    found, expected = (b.likelihood(p.x, p.y, noise, hypers) for b in (backend, REFERENCE))
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-9, atol=1e-9)
    for i, hyper in enumerate(hypers):
        terms = summands(p, noise[i], hyper)
        allowed = backend.tolerance * (np.abs(expected.gradient[i]).max() + len(p.x)) + 1e-12 * terms
        assert (np.abs(found.gradient[i] - expected.gradient[i]) <= allowed).all()
        close(found.noise_gradient[i], expected.noise_gradient[i], backend.tolerance)


@settings(max_examples=60)
@given(p=problems(**SIZES))
def test_predict(backend: Any, p: Problem) -> None:
    (mean, variance), expected = (b.predict(p.fit(b), p.candidates) for b in (backend, REFERENCE))
    close(mean, expected[0], backend.tolerance, sizes_of(p)["mean"])
    close(variance, expected[1], backend.tolerance, sizes_of(p)["variance"])
    assert p.fit(backend).log_likelihood == pytest.approx(p.fit(REFERENCE).log_likelihood, rel=1e-9, abs=1e-9)


@settings(max_examples=60)
@given(p=problems(**SIZES), k=st.integers(0, 5))
def test_extend(backend: Any, p: Problem, k: int) -> None:
    n = max(1, len(p.x) - k)

    def extended(b: Any) -> Any:
        fitted = b.extend(b.fit(p.x[:n], p.y[:n], p.noise[:n], p.hyper), p.x[n:], p.y, p.noise[n:])
        return fitted.log_likelihood, b.predict(fitted, p.candidates)

    found, expected = extended(backend), extended(REFERENCE)
    assert found[0] == pytest.approx(expected[0], rel=1e-9, abs=1e-9)
    for a, b, size in zip(found[1], expected[1], sizes_of(p).values(), strict=True):
        close(a, b, backend.tolerance, size)


@settings(max_examples=80)
@given(p=problems(**SIZES), kind=st.sampled_from(ACQUISITIONS), best=st.floats(-5, 5), xi=st.sampled_from([0.0, 0.1]))
def test_score(backend: Any, p: Problem, kind: Any, best: float, xi: float) -> None:
    spec = AcquisitionSpec(kind, best, 2.0, xi)
    (values, gradients), (expected, slopes) = (
        b.score(p.fit(b), p.candidates, spec, gradient=True) for b in (backend, REFERENCE)
    )
    # what an error of 1e-9 in the posterior does to the acquisition function
    mean, variance = REFERENCE.predict(p.fit(REFERENCE), p.candidates)
    _, by_mean, by_sigma = evaluate(spec, mean, np.sqrt(variance))
    moved = np.abs(by_mean) * sizes_of(p)["mean"] + np.abs(by_sigma) * p.hyper.variance / (2 * np.sqrt(variance))
    assert (np.abs(values - expected) <= backend.tolerance * (np.abs(expected) + moved) + 1e-300).all()
    for row, wanted, amplified in zip(gradients, slopes, moved / np.maximum(np.abs(expected), 1e-300), strict=True):
        close(row, wanted, backend.tolerance * (10 + float(amplified)), 1 + float(np.abs(wanted).max()))


@settings(max_examples=40)
@given(p=problems(n=40, m=12, d=6))
def test_sample(backend: Any, p: Problem) -> None:
    normals = np.random.default_rng(0).normal(size=(3, len(p.candidates)))
    # a jitter of 1e-4: the factor of a nearly singular covariance is not a continuous function of it
    found, expected = (b.sample(p.fit(b), p.candidates, normals, 1e-4) for b in (backend, REFERENCE))
    close(found, expected, backend.tolerance, 1 + float(np.abs(p.y).max()) + p.hyper.variance)


@pytest.mark.parametrize("n", [100, 257, 600])
def test_sizes_beyond_one_block(backend: Any, n: int) -> None:
    p = make_problem(n, n=n, m=300, d=8, noise=1e-3)
    for a, b in zip(
        backend.predict(p.fit(backend), p.candidates), REFERENCE.predict(p.fit(REFERENCE), p.candidates), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)
    found, expected = (b.likelihood(p.x, p.y, p.noise[None], [p.hyper]) for b in (backend, REFERENCE))
    for a, b in zip(found, expected, strict=True):
        close(a, b, backend.tolerance)


def test_searches_for_maxima(backend: Any) -> None:
    """Step by step the same: branches are decided by numbers that agree to rounding, so nearly all end together."""
    same = 0
    effort = Effort(iterations=40, tolerance=1e-5, reach=0.3)
    for seed in range(40):
        p, prior = make_problem(seed, n=30, m=4, d=1 + seed % 6), prior_of(1 + seed % 6)
        starts = np.stack([prior.mean, prior.mean + 0.5])
        theta, expected = (most_likely(b, p, prior, starts, effort)[0] for b in (backend, REFERENCE))
        spec = AcquisitionSpec("logei", best=-0.5)
        d = p.x.shape[1]
        held = Penalty(np.full(d, 0.2), np.full(d, 0.7), 10.0) if seed % 2 else None
        rows = [
            b.ascend(p.fit(b), p.candidates, *box(p, p.candidates), spec, effort, held)[0] for b in (backend, REFERENCE)
        ]
        same += np.allclose(theta, expected, atol=1e-6) and np.allclose(*rows, atol=1e-6)
    assert same >= 38
