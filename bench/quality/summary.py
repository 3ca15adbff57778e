"""From runs to tables: scores, their means over seeds and tasks, and the standard errors of these.

score   100 where the optimum was found, 0 where the best is no better than the median best of ten random trials
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Run:
    """One contender on one task with one seed.

    Attributes:
        best: true value of the incumbent (the best by what was told) after each trial; inf before there is one.
        cpu: processor seconds in all asks and tells.
    """

    contender: str
    version: str
    task: str
    seed: int
    batch: int
    best: Sequence[float]
    cpu: float


@dataclass(frozen=True)
class Scale:
    """What a task's values are worth: the optimum, and the median best of ten random trials."""

    optimum: float
    ordinary: float

    def score(self, value: float) -> float:
        """100 at the optimum, 0 at the ordinary value and above it."""
        if not math.isfinite(value):
            return 0.0
        return 100 * (1 - min(max((value - self.optimum) / (self.ordinary - self.optimum), 0.0), 1.0))


def mean_and_error(scores: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Mean over tasks of the means over seeds, and its standard error (tasks are given, seeds are the sample).

    Args:
        scores: of each task, those of its seeds. The error is NaN where a task has one seed only.
    """
    mean = statistics.fmean(statistics.fmean(s) for s in scores)
    if any(len(s) < 2 for s in scores):
        return mean, math.nan
    return mean, math.sqrt(sum(statistics.variance(s) / len(s) for s in scores)) / len(scores)


def incumbents(told: Sequence[float], true: Sequence[float]) -> list[float]:
    """After each trial the true value of the one with the lowest value told; inf before any was finite."""
    at, found = math.inf, []
    current = math.inf
    for seen, value in zip(told, true, strict=True):
        if seen < at:
            at, current = seen, value
        found.append(current)
    return found


def ranks(means: Mapping[str, float]) -> dict[str, float]:
    """1 for the largest; equal ones share the mean of their ranks."""
    values = np.array(list(means.values()))
    return {
        name: 1 + float((values > value).sum()) + ((values == value).sum() - 1) / 2 for name, value in means.items()
    }


def overall(runs: Sequence[Run], scales: Mapping[str, Scale], budgets: Sequence[int]) -> str:
    """Contenders in the order of their last score: mean and error after each budget, mean rank, cost of a trial."""
    names = list(dict.fromkeys(run.contender for run in runs))
    scored = {budget: {name: _scores(runs, scales, name, budget) for name in names} for budget in budgets}
    means = {
        budget: {name: mean_and_error(list(scored[budget][name].values())) for name in names} for budget in budgets
    }
    placed = _mean_ranks(scored[budgets[-1]])
    names.sort(key=lambda name: -means[budgets[-1]][name][0])
    lines = [
        "| | version | " + " | ".join(f"{b} trials" for b in budgets) + " | mean rank | seeds | CPU ms per trial |"
    ]
    lines.append("| --- | --- |" + " --: |" * (len(budgets) + 3))
    for name in names:
        own = [run for run in runs if run.contender == name]
        cells = [_with_error(*means[budget][name]) for budget in budgets]
        seeds = min(len(s) for s in scored[budgets[-1]][name].values())
        cost = 1000 * statistics.fmean(run.cpu / len(run.best) for run in own)
        row = [name, own[0].version, *cells, f"{placed[name]:.1f}", str(seeds), f"{cost:.1f}"]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def by_task(runs: Sequence[Run], scales: Mapping[str, Scale], budget: int) -> str:
    """Mean score and its error of every contender on every task after a budget."""
    lines = [f"| after {budget} trials | " + " | ".join(scales) + " |", "| --- |" + " --: |" * len(scales)]
    for name in dict.fromkeys(run.contender for run in runs):
        scored = _scores(runs, scales, name, budget)
        cells = [_with_error(*mean_and_error([scored[task]])) for task in scales]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(runs: Sequence[Run], scales: Mapping[str, Scale], budgets: Sequence[int], reference: str) -> str:
    """By how much each contender's score lies above the reference's, seed by seed: mean and error after each budget.

    Seeds that one of the two lacks are left out; empty when the reference has not run.
    """
    names = [name for name in dict.fromkeys(run.contender for run in runs) if name != reference]
    if len(names) == len({run.contender for run in runs}) or not names:
        return ""
    by_seed = {(run.contender, run.task, run.seed): run for run in runs}
    lines = [f"| score above {reference}'s | " + " | ".join(f"{b} trials" for b in budgets) + " |"]
    lines.append("| --- |" + " --: |" * len(budgets))
    for name in names:
        pairs = [_pairs(by_seed, name, reference, task) for task in scales]
        if not all(pairs):
            continue
        cells = []
        for b in budgets:
            gained = [
                [scale.score(own.best[b - 1]) - scale.score(other.best[b - 1]) for own, other in found]
                for scale, found in zip(scales.values(), pairs, strict=True)
            ]
            cells.append(_with_error(*mean_and_error(gained), "+"))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def complete(runs: Sequence[Run], tasks: Sequence[str], trials: int) -> list[Run]:
    """The runs of those contenders that have every task with as many trials; the others cannot be averaged."""
    known: dict[str, set[str]] = {}
    long = [run for run in runs if run.task in tasks and len(run.best) >= trials]
    for run in long:
        known.setdefault(run.contender, set()).add(run.task)
    return [run for run in long if known[run.contender] == set(tasks)]


def _scores(runs: Sequence[Run], scales: Mapping[str, Scale], contender: str, budget: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {task: [] for task in scales}
    for run in runs:
        if run.contender == contender and run.task in found:
            found[run.task].append(scales[run.task].score(run.best[budget - 1]))
    return found


def _pairs(by_seed: Mapping[tuple[str, str, int], Run], one: str, other: str, task: str) -> list[tuple[Run, Run]]:
    """The runs of two contenders on a task with the seeds that both have."""
    return [
        (run, by_seed[other, task, seed])
        for (name, where, seed), run in by_seed.items()
        if name == one and where == task and (other, task, seed) in by_seed
    ]


def _mean_ranks(scored: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """Mean over tasks of a contender's rank by its mean score."""
    tasks = next(iter(scored.values()))
    placed = [ranks({name: statistics.fmean(scored[name][task]) for name in scored}) for task in tasks]
    return {name: statistics.fmean(place[name] for place in placed) for name in scored}


def _with_error(mean: float, error: float, sign: str = "-") -> str:
    return f"{mean:{sign}.1f}" if math.isnan(error) else f"{mean:{sign}.1f} ± {error:.1f}"
