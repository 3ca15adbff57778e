"""All trials of a study as a table."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from krigetuner.errors import MissingDependency
from krigetuner.trial.trial import TrialRecord

if TYPE_CHECKING:
    import pandas


def results_table(records: Iterable[TrialRecord]) -> pandas.DataFrame:
    """One row for each trial in the order of their numbers.

    Columns: trial_id, status, score, best_step, suggestion_seconds (spent on deciding what to try), seconds (of the
    last attempt), then the hyperparameters, then the final metrics; `hyperparameter/<name>` and
    `metric/<name>` where a name is that of an earlier column.

    Raises:
        MissingDependency: pandas is not installed.
    """
    try:
        frames = importlib.import_module("pandas")
    except ImportError as error:
        raise MissingDependency("results: expected pandas, which is not installed; run: pip install pandas") from error
    records = list(records)
    values = {n: n if n not in _FIRST else f"hyperparameter/{n}" for record in records for n in record.values}
    taken = {*_FIRST, *values}
    metrics = {n: n if n not in taken else f"metric/{n}" for record in records for n in record.metrics}
    rows = [
        _row(record)
        | {values[name]: value for name, value in record.values.items()}
        | {metrics[name]: value for name, value in record.metrics.items()}
        for record in records
    ]
    table: pandas.DataFrame = frames.DataFrame(rows, columns=[*_FIRST, *values.values(), *metrics.values()])
    return table


_FIRST = ("trial_id", "status", "score", "best_step", "suggestion_seconds", "seconds")


def _row(record: TrialRecord) -> dict[str, Any]:
    known = record.started is not None and record.ended is not None
    return {
        "trial_id": record.trial_id,
        "status": record.status,
        "score": record.score,
        "best_step": record.best_step if record.score is not None else None,
        "suggestion_seconds": record.origin.note.get("seconds"),
        "seconds": (record.ended or 0.0) - (record.started or 0.0) if known else None,
    }
