"""Laws that hold for every input: symmetries, gradients, refits, what is left alone, and who may call at once."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.problems import ACQUISITIONS, FAMILIES, Problem, close, make_problem, moved, problems, slope

from krigetuner.backend.protocol import VARIANCE_FLOOR, AcquisitionSpec, KernelHyper
from krigetuner.errors import NotPositiveDefinite


def covariance(p: Problem, backend: Any) -> np.ndarray:
    """Posterior covariance from the definition, with a general solver."""
    k = backend.kernel(p.x, None, p.hyper) + np.diag(p.noise)
    cross = backend.kernel(p.x, p.candidates, p.hyper)
    return np.asarray(backend.kernel(p.candidates, None, p.hyper) - cross.T @ np.linalg.solve(k, cross))


def nudged(hyper: KernelHyper, j: int, by: float) -> KernelHyper:
    """Hyperparameters with a step in the j-th logarithm."""
    d = len(hyper.lengthscales)
    factor = np.exp(by)
    if j == d:
        return replace(hyper, variance=hyper.variance * factor)
    return replace(hyper, lengthscales=np.where(np.arange(d) == j, factor, 1.0) * hyper.lengthscales)


def away(p: Problem) -> Problem:
    """The problem without candidates closer than 0.1 to an observation, where kernels have a kink."""
    nearest = np.sqrt(((p.candidates[:, None] - p.x[None]) ** 2).sum(-1)).min(axis=1)
    return replace(p, candidates=np.ascontiguousarray(p.candidates[nearest > 0.1]))


class BackendLaws:
    """Properties."""

    @given(p=problems())
    def test_kernel_is_symmetric_and_positive_semidefinite(self, backend: Any, p: Problem) -> None:
        k = backend.kernel(p.x, None, p.hyper)
        np.testing.assert_array_equal(k, k.T)
        rounding = 1e-14 if p.hyper.family == "additive52" and backend.tolerance else 0.0  # of the sum of its terms
        np.testing.assert_allclose(k.diagonal(), np.full(len(k), p.hyper.variance), rtol=rounding, atol=0.0)
        np.testing.assert_allclose(k, backend.kernel(p.x, p.x, p.hyper), rtol=1e-14)
        assert np.linalg.eigvalsh(k).min() >= -1e-13 * len(k) * p.hyper.variance
        across = backend.kernel(p.x, p.candidates, p.hyper)
        np.testing.assert_allclose(across.T, backend.kernel(p.candidates, p.x, p.hyper), rtol=1e-14)

    @given(p=problems(n=10))
    def test_kernel_gradients_are_slopes(self, backend: Any, p: Problem) -> None:
        p = away(p)
        by_hyper = backend.kernel(p.candidates, p.x, p.hyper, "hyper")
        by_query = backend.kernel(p.candidates, p.x, p.hyper, "query")
        for j in range(len(p.hyper.lengthscales) + 1):
            expected = slope(lambda h, j=j: backend.kernel(p.candidates, p.x, nudged(p.hyper, j, h)))
            close(by_hyper[j], expected, 1e-8, p.hyper.variance)
        for j, categorical in enumerate(p.hyper.categorical):
            if categorical:
                assert not by_query[j].any()
            else:
                expected = slope(lambda h, j=j: backend.kernel(moved(p.candidates, j, h), p.x, p.hyper))
                close(by_query[j], expected, 1e-7, 10 * p.hyper.variance)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_kernel_gradients_at_distance_zero(self, backend: Any, family: Any) -> None:
        p = make_problem(1, n=4, family=family)
        for gradient in ("hyper", "query"):
            found = backend.kernel(p.x, None, p.hyper, gradient)[: len(p.hyper.lengthscales)]
            assert not np.einsum("jnn->jn", found).any()
            np.testing.assert_allclose(found, backend.kernel(p.x, p.x, p.hyper, gradient)[: len(found)], rtol=1e-14)

    @given(p=problems(n=15))
    def test_likelihood_gradients_are_slopes(self, backend: Any, p: Problem) -> None:
        found = backend.likelihood(p.x, p.y, p.noise[None], [p.hyper])
        scale = float(np.abs(found.gradient).max()) + abs(float(found.value[0])) + len(p.x)

        def value(noise: Any, hyper: KernelHyper) -> Any:
            return backend.likelihood(p.x, p.y, noise[None], [hyper]).value[0]

        for j in range(found.gradient.shape[1]):
            close(found.gradient[0, j], slope(lambda h, j=j: value(p.noise, nudged(p.hyper, j, h))), 1e-6, scale)
        for i in range(len(p.x)):
            unit = np.eye(len(p.x))[i] * p.noise[i]
            expected = slope(lambda h, unit=unit: value(p.noise + h * unit, p.hyper)) / p.noise[i]
            close(found.noise_gradient[0, i], expected, 1e-5, scale / p.noise[i])

    @given(
        p=problems(n=15, noises=(1e-2,)), kind=st.sampled_from(ACQUISITIONS), best=st.sampled_from([-3.0, -0.5, 1.0])
    )
    def test_score_gradients_are_slopes(self, backend: Any, p: Problem, kind: Any, best: float) -> None:
        p = away(p)
        spec = AcquisitionSpec(kind, best, 1.5, 0.05)
        fitted = p.fit(backend)
        values, gradients = backend.score(fitted, p.candidates, spec, gradient=True)
        scale = 10 * (1 + float(np.abs(gradients).max(initial=0)) + float(np.abs(values).max(initial=0)))
        for j, categorical in enumerate(p.hyper.categorical):
            if categorical:
                assert not gradients[:, j].any()
            else:
                expected = slope(lambda h, j=j: backend.score(fitted, moved(p.candidates, j, h), spec)[0], 5e-4)
                close(gradients[:, j], expected, 1e-6, scale)

    @given(p=problems())
    def test_posterior_is_its_definition(self, backend: Any, p: Problem) -> None:
        k = backend.kernel(p.x, None, p.hyper) + np.diag(p.noise)
        cross = backend.kernel(p.x, p.candidates, p.hyper)
        mean, variance = backend.predict(p.fit(backend), p.candidates)
        close(mean, cross.T @ np.linalg.solve(k, p.y), 1e-8, 1 + float(np.abs(p.y).max()))
        close(variance, covariance(p, backend).diagonal(), 1e-8, p.hyper.variance)

    @given(p=problems(m=20))
    def test_a_mean_is_that_of_predict(self, backend: Any, p: Problem) -> None:
        fitted = p.fit(backend)
        for x in (p.candidates, p.x):
            close(backend.mean(fitted, x), backend.predict(fitted, x)[0], 1e-8, 1 + float(np.abs(p.y).max()))

    @given(p=problems(), data=st.data())
    def test_order_does_not_matter(self, backend: Any, p: Problem, data: st.DataObject) -> None:
        rows = np.array(data.draw(st.permutations(range(len(p.x)))))
        columns = np.array(data.draw(st.permutations(range(len(p.candidates)))), dtype=int)
        mean, variance = backend.predict(p.fit(backend), p.candidates)
        other = backend.fit(p.x[rows], p.y[rows], p.noise[rows], p.hyper)
        found = backend.predict(other, np.ascontiguousarray(p.candidates[columns]))
        close(found[0], mean[columns], 1e-8, 1 + float(np.abs(p.y).max()))
        close(found[1], variance[columns], 1e-9, p.hyper.variance)
        assert other.log_likelihood == pytest.approx(p.fit(backend).log_likelihood, rel=1e-8, abs=1e-8)

    @given(p=problems(), k=st.integers(0, 3))
    def test_extend_is_refit(self, backend: Any, p: Problem, k: int) -> None:
        k = min(k, len(p.x) - 1)
        n = len(p.x) - k
        first = backend.fit(p.x[:n], p.y[:n] + 5.0, p.noise[:n], p.hyper)
        before = backend.predict(first, p.candidates)
        extended = backend.extend(first, p.x[n:], p.y, p.noise[n:])
        whole = p.fit(backend)
        assert extended.count == len(p.x)
        assert extended.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-9, abs=1e-9)
        found, expected = backend.predict(extended, p.candidates), backend.predict(whole, p.candidates)
        close(found[0], expected[0], 1e-9, 1 + float(np.abs(p.y).max()))
        close(found[1], expected[1], 1e-9, p.hyper.variance)
        # what was fitted is immutable
        np.testing.assert_array_equal(backend.predict(first, p.candidates), before)
        assert first.count == n

    def test_extend_uses_the_jitter_of_fit(self, backend: Any) -> None:
        p = make_problem(3)
        whole = backend.fit(p.x, p.y, p.noise, p.hyper, 0.25)
        part = backend.extend(backend.fit(p.x[:8], p.y[:8], p.noise[:8], p.hyper, 0.25), p.x[8:], p.y, p.noise[8:])
        same = backend.fit(p.x, p.y, p.noise + 0.25, p.hyper)
        for other in (part, same):
            assert other.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)

    @given(p=problems(), count=st.integers(1, 4))
    def test_a_batch_of_likelihoods_is_each_alone(self, backend: Any, p: Problem, count: int) -> None:
        hypers = [nudged(p.hyper, 0, 0.3 * i) for i in range(count)]
        noise = np.array([p.noise * (1 + i) for i in range(count)])
        batch = backend.likelihood(p.x, p.y, noise, hypers)
        for i, hyper in enumerate(hypers):
            alone = backend.likelihood(p.x, p.y, noise[i : i + 1], [hyper])
            for found, expected in zip(batch, alone, strict=True):
                np.testing.assert_array_equal(found[i], expected[0])
        assert batch.value[0] == pytest.approx(p.fit(backend).log_likelihood, rel=1e-10, abs=1e-10)

    @given(p=problems(n=15, m=8))
    def test_samples_have_the_posterior_covariance(self, backend: Any, p: Problem) -> None:
        fitted = p.fit(backend)
        m = len(p.candidates)
        mean = backend.predict(fitted, p.candidates)[0]
        np.testing.assert_allclose(
            backend.sample(fitted, p.candidates, np.zeros((2, m)), 1e-6), np.stack([mean] * 2), rtol=1e-12
        )
        factor = backend.sample(fitted, p.candidates, np.eye(m), 1e-6) - mean
        expected = covariance(p, backend) + 1e-6 * p.hyper.variance * np.eye(m)
        close(factor.T @ factor, expected, 1e-9, 1 + p.hyper.variance + float(np.abs(p.y).max()) ** 2)

    def test_a_failed_pivot_is_reported(self, backend: Any) -> None:
        x = np.linspace(0, 1, 8)[:, None].copy()
        x[5] = x[2]
        hyper = KernelHyper(np.array([1e-4]), 1.0, np.array([False]))
        y, nothing = np.ones(8), np.zeros(8)
        with pytest.raises(
            NotPositiveDefinite, match=r"^K: expected a positive definite matrix, got .* row 5.* jitter"
        ) as caught:
            backend.fit(x, y, nothing, hyper)
        assert caught.value.pivot == 5
        first = backend.fit(x[:4], y[:4], nothing[:4], hyper)
        with pytest.raises(NotPositiveDefinite) as caught:
            backend.extend(first, x[4:], y, nothing[4:])
        assert caught.value.pivot == 5
        assert backend.fit(x, y, nothing, hyper, 1e-8).count == 8
        found = backend.likelihood(x, y, np.stack([nothing, nothing + 0.1]), [hyper, hyper])
        assert found.value[0] == -np.inf
        assert not found.gradient[0].any()
        assert not found.noise_gradient[0].any()
        assert np.isfinite(found.value[1])
        assert found.noise_gradient[1].any()
        with pytest.raises(NotPositiveDefinite):
            backend.sample(first, np.array([[0.5], [0.5]]), np.zeros((1, 2)), 0.0)

    def test_variance_is_held_at_its_floor(self, backend: Any) -> None:
        hyper = KernelHyper(np.array([0.5, 0.5]), 4.0, np.array([False, False]))
        fitted = backend.fit(np.array([[0.0, 0.0], [0.3, 0.1]]), np.array([2.0, 1.0]), np.zeros(2), hyper)
        there = np.array([[1e-7, 0.0]])
        assert backend.predict(fitted, there)[1][0] == VARIANCE_FLOOR * 4.0
        weighted = backend.score(fitted, there, AcquisitionSpec("ucb", beta=1e6), gradient=True)
        plain = backend.score(fitted, there, AcquisitionSpec("ucb", beta=0.0), gradient=True)
        np.testing.assert_allclose(weighted[0] - plain[0], 1e6 * np.sqrt(VARIANCE_FLOOR * 4.0), rtol=1e-9)
        # without the rule, 1e6 times a slope of sigma of about 1
        np.testing.assert_allclose(weighted[1], plain[1], rtol=1e-12)
        assert plain[1].any()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_nothing_overflows_far_away(self, backend: Any, family: Any) -> None:
        for size in (1e-8, 1e-150, 1e8):
            hyper = KernelHyper(np.array([size, 1.0]), 1.0, np.array([False, True]), family)
            x, y = np.array([[0.0, 0.5], [1.0, 0.5], [1.0, 0.25]]), np.array([1.0, -1.0, 0.5])
            found = backend.likelihood(x, y, np.full((1, 3), 0.1), [hyper])
            fitted = backend.fit(x, y, np.full(3, 0.1), hyper)
            score = backend.score(fitted, x + 0.25, AcquisitionSpec("logei", -1.0), gradient=True)
            for a in (*found, *score, backend.kernel(x, None, hyper, "hyper"), backend.kernel(x, None, hyper, "query")):
                assert np.isfinite(a).all()

    def test_a_model_is_of_what_there_is_at_most(self, backend: Any) -> None:
        sizes = [backend.observations(n) for n in (0, 1, 100, 10_000, 1_000_000)]
        assert sizes[:3] == [0, 1, 100]
        assert 100 <= sizes[3] <= sizes[4] <= 100_000

    def test_no_candidates(self, backend: Any) -> None:
        p = make_problem(0, m=0)
        fitted = p.fit(backend)
        assert [a.shape for a in backend.predict(fitted, p.candidates)] == [(0,), (0,)]
        values, gradients = backend.score(fitted, p.candidates, AcquisitionSpec("ei"), gradient=True)
        assert (values.shape, gradients.shape) == ((0,), (0, 3))
        assert backend.sample(fitted, p.candidates, np.empty((4, 0))).shape == (4, 0)
        assert backend.kernel(p.candidates, p.x, p.hyper).shape == (0, 12)

    def test_single_precision_is_close(self, backend: Any) -> None:
        p = make_problem(2, m=50)
        fitted = p.fit(backend)
        exact = backend.score(fitted, p.candidates, AcquisitionSpec("ei", -1.0))[0]
        np.testing.assert_allclose(
            backend.score(fitted, p.candidates, AcquisitionSpec("ei", -1.0), precision=32)[0], exact, atol=1e-4
        )

    def test_arguments_are_left_alone(self, backend: Any) -> None:
        p = make_problem(4)
        given = [p.x, p.y, p.noise, p.candidates, p.hyper.lengthscales, p.hyper.categorical]
        copies = [a.copy() for a in given]
        for a in given:
            a.flags.writeable = False
        fitted = backend.extend(backend.fit(p.x[:9], p.y[:9], p.noise[:9], p.hyper), p.x[9:], p.y, p.noise[9:])
        backend.likelihood(p.x, p.y, p.noise[None], [p.hyper])
        backend.score(fitted, p.candidates, AcquisitionSpec("logei"), gradient=True)
        backend.sample(fitted, p.candidates, np.zeros((1, len(p.candidates))), 1e-8)
        for a, b in zip(given, copies, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_what_was_fitted_outlives_its_arguments(self, backend: Any) -> None:
        p = make_problem(6, n=200)
        expected = backend.predict(p.fit(backend), p.candidates)
        x, y, noise = p.x.copy(), p.y.copy(), p.noise.copy()
        hyper = replace(p.hyper, lengthscales=p.hyper.lengthscales.copy(), categorical=p.hyper.categorical.copy())
        fitted = backend.fit(x, y, noise, hyper)
        extended = backend.extend(fitted, x[:0], y, noise[:0])
        for a in (x, y, noise, hyper.lengthscales):
            a[:] = np.nan
        del x, y, noise, hyper
        gc.collect()
        np.testing.assert_array_equal(backend.predict(fitted, p.candidates), expected)
        del fitted
        gc.collect()
        np.testing.assert_allclose(backend.predict(extended, p.candidates), expected, rtol=1e-12)

    def test_two_threads_at_once(self, backend: Any) -> None:
        ps = [make_problem(seed, n=150, m=40) for seed in (7, 8)]

        def work(p: Problem) -> list[Any]:
            fitted = p.fit(backend)
            likelihood = backend.likelihood(p.x, p.y, p.noise[None], [p.hyper])
            return [*backend.predict(fitted, p.candidates), *likelihood]

        expected = [work(p) for p in ps]
        with ThreadPoolExecutor(2) as pool:
            for found in pool.map(lambda i: (i % 2, work(ps[i % 2])), range(20)):
                for a, b in zip(found[1], expected[found[0]], strict=True):
                    np.testing.assert_array_equal(a, b)
