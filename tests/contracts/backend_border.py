"""What a backend refuses, and what its messages say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.contracts.problems import Problem, make_problem

from krigetuner.backend.protocol import AcquisitionSpec


def spoiled(a: np.ndarray, value: float, *place: int) -> np.ndarray:
    out = a.copy()
    out[place] = value
    return out


def fit(**changes: Any) -> Callable[[Any, Problem], Any]:
    def call(backend: Any, p: Problem) -> Any:
        changed = {k: v(getattr(p, k)) for k, v in changes.items()}
        given = {"x": p.x, "y": p.y, "noise": p.noise, "hyper": p.hyper, **changed}
        return backend.fit(given["x"], given["y"], given["noise"], given["hyper"])

    return call


def hyper(**changes: Any) -> Callable[[Any, Problem], Any]:
    def call(backend: Any, p: Problem) -> Any:
        made = {k: v(getattr(p.hyper, k)) for k, v in changes.items()}
        return backend.kernel(p.x, None, replace(p.hyper, **made))

    return call


def score(**changes: Any) -> Callable[[Any, Problem], Any]:
    def call(backend: Any, p: Problem) -> Any:
        return backend.score(p.fit(backend), p.candidates, replace(AcquisitionSpec("ei"), **changes))

    return call


REFUSED: dict[str, tuple[Callable[[Any, Problem], Any], str]] = {
    "x is a list": (fit(x=lambda a: a.tolist()), r"^x: expected .*float64.*, got list"),
    "x of float32": (fit(x=lambda a: a.astype(np.float32)), r"^x: expected .*float64.*, got .*float32"),
    "x of integers": (fit(x=lambda a: np.ones(a.shape, int)), r"^x: expected .*float64.*, got .*int64"),
    "x transposed": (fit(x=np.asfortranarray), r"^x: expected .*contiguous.*, got"),
    "x of one axis": (fit(x=lambda a: a[:, 0].copy()), r"^x: expected .*, got .*\(12,\)"),
    "x too narrow": (fit(x=lambda a: a[:, :2].copy()), r"^x: expected .*3.*, got .*\(12, 2\)"),
    "x empty": (
        fit(x=lambda a: a[:0], y=lambda a: a[:0], noise=lambda a: a[:0]),
        r"^x: expected at least 1 row.*, got 0",
    ),
    "x with nan": (fit(x=lambda a: spoiled(a, np.nan, 3, 1)), r"^x: expected finite.*, got nan at row 3, column 1"),
    "x with inf": (fit(x=lambda a: spoiled(a, np.inf, 11, 0)), r"^x: expected finite.*, got inf at row 11, column 0"),
    "y with -inf": (fit(y=lambda a: spoiled(a, -np.inf, 4)), r"^y: expected finite.*, got -inf at row 4"),
    "y too short": (fit(y=lambda a: a[:5]), r"^y: expected .*12.*, got .*\(5,\)"),
    "y of two axes": (fit(y=lambda a: a[:, None].copy()), r"^y: expected .*12.*, got .*\(12, 1\)"),
    "y strided": (fit(y=lambda a: np.repeat(a, 2)[::2]), r"^y: expected .*contiguous.*, got"),
    "noise too long": (fit(noise=lambda a: np.ones(13)), r"^noise: expected .*12.*, got .*\(13,\)"),
    "noise negative": (
        fit(noise=lambda a: spoiled(a, -1e-3, 7)),
        r"^noise: expected .*at least 0.*, got -0.001 at row 7",
    ),
    "noise with nan": (fit(noise=lambda a: spoiled(a, np.nan, 7)), r"^noise: expected finite.*, got nan at row 7"),
    "jitter negative": (
        lambda b, p: b.fit(p.x, p.y, p.noise, p.hyper, -1.0),
        r"^jitter: expected .*at least 0.*, got -1",
    ),
    "jitter nan": (lambda b, p: b.fit(p.x, p.y, p.noise, p.hyper, float("nan")), r"^jitter: expected .*, got nan"),
    "lengthscale zero": (
        hyper(lengthscales=lambda a: spoiled(a, 0.0, 1)),
        r"^lengthscales: expected positive.*, got 0.* at row 1",
    ),
    "lengthscale negative": (hyper(lengthscales=lambda a: -a), r"^lengthscales: expected positive.*, got -"),
    "lengthscale nan": (
        hyper(lengthscales=lambda a: spoiled(a, np.nan, 2)),
        r"^lengthscales: expected .*, got nan at row 2",
    ),
    "lengthscales too few": (hyper(lengthscales=lambda a: a[:2]), r"^(categorical|a): expected .*, got"),
    "variance zero": (hyper(variance=lambda v: 0.0), r"^variance: expected .*positive.*, got 0"),
    "variance inf": (hyper(variance=lambda v: float("inf")), r"^variance: expected .*positive.*, got inf"),
    "categorical of integers": (
        hyper(categorical=lambda a: a.astype(int)),
        r"^categorical: expected .*bool.*, got .*int64",
    ),
    "categorical too short": (hyper(categorical=lambda a: a[:2]), r"^categorical: expected .*3.*, got .*2"),
    "family unknown": (hyper(family=lambda f: "matern72"), r"^family: expected one of .*'matern52'.*, got 'matern72'"),
    "gradient unknown": (
        lambda b, p: b.kernel(p.x, None, p.hyper, "both"),
        r"^gradient: expected one of .*'query'.*, got 'both'",
    ),
    "b too narrow": (lambda b, p: b.kernel(p.x, p.x[:, :1].copy(), p.hyper), r"^b: expected .*3.*, got .*\(12, 1\)"),
    "no hypers": (
        lambda b, p: b.likelihood(p.x, p.y, p.noise[None], []),
        r"^hypers: expected at least one.*, got none",
    ),
    "noise for another batch": (
        lambda b, p: b.likelihood(p.x, p.y, np.ones((2, 12)), [p.hyper]),
        r"^noise: expected .*1, 12.*, got .*\(2, 12\)",
    ),
    "means of candidates too wide": (
        lambda b, p: b.mean(p.fit(b), np.ones((2, 4))),
        r"^x: expected .*3.*, got .*\(2, 4\)",
    ),
    "candidates too wide": (lambda b, p: b.predict(p.fit(b), np.ones((2, 4))), r"^x: expected .*3.*, got .*\(2, 4\)"),
    "candidates with nan": (
        lambda b, p: b.predict(p.fit(b), spoiled(p.candidates, np.nan, 2, 0)),
        r"^x: expected finite.*, got nan at row 2, column 0",
    ),
    "scored with nan": (
        lambda b, p: b.score(p.fit(b), spoiled(p.candidates, np.nan, 2, 0), AcquisitionSpec("ei")),
        r"^x: expected finite.*row 2",
    ),
    "y of extend too short": (
        lambda b, p: b.extend(p.fit(b), p.candidates, p.y, np.ones(5)),
        r"^y: expected .*17.*, got .*\(12,\)",
    ),
    "noise of extend too long": (
        lambda b, p: b.extend(p.fit(b), p.candidates, np.ones(17), np.ones(6)),
        r"^noise: expected .*5.*, got .*\(6,\)",
    ),
    "normals too narrow": (
        lambda b, p: b.sample(p.fit(b), p.candidates, np.ones((2, 4))),
        r"^normals: expected .*5.*, got .*\(2, 4\)",
    ),
    "acquisition unknown": (score(kind="entropy"), r"^acquisition: expected one of .*'logei'.*, got 'entropy'"),
    "beta negative": (score(beta=-0.5), r"^beta: expected .*at least 0.*, got -0.5"),
    "xi nan": (score(xi=float("nan")), r"^xi: expected .*at least 0.*, got nan"),
    "best infinite": (score(best=float("inf")), r"^best: expected .*finite.*, got inf"),
    "precision unknown": (
        lambda b, p: b.score(p.fit(b), p.candidates, AcquisitionSpec("ei"), precision=16),
        r"^precision: expected one of .*32.*, got 16",
    ),
}


class BackendBorder:
    """Bad arguments."""

    @pytest.mark.parametrize("what", REFUSED)
    def test_refuses(self, backend: Any, what: str) -> None:
        call, message = REFUSED[what]
        with pytest.raises((TypeError, ValueError), match=message):
            call(backend, make_problem(0))
