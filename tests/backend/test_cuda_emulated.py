"""The CUDA backend on an emulated GPU: the contract of all backends, and sizes at which it works in parts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from tests.contracts import emulated_gpu
from tests.contracts.backend import BackendContract
from tests.contracts.backend_maxima import most_likely, prior_of
from tests.contracts.problems import Problem, close, make_problem

from krigetuner.backend.cuda_backend import CudaBackend
from krigetuner.backend.numpy_backend import NumpyBackend
from krigetuner.backend.protocol import AcquisitionSpec, Array, Effort

REFERENCE = NumpyBackend()
SMALL = 48 << 10
LARGE = 1 << 30

settings.register_profile("few", settings.get_profile("fixed"), max_examples=3)


def open_backend() -> CudaBackend:
    patch = pytest.MonkeyPatch()
    with patch.context() as environment:
        environment.setenv("KRIGETUNER_CUDA_POOL", "own")
        for name in ("KRIGETUNER_CUDA_DEVICE", "KRIGETUNER_CUDA_MEMORY"):
            environment.delenv(name, raising=False)
        return CudaBackend(module=emulated_gpu.load())


@pytest.fixture(scope="module")
def backend() -> CudaBackend:
    return open_backend()


@pytest.fixture
def workspace(backend: CudaBackend) -> Iterator[Any]:
    native: Any = backend._native
    before = native.workspace_limit()
    yield native.set_workspace_limit
    native.set_workspace_limit(before)


@pytest.mark.slow
class TestCudaEmulated(BackendContract):
    name = "cuda"

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Iterator[CudaBackend]:
        settings.load_profile("few")  # 256 threads of a block take their turns on one core
        yield open_backend()
        settings.load_profile("fixed")


def everything(backend: Any, p: Problem) -> list[Array]:
    """Results of every verb."""
    fitted = p.fit(backend)
    spec = AcquisitionSpec("logei", -1.0)
    noise = np.stack([p.noise, 2 * p.noise, 3 * p.noise])
    rows, values = backend.ascend(
        fitted, p.candidates[:5], np.zeros((5, 3)), np.ones((5, 3)), spec, Effort(iterations=4)
    )
    return [
        *[backend.kernel(p.candidates, p.x, p.hyper, kind) for kind in ("none", "hyper", "query")],
        backend.kernel(p.x, None, p.hyper),
        *backend.likelihood(p.x, p.y, noise, [p.hyper] * 3),
        *backend.predict(fitted, p.candidates),
        *backend.score(fitted, p.candidates, spec, gradient=True),
        backend.sample(fitted, p.candidates[:6], np.eye(6), 1e-6),
        rows,
        values,
    ]


def test_a_small_workspace_changes_no_answer(backend: CudaBackend, workspace: Any) -> None:
    p = make_problem(3, n=60, m=70)
    found = []
    for size in (SMALL, LARGE):
        workspace(size)
        found.append(everything(backend, p))
    for a, b in zip(*found, strict=True):
        close(a, b, 1e-11)


def test_a_fit_of_more_than_cusolver_begins_with(backend: CudaBackend) -> None:
    p = make_problem(4, n=1100, m=20, d=2)
    fitted, expected = p.fit(backend), p.fit(REFERENCE)
    assert fitted.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-9)
    for a, b in zip(backend.predict(fitted, p.candidates), REFERENCE.predict(expected, p.candidates), strict=True):
        close(a, b, 1e-9)
    x = p.x.copy()
    x[1060] = x[1000]
    with pytest.raises(ArithmeticError, match="row 1060"):
        backend.fit(x, p.y, np.zeros(1100), p.with_hyper(lengthscales=np.full(2, 1e-5), variance=1.0).hyper)


@pytest.mark.slow
def test_a_likelihood_larger_than_a_batch(backend: CudaBackend) -> None:
    p = make_problem(5, n=2060, d=2)
    found, expected = (b.likelihood(p.x, p.y, p.noise[None], [p.hyper]) for b in (backend, REFERENCE))
    for a, b in zip(found, expected, strict=True):
        close(a, b, 1e-9)
    x = p.x.copy()
    x[2050] = x[7]
    hyper = p.with_hyper(lengthscales=np.full(2, 1e-5), variance=1.0).hyper
    failed = backend.likelihood(x, p.y, np.zeros((1, 2060)), [hyper])
    assert failed.value[0] == -np.inf
    assert not failed.gradient.any()
    assert not failed.noise_gradient.any()


def test_settings_of_several_kinds_in_one_call(backend: CudaBackend) -> None:
    p = make_problem(6, n=20)
    hypers = [p.hyper, p.with_hyper(family="rbf").hyper, p.with_hyper(categorical=np.zeros(3, bool)).hyper, p.hyper]
    noise = np.stack([p.noise] * 4)
    for a, b in zip(*(b.likelihood(p.x, p.y, noise, hypers) for b in (backend, REFERENCE)), strict=True):
        close(a, b, 1e-9)


def test_screening_is_exact_for_the_best(backend: CudaBackend) -> None:
    p = make_problem(7, n=40, m=300)
    spec = AcquisitionSpec("ei", -1.0)
    fitted = p.fit(backend)
    exact = backend.score(fitted, p.candidates, spec)[0]
    screened = backend.score(fitted, p.candidates, spec, precision=32)[0]
    np.testing.assert_allclose(screened, exact, atol=1e-4)
    best = np.argsort(-exact)[:32]
    np.testing.assert_allclose(screened[best], exact[best], rtol=1e-13)
    assert (screened != exact).any()


def test_single_precision_that_is_too_little_is_not_used(backend: CudaBackend) -> None:
    p = make_problem(8, n=20, m=200, d=2).with_hyper(lengthscales=np.full(2, 1e-40))
    spec = AcquisitionSpec("ei", -1.0)
    fitted = p.fit(backend)
    values = backend.score(fitted, p.candidates, spec, precision=32)[0]
    np.testing.assert_allclose(values, backend.score(fitted, p.candidates, spec)[0], atol=1e-6)


def test_threads_may_share_what_was_fitted(backend: CudaBackend) -> None:
    p = make_problem(9, n=50, m=6)
    fitted, spec = p.fit(backend), AcquisitionSpec("logei", -1.0)
    box = np.zeros((6, 3)), np.ones((6, 3))

    def work(kind: int) -> list[Array]:
        if kind:
            return list(backend.predict(fitted, p.candidates))
        return list(backend.ascend(fitted, p.candidates, *box, spec, Effort(iterations=3)))

    expected = [work(kind) for kind in (0, 1)]
    fitted = p.fit(backend)  # of which no inverse was formed yet
    with ThreadPoolExecutor(4) as pool:
        for i, found in enumerate(pool.map(work, [0, 1] * 6)):
            for a, b in zip(found, expected[i % 2], strict=True):
                np.testing.assert_array_equal(a, b)


def test_nothing_grows_with_use(backend: CudaBackend) -> None:
    machine: Any = emulated_gpu.load().machine
    p, prior = make_problem(10, n=5, m=3, d=2), prior_of(2)
    gc.collect()  # what other tests have left
    used = []
    for _ in range(30):
        fitted = p.fit(backend)
        backend.extend(fitted, p.candidates, np.zeros(8), np.ones(3))
        backend.score(fitted, p.candidates, AcquisitionSpec("ei"), gradient=True)
        most_likely(backend, p, prior, prior.mean[None], Effort(iterations=1))
        del fitted
        used.append((machine.in_use, machine.streams))
    assert used[0] == used[-1]
