"""All trials of a study, and all that was measured while they ran, as tables."""

from __future__ import annotations

import importlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from krigetuner.errors import MissingDependency
from krigetuner.run.progress import failure_reason
from krigetuner.trial.trial import TrialRecord

if TYPE_CHECKING:
    import pandas

    from krigetuner.store.events import TrialReported

RESULTS: dict[str, str | None] = {
    "trial_id": None,
    "status": None,
    "score": "float64",
    "best_step": "Int64",
    "suggestion_seconds": "float64",
    "seconds": "float64",
    "executions": "int64",
    "score_std": "float64",
    "in_space": "bool",
    "message": None,
}
HISTORY: dict[str, str | None] = {"trial_id": None, "attempt": "int64", "execution": "int64", "step": "int64"}


def results_table(
    records: Iterable[TrialRecord], outside: Collection[int] = (), names: Iterable[str] = ()
) -> pandas.DataFrame:
    """One row for each trial in the order of their numbers.

    Columns: trial_id, status, score, best_step, suggestion_seconds (spent on deciding what to try), seconds (of the
    last attempt), executions (how many completed), score_std (standard deviation of the score over the executions,
    missing for one), in_space (False for a trial that a change of the space's definition left outside, and for an
    observation outside of what the space turned out to be), message (why it failed), then the hyperparameters, then
    the final metrics; `hyperparameter/<name>` and `metric/<name>` where a name is that of an earlier column.

    Args:
        records: the trials.
        outside: numbers of those that do not lie in the present space.
        names: hyperparameters that have a column in any case.

    Raises:
        MissingDependency: pandas is not installed.
    """
    records = list(records)
    every = dict.fromkeys([*names, *(n for record in records for n in record.values)])
    values = {n: n if n not in RESULTS else f"hyperparameter/{n}" for n in every}
    metrics = _metric_columns((n for record in records for n in record.metrics), [*RESULTS, *values])
    rows = [
        _row(record)
        | {"in_space": record.number not in outside}
        | {values[name]: value for name, value in record.values.items()}
        | {metrics[name]: value for name, value in record.metrics.items()}
        for record in records
    ]
    return _table("results", rows, RESULTS, [*values.values(), *metrics.values()])


def _row(record: TrialRecord) -> dict[str, Any]:
    known = record.started is not None and record.ended is not None
    count, variance = len(record.executions), record.variance
    return {
        "trial_id": record.trial_id,
        "status": record.status,
        "score": record.score,
        "best_step": record.best_step if record.score is not None else None,
        "suggestion_seconds": record.origin.note.get("seconds"),
        "seconds": (record.ended or 0.0) - (record.started or 0.0) if known else None,
        "executions": count,
        "score_std": None if variance is None or count < 2 else math.sqrt(variance * count),
        "message": failure_reason(record.message) or None,
    }


def history_table(records: Sequence[TrialRecord], reports: Iterable[TrialReported]) -> pandas.DataFrame:
    """One row for each recorded epoch, in the order of trials, then of recording; see `Oracle.history`."""
    rows: list[tuple[int, dict[str, Any], Mapping[str, float]]] = []
    told: set[tuple[int, int]] = set()
    by_number = {record.number: record for record in records}
    for r in reports:
        told.add((r.number, r.execution))
        place = {"attempt": r.attempt, "execution": r.execution, "step": r.step}
        rows.append((r.number, {"trial_id": by_number[r.number].trial_id, **place}, r.metrics))
    for record in records:
        for execution, (metrics, step) in enumerate(record.executions):
            if (record.number, execution) not in told:
                place = {"attempt": max(record.attempt, 0), "execution": execution, "step": step}
                rows.append((record.number, {"trial_id": record.trial_id, **place}, metrics))
    rows.sort(key=lambda row: row[0])  # stable: the order of recording within a trial
    columns = _metric_columns((name for _, _, metrics in rows for name in metrics), HISTORY)
    full = [place | {columns[name]: value for name, value in metrics.items()} for _, place, metrics in rows]
    return _table("history", full, HISTORY, list(columns.values()))


def _metric_columns(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """The column of each metric."""
    return {name: name if name not in taken else f"metric/{name}" for name in dict.fromkeys(names)}


def _table(
    what: str, rows: list[dict[str, Any]], first: Mapping[str, str | None], others: Sequence[str]
) -> pandas.DataFrame:
    """A table whose first columns have fixed types; None leaves text to pandas.

    Raises:
        MissingDependency: pandas is not installed.
    """
    try:
        frames = importlib.import_module("pandas")
    except ImportError as error:
        raise MissingDependency(f"{what}: expected pandas, which is not installed; run: pip install pandas") from error
    types = {name: kind for name, kind in first.items() if kind is not None}
    table: pandas.DataFrame = frames.DataFrame(rows, columns=[*first, *others]).astype(types)
    return table
