"""Hyperparameters under a plain `if`: what it costs that nobody declared the conditions.

    python bench/quality/plain_ifs.py [--seeds 20] [--trials 50]

Three tasks, each written three ways: with plain ifs; the same without what is learned of them from the trials; and with
`conditional_scope`, which says everything beforehand. The best loss (lower is better) after 20 trials and after all,
mean and standard error over seeds, of Bayesian optimization with default options.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

WAYS = ("plain ifs", "plain ifs, nothing learned", "declared scopes")


class Branches:
    """Asks for the hyperparameters of a branch, under a plain `if` or in a scope.

    Args:
        hp: of the trial.
        declared: whether to use scopes.
    """

    def __init__(self, hp: Any, declared: bool) -> None:
        self.hp = hp
        self.declared = declared

    def ask(self, parent: str, values: list[Any], questions: Callable[[Any], Any]) -> Any:
        """What `questions(hp)` gives; None where the branch is closed."""
        opened = self.hp.get(parent) in values
        if not self.declared and not opened:
            return None
        scope = self.hp.conditional_scope(parent, values) if self.declared else contextlib.nullcontext()
        with scope:
            answers = questions(self.hp)
        return answers if opened else None


def layers(hp: Any, declared: bool) -> float:
    """Up to five layers in a loop, of which three are best."""

    def units(layer: int, hp: Any) -> Any:
        return hp.Int(f"units_{layer}", 8, 128, step=8)

    branches, count, rate = Branches(hp, declared), hp.Int("layers", 1, 5), hp.Float("rate", 1e-4, 0.1, sampling="log")
    loss = 0.3 * (math.log10(rate) + 2.6) ** 2 + 0.15 * (count - 3) ** 2
    for i, best in enumerate((6.0, 5.0, 5.5, 4.0, 3.0)):
        asked = branches.ask("layers", list(range(i + 1, 6)), partial(units, i))
        loss += 0.0 if asked is None else 0.2 * (math.log2(asked) - best) ** 2
    return float(loss)


def optimizers(hp: Any, declared: bool) -> float:
    """Three optimizers with hyperparameters of their own."""
    branches = Branches(hp, declared)
    hp.Choice("optimizer", ["sgd", "adam", "rmsprop"])
    loss = 0.2 * (math.log2(hp.Int("units", 8, 256, sampling="log")) - 6.3) ** 2

    def sgd(hp: Any) -> Any:
        return hp.Float("sgd", 1e-4, 1.0, sampling="log"), hp.Float("momentum", 0.0, 0.99), hp.Boolean("nesterov")

    def adam(hp: Any) -> Any:
        rates = {"sampling": "log"}
        return hp.Float("adam", 1e-5, 0.1, **rates), hp.Float("beta", 0.5, 0.999), hp.Float("eps", 1e-8, 0.01, **rates)

    def rmsprop(hp: Any) -> Any:
        return hp.Float("rmsprop", 1e-5, 0.1, sampling="log"), hp.Float("rho", 0.5, 0.999)

    asked = branches.ask("optimizer", ["sgd"], sgd)
    if asked is not None:
        loss += 0.1 + 0.3 * (math.log10(asked[0]) + 1.5) ** 2 + 2 * (asked[1] - 0.8) ** 2 + 0.1 * (not asked[2])
    asked = branches.ask("optimizer", ["adam"], adam)
    if asked is not None:
        loss += 0.3 * (math.log10(asked[0]) + 3.2) ** 2 + 3 * (asked[1] - 0.9) ** 2
        loss += 0.02 * (math.log10(asked[2]) + 5) ** 2
    asked = branches.ask("optimizer", ["rmsprop"], rmsprop)
    if asked is not None:
        loss += 0.2 + 0.3 * (math.log10(asked[0]) + 3) ** 2 + 3 * (asked[1] - 0.8) ** 2
    return float(loss)


def switches(hp: Any, declared: bool) -> float:
    """Four switches with two numbers each; three of them are worth switching on."""

    def numbers(name: str, hp: Any) -> Any:
        return hp.Float(f"{name}_share", 0.0, 1.0), hp.Int(f"{name}_steps", 1, 8)

    branches = Branches(hp, declared)
    loss = 1.0 + 0.3 * (math.log10(hp.Float("rate", 1e-4, 0.1, sampling="log")) + 2.5) ** 2
    for name, gain, best in (("dropout", 0.4, 0.3), ("noise", -0.2, 0.5), ("augment", 0.3, 0.7), ("decay", 0.1, 0.2)):
        hp.Boolean(name)
        asked = branches.ask(name, [True], partial(numbers, name))
        if asked is not None:
            loss += 3 * (asked[0] - best) ** 2 + 0.02 * (asked[1] - 3) ** 2 - gain
    return float(loss)


TASKS: tuple[Callable[[Any, bool], float], ...] = (layers, optimizers, switches)


def losses(task: Callable[[Any, bool], float], way: str, seed: int, trials: int) -> list[float]:
    """The best loss after each trial of one search."""
    import krigetuner as kt
    from krigetuner.search import branches

    found: list[float] = []

    class Tuner(kt.engine.base_tuner.BaseTuner):
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> float:
            loss = task(trial.hyperparameters, way == WAYS[2])
            found.append(min([loss, *found[-1:]]))
            return loss

    evidence, branches.EVIDENCE = branches.EVIDENCE, math.inf if way == WAYS[1] else branches.EVIDENCE
    try:
        with tempfile.TemporaryDirectory() as folder:
            oracle = kt.oracles.BayesianOptimizationOracle(max_trials=trials, seed=seed, storage="memory")
            Tuner(oracle, lambda hp: task(hp, way == WAYS[2]), directory=folder).search(verbose=0)
    finally:
        branches.EVIDENCE = evidence
    return found


def main() -> None:
    """Runs all of them, and writes a table."""
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=50)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| task | " + " | ".join(f"{way}, @20 | @{asked.trials}" for way in WAYS) + " |")
    print("| --- |" + " --: |" * 2 * len(WAYS))
    for task in TASKS:
        cells = []
        for way in WAYS:
            runs = np.array([losses(task, way, seed, asked.trials) for seed in range(asked.seeds)])
            best = runs[:, [min(19, asked.trials - 1), -1]]
            error = best.std(axis=0, ddof=1) / math.sqrt(len(best)) if len(best) > 1 else np.zeros(2)
            cells += [f"{mean:.3f} ± {e:.3f}" for mean, e in zip(best.mean(axis=0), error, strict=True)]
        print(f"| {task.__name__} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
