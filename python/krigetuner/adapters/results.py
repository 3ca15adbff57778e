"""What a run returned, in the terms of KerasTuner's `engine.tuner_utils`; the rules are `adapters.function`'s."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from krigetuner.adapters.function import executions
from krigetuner.run import policy
from krigetuner.trial.objective import Objective

SOURCE = "run_trial()"


def validate_trial_results(results: Any, objective: Objective, func_name: str) -> None:
    """Refuses what a run must not return; see `adapters.function.executions` for the errors."""
    executions(results, objective, func_name)


def convert_to_metrics_dict(results: Any, objective: Objective, func_name: str = SOURCE) -> dict[str, float]:
    """The metrics that results stand for, averaged over executions; a History's are those of its best epoch."""
    return dict(policy.judge(executions(results, objective, func_name), objective).metrics)


def get_best_step(results: Any, objective: Objective) -> int:
    """The epoch that results stand for, averaged over executions and rounded down; 0 where there are no epochs."""
    return policy.judge(executions(results, objective, SOURCE), objective).step


def average_metrics_dicts(metrics_dicts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric over the dicts that have it."""
    columns: dict[str, list[float]] = {}
    for metrics in metrics_dicts:
        for name, value in metrics.items():
            columns.setdefault(name, []).append(float(value))
    return {name: policy.mean(column) for name, column in columns.items()}


def average_histories(histories: Sequence[Mapping[str, Sequence[float]]]) -> list[dict[str, float]]:
    """The mean of each metric in each epoch, over the histories that went so far and have a number there.

    Args:
        histories: `History.history` of each execution, with the same metrics.

    Returns:
        One dict for each epoch.
    """
    names = list(histories[0]) if histories else []
    rows = {name: list(zip_longest(*(h[name] for h in histories), fillvalue=math.nan)) for name in names}
    averaged = {name: [_mean_of_numbers(row) for row in rows[name]] for name in names}
    return [dict(zip(names, epoch, strict=True)) for epoch in zip(*averaged.values(), strict=True)]


def _mean_of_numbers(row: Sequence[float]) -> float:
    numbers = [value for value in row if not math.isnan(value)]
    return policy.mean(numbers) if numbers else math.nan
