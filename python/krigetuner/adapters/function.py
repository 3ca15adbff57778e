"""What user code may return from a run, turned into executions: a number, a dict, a History, or lists of those."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from krigetuner.adapters.fold_means import FoldMeans
from krigetuner.errors import FatalTypeError, FatalValueError
from krigetuner.run.messages import Execution
from krigetuner.run.plain import scalar
from krigetuner.trial.objective import DefaultObjective, MultiObjective, Objective

KINDS = "one of float, dict, keras.callbacks.History, or a list of one of these types"
RENAME = (
    "; return it by that name (evaluate() gives names without 'val_', and fit() has those with it for validation_data "
    "or validation_split only), or name one of these as the objective"
)


def executions(results: Any, objective: Objective, source: str) -> tuple[Execution, ...]:
    """The executions in what `source` returned, in order.

    A number is the objective. A History counts with the epoch that is best for the objective, its first one when there
    are several; epochs where the objective is NaN or infinite do not take part while another is finite.

    Args:
        results: what was returned.
        objective: of the search.
        source: the function's name, for messages.

    Raises:
        FatalTypeError: None, an unsupported type, a metric that is not a number, or no single number although the
            objective was left unspecified.
        FatalValueError: the objective is not there; the message lists what is. It has several values. A list is empty.
    """
    if isinstance(results, FoldMeans) and results.untouched():
        results = list(results.folds)
    if isinstance(results, list | tuple):
        if not results:
            raise FatalValueError(f"{source}: expected at least one result in the list, got []; return the metrics")
        return tuple(e for r in results for e in executions(r, objective, source))
    return (_execution(results, objective, source),)


def _execution(result: Any, objective: Objective, source: str) -> Execution:
    if isinstance(result, Execution):
        return result
    if result is None:
        raise FatalTypeError(
            f"The return value of {source} is None; expected {KINDS}. Did you forget to return the metrics?"
        )
    number = number_of(result) if isinstance(result, numbers.Real) or hasattr(result, "shape") else None
    if number is not None:
        if isinstance(objective, MultiObjective):
            raise FatalValueError(
                f"{source}: expected a dict or a History with {names_of(objective)}, got the single number {result!r}; "
                "a search with several objectives needs each of them by name"
            )
        return Execution({objective.name: number})
    if isinstance(objective, DefaultObjective) and not (isinstance(result, Mapping) and objective.name in result):
        raise FatalTypeError(
            f"Expected the return value of {source} to be a single float when `objective` is left unspecified, got "
            f"{result!r} of type {type(result).__name__}; return a number or give the tuner an objective"
        )
    if isinstance(result, Mapping):
        metrics = _numbers(result, objective, source)
        _require(metrics, objective, f"the returned dictionary from {source}", "as one of the keys", RENAME)
        return Execution(_with_total(metrics, objective))
    if is_history(result):
        for name, column in result.history.items():
            for value in column:
                refuse_several(name, value, objective)
        return best_epoch(epochs_of(result), objective, f"the History from {source}")
    raise FatalTypeError(
        f"Expected the return value of {source} to be {KINDS}, got {result!r} of type {type(result).__name__}"
    )


def names_of(objective: Objective) -> list[str]:
    """The metrics that an objective is made of, each once."""
    return list(objective.name_to_direction) if isinstance(objective, MultiObjective) else [objective.name]


def is_history(result: Any) -> bool:
    """Whether this looks like the History of a fit, of whichever Keras."""
    return isinstance(getattr(result, "history", None), Mapping)


def epochs_of(history: Any) -> list[tuple[int, dict[str, float]]]:
    """The epochs of a History: number and metrics.

    A metric that has fewer values than there are epochs (validation_freq) belongs to every second, third, ... epoch.
    One with several values per epoch (one per class) is left out.
    """
    columns: dict[str, Sequence[Any]] = dict(history.history)
    length = max((len(c) for c in columns.values()), default=0)
    numbered = list(getattr(history, "epoch", None) or [])
    steps = numbered if len(numbered) == length else list(range(length))
    rows: list[tuple[int, dict[str, float]]] = [(int(step), {}) for step in steps]
    for name, column in columns.items():
        stride = length // max(len(column), 1)
        for i, value in enumerate(column):
            number = number_of(value)
            if number is not None:
                rows[(i + 1) * stride - 1][1][name] = number
    return rows


def number_of(value: Any) -> float | None:
    """What was logged as a number; None for several numbers, and for what is none."""
    try:
        return scalar(value)
    except (TypeError, ValueError):
        return None


def refuse_several(name: str, value: Any, objective: Objective) -> None:
    """Refuses an objective that has several values where it needs one.

    Raises:
        FatalValueError: `name` is the objective, and `value` an array, a tensor or a list of several numbers.
    """
    several = isinstance(value, list | tuple) or hasattr(value, "shape")
    if several and name in names_of(objective) and number_of(value) is None:
        shape = tuple(int(n) for n in getattr(value, "shape", (len(value),)))
        raise FatalValueError(
            f"objective: expected one number for {name}, got values of shape {shape}; use a metric with one value, "
            'such as F1Score(average="macro"), and of what fit() gives return all, not its `history`'
        )


def best_epoch(epochs: Sequence[tuple[int, Mapping[str, float]]], objective: Objective, source: str) -> Execution:
    """The epoch that is best for the objective, as an execution.

    Raises:
        FatalValueError: no epoch has the objective.
    """
    seen: dict[str, float] = {name: value for _, metrics in epochs for name, value in metrics.items()}
    _require(seen, objective, source, "in it")
    able = [(step, metrics) for step, metrics in epochs if objective.has_value(metrics)]
    step, metrics = min(able, key=lambda epoch: rank(objective.get_value(epoch[1]), objective.direction))
    return Execution(_with_total(metrics, objective), step)


def rank(value: float, direction: str | None) -> tuple[int, float]:
    """Sort key of objective values, best first: finite ones, then infinitely bad, then NaN and infinitely good."""
    loss = -value if direction == "max" else value
    if math.isfinite(loss):
        return 0, loss
    return (1, 0.0) if loss == math.inf else (2, 0.0)


def _numbers(result: Mapping[Any, Any], objective: Objective, source: str) -> dict[str, float]:
    """The metrics of a dict as floats; those with several values are left out."""
    metrics: dict[str, float] = {}
    for name, value in result.items():
        try:
            number = scalar(value)
        except (TypeError, ValueError):
            raise FatalTypeError(
                f"{source}: expected a number for metric {name!r}, got {value!r} of type {type(value).__name__}; "
                "return one number per metric"
            ) from None
        if number is None:
            refuse_several(str(name), value, objective)
        else:
            metrics[str(name)] = number
    return metrics


def _with_total(metrics: Mapping[str, float], objective: Objective) -> dict[str, float]:
    """The metrics, and the total of several objectives under its own name."""
    total = {objective.name: objective.get_value(metrics)} if isinstance(objective, MultiObjective) else {}
    return {**metrics, **total}


def _require(
    metrics: Mapping[str, float], objective: Objective, source: str, where: str, remedy: str | None = None
) -> None:
    missing = [name for name in names_of(objective) if name not in metrics]
    if missing:
        raise FatalValueError(
            f"Expected {source} to have the specified objective, {', '.join(missing)}, {where}; "
            f"it has {sorted(metrics)}" + (remedy or advice(missing, metrics))
        )


def advice(missing: Sequence[str], present: Mapping[str, Any] | Sequence[str]) -> str:
    """What to do about objectives that are not among the metrics, as the end of a message."""
    validation = [m for m in missing if m.startswith("val_")]
    if validation and not any(str(p).startswith("val_") for p in present):
        return "; pass validation_data or validation_split to search(), or take an objective without 'val_'"
    return "; compile the model with that metric, or name one of these as the objective"
