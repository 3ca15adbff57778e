"""While numpy computes for us its matrix library has one thread, and afterwards what it had before."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from tests.contracts.problems import make_problem

from krigetuner.backend import blas_threads
from krigetuner.backend.blas_threads import single_threaded
from krigetuner.backend.numpy_backend import NumpyBackend


@pytest.fixture
def libraries() -> list[object]:
    p = make_problem(0)
    p.fit(NumpyBackend())
    return list(blas_threads._libraries.found or [])


def counts(libraries: list[object]) -> list[int]:
    return [library.get_num_threads() for library in libraries]  # type: ignore[attr-defined]


def test_one_thread_inside_and_as_before_outside(libraries: list[object]) -> None:
    before = counts(libraries)
    assert single_threaded(lambda: counts(libraries))() == [1] * len(libraries)
    assert counts(libraries) == before
    with pytest.raises(ZeroDivisionError):
        single_threaded(lambda: 1 / 0)()
    assert counts(libraries) == before


def test_without_threadpoolctl_threads_are_left_as_they_are(
    libraries: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    p, before = make_problem(2, n=50), counts(libraries)
    expected = NumpyBackend().predict(p.fit(NumpyBackend()), p.candidates)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)  # an import of it fails then
    monkeypatch.setattr(blas_threads, "_libraries", blas_threads._Libraries())
    found = NumpyBackend().predict(p.fit(NumpyBackend()), p.candidates)
    assert blas_threads._libraries.found == []
    assert single_threaded(lambda: counts(libraries))() == before
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_threads_that_overlap(libraries: list[object]) -> None:
    before = counts(libraries)
    first_is_in, second_is_in, seen = threading.Event(), threading.Event(), {}

    @single_threaded
    def first() -> None:
        first_is_in.set()
        second_is_in.wait(60)

    @single_threaded
    def second() -> None:
        second_is_in.set()
        one.join(60)
        seen["while the other has left"] = counts(libraries)

    one, two = threading.Thread(target=first), threading.Thread(target=second)
    one.start()
    first_is_in.wait(60)
    two.start()
    two.join(60)
    assert seen == {"while the other has left": [1] * len(libraries)}
    assert counts(libraries) == before


def test_any_thread_computes_the_same_bits() -> None:
    p, found = make_problem(1, n=150, m=40), {}

    def work(name: str) -> None:
        backend = NumpyBackend()
        found[name] = np.concatenate(backend.predict(p.fit(backend), p.candidates))

    work("here")
    other = threading.Thread(target=work, args=("there",))
    other.start()
    other.join()
    np.testing.assert_array_equal(found["here"], found["there"])
