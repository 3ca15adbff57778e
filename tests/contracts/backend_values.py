"""Values that are known: 50-digit arithmetic (tests/golden), closed forms, and scikit-learn's Gaussian process."""

from __future__ import annotations

import importlib.util
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.problems import ACQUISITIONS, FAMILIES, RADIAL, close, make_problem

from krigetuner.backend.protocol import AcquisitionSpec, KernelHyper

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
CASES = json.loads((GOLDEN / "posterior.json").read_text())
IMPROVEMENT = json.loads((GOLDEN / "improvement.json").read_text())


def hyper_of(given: dict[str, Any]) -> KernelHyper:
    return KernelHyper(
        np.array(given["lengthscales"]), given["variance"], np.array(given["categorical"]), given["family"]
    )


def far_apart(backend: Any, variance: float = 4.0) -> tuple[Any, np.ndarray]:
    """A posterior and a candidate so far away that its mean is 0 and its variance the prior's, exactly."""
    hyper = KernelHyper(np.array([1e-4]), variance, np.array([False]), "matern52")
    return backend.fit(np.array([[0.0]]), np.array([1.0]), np.array([0.0]), hyper), np.array([[1.0]])


class BackendValues:
    """Golden values."""

    @pytest.mark.parametrize("case", CASES, ids=lambda c: c["given"]["family"])
    def test_kernel_is_that_of_50_digits(self, backend: Any, case: dict[str, Any]) -> None:
        given = case["given"]
        x, queries, hyper = np.array(given["x"]), np.array(given["queries"]), hyper_of(given)
        np.testing.assert_allclose(backend.kernel(queries, x, hyper), case["kernel"], rtol=1e-13)
        for gradient in ("hyper", "query"):
            found = backend.kernel(queries, x, hyper, gradient)
            np.testing.assert_allclose(found, case[f"kernel_by_{gradient}"], rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("case", CASES, ids=lambda c: c["given"]["family"])
    def test_likelihood_is_that_of_50_digits(self, backend: Any, case: dict[str, Any]) -> None:
        given = case["given"]
        x, y, noise, hyper = np.array(given["x"]), np.array(given["y"]), np.array(given["noise"]), hyper_of(given)
        found = backend.likelihood(x, y, noise[None], [hyper])
        np.testing.assert_allclose(found.value[0], case["log_likelihood"], rtol=1e-11)
        close(found.gradient[0], case["gradient"], 1e-11)
        close(found.noise_gradient[0], case["noise_gradient"], 1e-11)
        np.testing.assert_allclose(backend.fit(x, y, noise, hyper).log_likelihood, case["log_likelihood"], rtol=1e-11)

    @pytest.mark.parametrize("case", CASES, ids=lambda c: c["given"]["family"])
    def test_posterior_is_that_of_50_digits(self, backend: Any, case: dict[str, Any]) -> None:
        given = case["given"]
        fitted = backend.fit(np.array(given["x"]), np.array(given["y"]), np.array(given["noise"]), hyper_of(given))
        mean, variance = backend.predict(fitted, np.array(given["queries"]))
        close(mean, case["mean"], 1e-11)
        np.testing.assert_allclose(variance, case["variance"], rtol=1e-11)

    @pytest.mark.parametrize("kind", ACQUISITIONS)
    @pytest.mark.parametrize("case", CASES, ids=lambda c: c["given"]["family"])
    def test_acquisition_is_that_of_50_digits(self, backend: Any, case: dict[str, Any], kind: Any) -> None:
        given = case["given"]
        queries = np.array(given["queries"])
        fitted = backend.fit(np.array(given["x"]), np.array(given["y"]), np.array(given["noise"]), hyper_of(given))
        expected = zip(given["bests"], case["scores"][kind], case["score_gradients"][kind], strict=True)
        for best, values, gradients in expected:
            spec = AcquisitionSpec(kind, best, given["beta"], given["xi"])
            found, slopes = backend.score(fitted, queries, spec, gradient=True)
            # far below the incumbent ei and pi are exp(-z^2 / 2): z^2 times the error of z
            allowed = 1e-11 if best == given["bests"][0] or kind not in ("ei", "pi") else 1e-8
            np.testing.assert_allclose(found, values, rtol=allowed)
            for row, expected_row in zip(slopes, gradients, strict=True):
                close(row, expected_row, 10 * allowed)
            alone, none = backend.score(fitted, queries, spec)
            assert none is None
            np.testing.assert_allclose(alone, found, rtol=1e-14)

    @pytest.mark.parametrize("row", IMPROVEMENT, ids=lambda r: f"{r['z']:g}")
    def test_improvement_far_in_the_tail(self, backend: Any, row: dict[str, float]) -> None:
        fitted, candidate = far_apart(backend)
        sigma = 2.0
        for shift in (0.0, 0.5):
            specs = {k: AcquisitionSpec(k, sigma * row["z"] + shift, xi=shift) for k in ("ei", "logei", "pi")}  # type: ignore[arg-type]
            found = {k: float(backend.score(fitted, candidate, spec)[0][0]) for k, spec in specs.items()}
            log_value = math.log(sigma) + row["log_improvement"]
            assert found["logei"] == pytest.approx(log_value, rel=1e-14, abs=1e-13)
            assert math.expm1(found["logei"] - log_value) == pytest.approx(0, abs=max(1e-10, 4e-16 * abs(log_value)))
            rounding = 1e-13 + 4e-16 * row["z"] ** 2
            assert found["ei"] == pytest.approx(sigma * row["improvement"], rel=rounding, abs=1e-300)
            assert found["pi"] == pytest.approx(row["probability"], rel=rounding, abs=1e-300)

    def test_log_improvement_never_becomes_infinite(self, backend: Any) -> None:
        fitted, candidate = far_apart(backend)
        for z in (-1e6, -1e9, 1e9):
            value, gradient = backend.score(fitted, candidate, AcquisitionSpec("logei", 2 * z), gradient=True)
            assert np.isfinite(value).all()
            assert np.isfinite(gradient).all()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_one_observation_has_a_closed_form(self, backend: Any, family: Any) -> None:
        hyper = KernelHyper(np.array([0.5, 0.7]), 1.5, np.array([False, False]), family)
        x, y, noise = np.array([[0.2, 0.9]]), np.array([-1.3]), np.array([0.3])
        query = np.array([[0.4, 0.5], [0.2, 0.9]])
        r = math.hypot(0.2 / 0.5, 0.4 / 0.7)
        s = math.sqrt({"matern32": 3, "matern52": 5}.get(family, 1)) * r
        terms = [math.sqrt(5) * 0.2 / 0.5, math.sqrt(5) * 0.4 / 0.7]
        shape = {
            "rbf": math.exp(-r * r / 2),
            "matern12": math.exp(-r),
            "matern32": (1 + s) * math.exp(-s),
            "matern52": (1 + s + s * s / 3) * math.exp(-s),
            "additive52": sum((1 + t + t * t / 3) * math.exp(-t) for t in terms) / 2,
        }
        k = 1.5 * np.array([shape[family], 1.0])
        fitted = backend.fit(x, y, noise, hyper)
        mean, variance = backend.predict(fitted, query)
        np.testing.assert_allclose(mean, k * -1.3 / 1.8, rtol=1e-14)
        np.testing.assert_allclose(variance, 1.5 - k * k / 1.8, rtol=1e-14)
        assert fitted.count == 1
        value = -0.5 * 1.69 / 1.8 - 0.5 * math.log(2 * math.pi * 1.8)
        assert fitted.log_likelihood == pytest.approx(value, rel=1e-14)

    @pytest.mark.parametrize("categories", [0, 2, 3])
    def test_the_additive_kernel_is_the_mean_of_kernels_of_one_number_times_that_of_the_categories(
        self, backend: Any, categories: int
    ) -> None:
        p = make_problem(11, n=7, d=5, family="additive52")
        fixed = np.isin(np.arange(5), np.random.default_rng(categories).permutation(5)[:categories])

        def of(columns: Any) -> Any:
            a, b = np.ascontiguousarray(p.candidates[:, columns]), np.ascontiguousarray(p.x[:, columns])
            return backend.kernel(a, b, KernelHyper(p.hyper.lengthscales[columns], 1.0, fixed[columns]))

        mean = np.mean([of([j]) for j in np.flatnonzero(~fixed)], axis=0)
        expected = p.hyper.variance * mean * (of(np.flatnonzero(fixed)) if categories else 1.0)
        found = backend.kernel(p.candidates, p.x, replace(p.hyper, categorical=fixed))
        np.testing.assert_allclose(found, expected, rtol=1e-13)

    def test_the_additive_kernel_of_one_number_is_the_plain_one(self, backend: Any) -> None:
        p = make_problem(12, n=7, d=3).with_hyper(categorical=np.array([True, False, True]))
        additive = p.with_hyper(family="additive52")
        np.testing.assert_array_equal(backend.kernel(p.x, None, additive.hyper), backend.kernel(p.x, None, p.hyper))

    @pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="a judge is not installed: scikit-learn")
    @pytest.mark.parametrize("family", RADIAL)
    def test_agrees_with_scikit_learn(self, backend: Any, family: str) -> None:
        from sklearn import gaussian_process
        from sklearn.gaussian_process import kernels

        p = make_problem(5, n=40, m=30, d=2, family=family)
        nu = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5, "rbf": math.inf}[family]
        kernel = kernels.ConstantKernel(p.hyper.variance) * kernels.Matern(p.hyper.lengthscales, nu=nu)
        judge = gaussian_process.GaussianProcessRegressor(kernel, alpha=p.noise, optimizer=None).fit(p.x, p.y)
        np.testing.assert_allclose(backend.kernel(p.candidates, p.x, p.hyper), kernel(p.candidates, p.x), rtol=1e-11)
        value, gradient = judge.log_marginal_likelihood(kernel.theta, eval_gradient=True)
        found = backend.likelihood(p.x, p.y, p.noise[None], [p.hyper])
        np.testing.assert_allclose(found.value[0], value, rtol=1e-10)
        close(found.gradient[0], [*gradient[1:], gradient[0]], 1e-9)
        mean, deviation = judge.predict(p.candidates, return_std=True)
        fitted = p.fit(backend)
        close(backend.predict(fitted, p.candidates)[0], mean, 1e-10)
        np.testing.assert_allclose(backend.predict(fitted, p.candidates)[1], deviation**2, rtol=1e-8)
        _, covariance = judge.predict(p.candidates, return_cov=True)
        draws = backend.sample(fitted, p.candidates, np.eye(30), jitter=1e-6) - mean
        close(draws.T @ draws, covariance + 1e-6 * p.hyper.variance * np.eye(30), 1e-9)
