"""The numpy backend beside the C++ core: what a suggestion costs with each, and whether it is the same.

    python bench/latency/twins.py [--sizes 10 20 50 100 300] [--histories 100] [--repeats 5]

Cost: processor time of one ask behind n random observations in 6 mixed dimensions, one thread, the fastest of some,
with a fit of the hyperparameters, and without. Agreement: the share of random histories (spaces of all kinds, 2 to 40
trials, some of them failed or diverged) for which the next suggestions differ by at most 1e-6 in every coordinate.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "KRIGETUNER_THREADS")
BACKENDS = ("cpp", "numpy")
SAME = 1e-6


def space(rng: Any) -> Any:
    """A random space: numbers on linear and logarithmic scales, integers, categories, switches, and a branch."""
    import krigetuner as kt
    from krigetuner.space.space import Space

    hp = kt.HyperParameters()
    makers: list[Callable[[str], Any]] = [
        lambda name: hp.Float(name, -1.0, 2.0),
        lambda name: hp.Float(name, 1e-5, 1.0, sampling="log"),
        lambda name: hp.Int(name, 1, 40),
        lambda name: hp.Choice(name, ["a", "b", "c"]),
        hp.Boolean,
    ]
    hp.Choice("root", ["left", "right"])
    hp.Float("twig", 0.0, 1.0, parent_name="root", parent_values=["right"])
    for i in range(int(rng.integers(1, 6))):
        makers[int(rng.integers(len(makers)))](f"p{i}")
    return Space(hp.space)


def history(where: Any, count: int, rng: Any, faults: float) -> Any:
    """Random trials of a noisy bowl; a share of them failed, as many diverged."""
    import numpy as np

    from krigetuner.trial.history import History, Observation, Origin

    target, trials = rng.random(where.dimensions), []
    for number, row in enumerate(where.sample(rng.random((count, where.dimensions)))):
        loss = float(((row - target) ** 2).sum() + 0.05 * rng.standard_normal())
        chance = rng.random()
        phase: Any = "failed" if chance < faults else "completed"
        told = None if phase == "failed" else float(np.inf) if chance < 2 * faults else loss
        trials.append(Observation(number, where.decode(row), phase, told, None, Origin("given")))
    return History(trials)


def agreement(count: int) -> tuple[float, float]:
    """The share of random histories with the same next suggestion, and the median difference of the others."""
    import numpy as np

    from krigetuner.backend.registry import get_backend
    from krigetuner.search.bayesian import BayesianSearch

    differences = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        where = space(rng)
        seen = history(where, int(rng.integers(2, 41)), rng, 0.1 * float(rng.integers(2)))
        rows = []
        for name in BACKENDS:
            answer: Any = BayesianSearch(seed, num_initial_points=1, backend=get_backend(name)).ask(where, seen, 1)
            rows.append(where.encode(answer[0].values))
        differences.append(float(np.abs(rows[0] - rows[1]).max()))
    found = np.array(differences)
    others = found[found > SAME]
    return float((found <= SAME).mean()), float(np.median(others)) if len(others) else 0.0


def cost(count: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of the first ask and of another one, by backend; the backends take turns."""
    import numpy as np
    from tests.contracts.algorithm import mixed_space

    from krigetuner.backend.registry import get_backend
    from krigetuner.search.bayesian import BayesianSearch

    rng = np.random.default_rng(count)
    where = mixed_space()
    seen = history(where, count, rng, 0.0)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in BACKENDS}
    for _ in range(repeats + 1):
        for name in BACKENDS:
            search, times = BayesianSearch(0, num_initial_points=1, backend=get_backend(name)), [time.process_time()]
            for _ in range(2):
                search.ask(where, seen, 1)
                times.append(time.process_time())
            spent[name].append((times[1] - times[0], times[2] - times[1]))
    return {name: tuple(1000 * min(part) for part in zip(*rows[1:], strict=True)) for name, rows in spent.items()}  # type: ignore[misc]


def main() -> None:
    os.environ.update(dict.fromkeys(THREADS, "1"))
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 20, 50, 100, 300])
    parser.add_argument("--histories", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    print("| ms of CPU for a suggestion | " + " | ".join(f"n = {n}" for n in asked.sizes) + " |")
    print("| --- |" + " --: |" * len(asked.sizes))
    found = [cost(n, asked.repeats) for n in asked.sizes]
    for i, kind in enumerate(("with a fit", "without")):
        for name in BACKENDS:
            cells = [f"{row[name][i]:.1f} ({row[name][i] / row['cpp'][i]:.1f}x)" for row in found]
            print(f"| {name}, {kind} | " + " | ".join(cells) + " |")
    share, apart = agreement(asked.histories)
    print(f"\nThe same suggestion to {SAME:g} in {100 * share:.0f} % of {asked.histories} random histories", end="")
    print(f"; of the others the median difference is {apart:.2g}" if apart else "")


if __name__ == "__main__":
    main()
