"""The verbs on a GPU beside the C++ core on all processor cores, and BoTorch on the same GPU where it is installed.

    python bench/core/run.py --cuda [--sizes 300 1000 ...] [--seconds 2] [--json build/bench/cuda.json]

Wall time, copies from and to the host included, contenders in turn; the median counts. The last table is the number of
observations from which the GPU wins, verb by verb: what `auto` should take (cuda_environment.CROSSOVER).
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from krigetuner.backend.protocol import AcquisitionSpec, Effort, KernelHyper, Prior
from krigetuner.gp.model import FITTED

Call = Callable[[], Any]
Times = dict[str, float]
SIZES = (300, 1000, 2000, 3000, 5000, 10_000, 20_000)
DIMENSIONS = (8, 32)
CANDIDATES = 100_000
FEW = 16
RESTARTS = 32
LARGEST = {"cpp": 5000, "BoTorch": 10_000}
"""Observations beyond which a contender takes minutes, or more memory than there is."""
MOST_RESTARTED = 2000
LONGEST = 30.0
STEPS = 60
"""Of an ascent."""
VERBS = {
    "fit": "fit: kernel matrix, Cholesky, alpha",
    "likelihood": "likelihood with gradient, 32 restarts (1 beyond 2,000 observations)",
    "sweep": "log EI with gradient of 100,000 candidates",
    "screen": "log EI of 100,000 candidates, single precision allowed",
    "ascend": "ascent of log EI from 16 starts, 60 steps",
    "suggest": "one whole suggestion with the hyperparameters there are: fit, means, screen, ascent",
    "search": "a search of hyperparameters, from 2 starts in 40 steps",
}


class Given:
    """One problem: n observations in d dimensions."""

    def __init__(self, n: int, d: int, candidates: int = CANDIDATES) -> None:
        rng = np.random.default_rng([n, d])
        self.n, self.d = n, d
        self.x = rng.random((n, d))
        self.y = np.sin(4 * self.x).sum(axis=1) + 0.1 * rng.normal(size=n)
        self.y = (self.y - self.y.mean()) / self.y.std()
        self.noise = np.full(n, 1e-2)
        self.hyper = KernelHyper(np.full(d, 0.3 * np.sqrt(d)), 1.0, np.zeros(d, dtype=bool), "matern52")
        self.candidates = rng.random((candidates, d))
        self.spec = AcquisitionSpec("logei", float(self.y.min()))
        mean = np.concatenate([np.log(self.hyper.lengthscales), [0.0, np.log(1e-2)]])
        self.prior = Prior(mean, np.ones(d + 2), mean - 4, mean + 4)


def verbs(backend: Any, g: Given) -> dict[str, Call]:
    """A prepared call of a backend for each verb."""
    fitted = backend.fit(g.x, g.y, g.noise, g.hyper)
    b = RESTARTS if g.n <= MOST_RESTARTED else 1
    noise = np.repeat(g.noise[None], b, axis=0)
    starts, effort = g.candidates[:FEW].copy(), Effort(iterations=STEPS)
    box = np.zeros(starts.shape), np.ones(starts.shape)
    begin = np.stack([g.prior.mean, g.prior.mean - 0.5])

    def suggest() -> Any:
        model = backend.fit(g.x, g.y, g.noise, g.hyper)
        spec = replace(g.spec, best=float(backend.mean(model, g.x).min()))
        values, _ = backend.score(model, g.candidates, spec, False, 32)
        best = np.ascontiguousarray(g.candidates[np.argpartition(-values, FEW)[:FEW]])
        return backend.ascend(model, best, *box, spec, effort)

    def search() -> Any:
        known = np.zeros(g.n)
        return backend.most_likely(
            g.x, g.y, known, g.hyper.categorical, g.hyper.family, g.prior, begin, Effort(40, 1e-4)
        )

    return ({"search": search} if g.n <= FITTED else {}) | {
        "fit": lambda: backend.fit(g.x, g.y, g.noise, g.hyper),
        "likelihood": lambda: backend.likelihood(g.x, g.y, noise, [g.hyper] * b),
        "sweep": lambda: backend.score(fitted, g.candidates, g.spec, True),
        "screen": lambda: backend.score(fitted, g.candidates, g.spec, False, 32),
        "ascend": lambda: backend.ascend(fitted, starts, *box, g.spec, effort),
        "suggest": suggest,
    }


def botorch(g: Given) -> dict[str, Call]:
    """What BoTorch offers of them on the same GPU; nothing where it is not installed, or sees no GPU."""
    if any(importlib.util.find_spec(name) is None for name in ("torch", "gpytorch", "botorch")):
        return {}
    import torch
    from bench.core.botorch_gpu import BoTorch

    if not torch.cuda.is_available():
        return {}
    peer = BoTorch(g.x, g.y, g.candidates, g.spec.best, "cuda")
    times = RESTARTS if g.n <= MOST_RESTARTED else 1
    return {
        "likelihood": lambda: peer.likelihoods(times),
        "sweep": peer.sweep,
        "suggest": lambda: peer.suggest(FEW, STEPS),
    }


def measure(calls: Mapping[str, Call], seconds: float) -> Times:
    """Median time of each call in seconds; they take turns until each had its share, or once where one is too long."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for name, call in calls.items():
        call()
        taken[name].append(_time(call))
    active = [name for name in calls if taken[name][0] < LONGEST]
    end = time.perf_counter() + seconds * max(1, len(active))
    while active and (time.perf_counter() < end or min(len(taken[n]) for n in active) < 3):
        for name in active:
            taken[name].append(_time(calls[name]))
    return {name: statistics.median(times) for name, times in taken.items()}


def crossover(found: Mapping[int, Times], large: str = "cuda", small: str = "cpp") -> int | None:
    """The least size from which `large` was faster than `small` at every size that both were measured at."""
    both = sorted(n for n, times in found.items() if large in times and small in times)
    wins: int | None = None
    for n in reversed(both):
        if found[n][large] >= found[n][small]:
            break
        wins = n
    return wins


def table(found: Mapping[int, Times]) -> str:
    """Milliseconds by size and contender, as markdown."""
    names = list(dict.fromkeys(name for times in found.values() for name in times))
    lines = ["| n | " + " | ".join(names) + " |", "|--:|" + "--:|" * len(names)]
    for n, times in found.items():
        cells = [f"{1e3 * times[name]:,.3g}" if name in times else "-" for name in names]
        lines.append(f"| {n:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _time(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def contenders(backends: Mapping[str, Any], g: Given) -> dict[str, dict[str, Call]]:
    """Calls by verb and name."""
    offers = {name: verbs(b, g) for name, b in backends.items() if g.n <= LARGEST.get(name, g.n)}
    if g.n <= LARGEST["BoTorch"]:
        offers["BoTorch"] = botorch(g)
    return {verb: {name: calls[verb] for name, calls in offers.items() if verb in calls} for verb in VERBS}


def run(backends: Mapping[str, Any], sizes: list[int], seconds: float, json_path: Path) -> None:
    """Measures, writes the tables and the JSON file."""
    found: dict[str, dict[int, Times]] = {}
    for d in DIMENSIONS:
        for n in sizes:
            for verb, calls in contenders(backends, Given(n, d)).items():
                found.setdefault(f"{verb}, d = {d}", {})[n] = measure(calls, seconds)
                print(f"n = {n}, d = {d}, {verb}", file=sys.stderr, flush=True)
    for row, times in found.items():
        verb, _, rest = row.partition(",")
        print(f"\n### {VERBS[verb]},{rest}\n\n{table(times)}")
    print("\n### Observations from which the GPU is faster than the C++ core\n\n| verb | n |\n|---|--:|")
    for row, times in found.items():
        print(f"| {row} | {crossover(times) or 'not reached'} |")
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(found, indent=1) + "\n")


def main(sizes: list[int] | None, seconds: float, json_path: Path) -> None:
    """Measures on this machine's GPU; an error says why there is none."""
    from krigetuner.backend import _cpp
    from krigetuner.backend.registry import get_backend

    _cpp.set_threads(0)
    backends = {"cuda": get_backend("cuda"), "cpp": get_backend("cpp")}
    print(f"{backends['cuda'].info}\nC++ core with {_cpp.threads()} threads; milliseconds, median")  # type: ignore[attr-defined]
    run(backends, sizes or list(SIZES), seconds, json_path)
