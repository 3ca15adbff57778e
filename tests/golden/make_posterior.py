"""Writes posterior.json: kernels, likelihoods, posteriors, acquisitions in 50-digit arithmetic, from definitions.

Every derivative is mpmath's numerical one of the value itself, so no formula for a gradient is trusted. Run from the
root of the repository: python tests/golden/make_posterior.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp, mpf

mp.dps = 50
FAMILIES = ("matern12", "matern32", "matern52", "rbf")
ACQUISITIONS = ("ucb", "lcb", "ei", "logei", "pi")
BETA, XI = 1.7, 0.01


def correlation(family: str, squared: Any) -> Any:
    r = mp.sqrt(squared)
    if family == "rbf":
        return mp.exp(-squared / 2)
    if family == "matern12":
        return mp.exp(-r)
    s = mp.sqrt(3 if family == "matern32" else 5) * r
    return (1 + s if family == "matern32" else 1 + s + s * s / 3) * mp.exp(-s)


def kernel(a: list[Any], b: list[Any], logs: list[Any], categorical: list[bool], family: str) -> Any:
    squared = mpf(0)
    for j, flag in enumerate(categorical):
        delta = (mpf(0) if a[j] == b[j] else mpf(1)) if flag else a[j] - b[j]
        squared += (delta * mp.exp(-logs[j])) ** 2
    return mp.exp(logs[-1]) * correlation(family, squared)


def gram(x: list[list[Any]], noise: list[Any], logs: list[Any], categorical: list[bool], family: str) -> Any:
    k = mp.matrix(len(x))
    for i, a in enumerate(x):
        for j, b in enumerate(x):
            k[i, j] = kernel(a, b, logs, categorical, family) + (noise[i] if i == j else 0)
    return k


def log_likelihood(x: Any, y: Any, noise: Any, logs: Any, categorical: Any, family: str) -> Any:
    k = gram(x, noise, logs, categorical, family)
    target = mp.matrix(y)
    return (-(target.T * mp.lu_solve(k, target))[0] - mp.log(mp.det(k)) - len(y) * mp.log(2 * mp.pi)) / 2


def acquisition(kind: str, mean: Any, sigma: Any, best: Any) -> Any:
    if kind == "ucb":
        return mean + mpf(BETA) * sigma
    if kind == "lcb":
        return mpf(BETA) * sigma - mean
    z = (best - mean - mpf(XI)) / sigma
    cumulative = mp.erfc(-z / mp.sqrt(2)) / 2
    if kind == "pi":
        return cumulative
    improvement = sigma * (z * cumulative + mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi))
    return improvement if kind == "ei" else mp.log(improvement)


def derivative(function: Any, at: list[Any], j: int) -> Any:
    def along(t: Any) -> Any:
        return function([*at[:j], t, *at[j + 1 :]])

    return mp.diff(along, at[j])


def floats(values: Any) -> Any:
    return [floats(v) for v in values] if isinstance(values, list | tuple) else float(values)


def case(
    x: Any, y: Any, noise: Any, queries: Any, bests: Any, lengthscales: Any, variance: Any, family: str
) -> dict[str, Any]:
    categorical = [False, False, True]
    given = {
        "x": x,
        "y": y,
        "noise": noise,
        "queries": queries,
        "bests": bests,
        "lengthscales": lengthscales,
        "variance": variance,
        "categorical": categorical,
        "family": family,
        "beta": BETA,
        "xi": XI,
    }
    x, queries = [[mpf(v) for v in row] for row in x], [[mpf(v) for v in row] for row in queries]
    y, noise = [mpf(v) for v in y], [mpf(v) for v in noise]
    logs = [mp.log(mpf(v)) for v in [*lengthscales, variance]]
    inverse = gram(x, noise, logs, categorical, family) ** -1
    alpha = inverse * mp.matrix(y)

    def posterior(query: list[Any]) -> tuple[Any, Any]:
        cross = mp.matrix([kernel(query, row, logs, categorical, family) for row in x])
        return (cross.T * alpha)[0], mp.exp(logs[-1]) - (cross.T * inverse * cross)[0]

    def score(kind: str, best: float, query: list[Any]) -> Any:
        mean, variance = posterior(query)
        return acquisition(kind, mean, mp.sqrt(variance), mpf(best))

    def by_hyper(p: list[Any]) -> Any:
        return log_likelihood(x, y, noise, p, categorical, family)

    def by_noise(s: list[Any]) -> Any:
        return log_likelihood(x, y, s, logs, categorical, family)

    numeric = [j for j, flag in enumerate(categorical) if not flag]
    means, variances = zip(*(posterior(q) for q in queries), strict=True)
    found = {
        "kernel": [[kernel(q, row, logs, categorical, family) for row in x] for q in queries],
        "kernel_by_hyper": [
            [
                [derivative(lambda p, q=q, r=r: kernel(q, r, p, categorical, family), logs, j) for r in x]
                for q in queries
            ]
            for j in range(len(logs))
        ],
        "kernel_by_query": [
            [
                [
                    derivative(lambda q, row=row: kernel(q, row, logs, categorical, family), q, j)
                    if j in numeric
                    else 0
                    for row in x
                ]
                for q in queries
            ]
            for j in range(len(categorical))
        ],
        "log_likelihood": log_likelihood(x, y, noise, logs, categorical, family),
        "gradient": [derivative(by_hyper, logs, j) for j in range(4)],
        "noise_gradient": [derivative(by_noise, noise, i) for i in range(len(x))],
        "mean": list(means),
        "variance": list(variances),
        "scores": {k: [[score(k, b, q) for q in queries] for b in bests] for k in ACQUISITIONS},
        "score_gradients": {
            k: [
                [
                    [derivative(lambda q, k=k, b=b: score(k, b, q), q, j) if j in numeric else 0 for j in range(3)]
                    for q in queries
                ]
                for b in bests
            ]
            for k in ACQUISITIONS
        },
    }
    return {
        "given": given,
        **{k: {a: floats(b) for a, b in v.items()} if isinstance(v, dict) else floats(v) for k, v in found.items()},
    }


def main() -> None:
    rng = np.random.default_rng(20261121)
    cases = []
    for family in FAMILIES:
        for layout in ("spread", "clustered"):
            x = rng.random((7, 3))
            if layout == "clustered":
                x[3:] = x[0] + 1e-4 * rng.random((4, 3))
            x[:, 2] = rng.choice([1 / 6, 3 / 6, 5 / 6], 7)
            queries = rng.random((3, 3))
            queries[:, 2] = x[:3, 2]
            y = rng.normal(size=7)
            mean_scale = float(np.abs(y).max())
            noise = 10.0 ** rng.uniform(-3, -1, 7)
            cases.append(
                case(
                    x.tolist(),
                    y.tolist(),
                    noise.tolist(),
                    queries.tolist(),
                    [float(y.min()), -12 * mean_scale, -30 * mean_scale],
                    rng.uniform(0.2, 1.5, 3).tolist(),
                    float(rng.uniform(0.5, 2.5)),
                    family,
                )
            )
    Path(__file__).with_name("posterior.json").write_text(
        json.dumps(cases, indent=None).replace('}, {"given"', '},\n{"given"') + "\n"
    )


if __name__ == "__main__":
    main()
