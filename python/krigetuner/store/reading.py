"""The state of a study from the plain tables, without a replay."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from krigetuner.store.events import TrialReported, from_json
from krigetuner.store.replay import StudyState
from krigetuner.store.statements import Statement
from krigetuner.store.tables import metadata, sqlalchemy
from krigetuner.trial.history import Origin
from krigetuner.trial.trial import TrialRecord, TrialStatus

TRIAL = (
    "number", "trial_id", "hyperparameters", "origin", "seen", "counted", "status", "attempt", "failures", "worker",
    "metrics", "executions", "score", "best_step", "variance", "message", "asked", "started", "ended", "unasked",
    "ended_at", "waiting_since",
)  # fmt: skip
STUDY = ("position", "name", "objective", "algorithm", "options", "backend", "seed", "created", "version", "closed")
REPORT = ("number", "position", "attempt", "execution", "step", "time", "name", "value")


class Reader:
    """Reads one study's tables with plain cursors.

    Args:
        study: the study's id in the database.
        dialect: SQLAlchemy's dialect of the database.
    """

    def __init__(self, study: int, dialect: Any) -> None:
        self.study = study
        sa, tables = sqlalchemy(), metadata().tables

        def select(name: str, columns: tuple[str, ...], order: tuple[str, ...], *tests: Any) -> Statement:
            table = tables[name]
            owner = table.c["id" if name == "studies" else "study"]
            picked = sa.select(*[table.c[c] for c in columns]).where(owner == sa.bindparam("study"), *tests)
            return Statement(picked.order_by(*[table.c[c] for c in order]), dialect)

        event, report = tables["events"].c, tables["measurements"].c
        self._study = select("studies", STUDY, ())
        self._parameters = select("parameters", ("identity", "config"), ("place", "item"))
        self._trials = select("trials", TRIAL, ("number",))
        self._enqueued = select("enqueued", ("hyperparameters",), ("position",))
        self._saved = select("saved", ("key", "state"), ("key",))
        span = (event.position > sa.bindparam("low"), event.position <= sa.bindparam("high"))
        columns = ("position", "kind", "version", "body")
        self._events = select("events", columns, ("position",), *span)
        other = event.kind != sa.literal_column(f"'{TrialReported.kind}'")
        self._changes = select("events", columns, ("position",), *span, other)
        span = (report.number >= sa.bindparam("low"), report.number <= sa.bindparam("high"))
        self._reports = select("measurements", REPORT, ("number", "position"), *span)
        first = sa.select(sa.func.min(report.number)).where(report.study == sa.bindparam("study"), span[0])
        self._reported = Statement(first, dialect)

    def _rows(self, cursor: Any, statement: Statement, **values: Any) -> list[Any]:
        rows: list[Any] = statement.run(cursor, {"study": self.study, **values}).fetchall()
        return rows

    def events(self, cursor: Any, low: int, high: int, reports: bool = True) -> list[Any]:
        """Position, kind, version and body of the events behind `low`, up to `high`, reports of steps if asked for."""
        return self._rows(cursor, self._events if reports else self._changes, low=low, high=high)

    def reports(self, cursor: Any, low: int, high: int) -> list[TrialReported]:
        """The reports of the trials from `low` to `high`, both included."""
        return _reports(self._rows(cursor, self._reports, low=low, high=high))

    def next_reported(self, cursor: Any, low: int) -> int | None:
        """The first trial from `low` on that has reports; None when there is none."""
        number: int | None = self._rows(cursor, self._reported, low=low)[0][0]
        return number

    def state(self, cursor: Any) -> StudyState:
        """The state, read in the caller's transaction."""
        row = dict(zip(STUDY, self._rows(cursor, self._study)[0], strict=True))
        state = StudyState(position=row["position"])
        if row["objective"] is not None:
            state.name, state.algorithm, state.backend = row["name"], row["algorithm"], row["backend"]
            state.objective, state.options = from_json(row["objective"]), from_json(row["options"])
            state.seed = None if row["seed"] is None else int(row["seed"])
            state.created, state.version, state.closed = row["created"], row["version"], row["closed"]
        state.parameters = {k: from_json(c) for k, c in self._rows(cursor, self._parameters)}
        self._add_trials(state, self._rows(cursor, self._trials))
        state.enqueued = deque(from_json(v) for (v,) in self._rows(cursor, self._enqueued))
        state.saved = {k: from_json(v) for k, v in self._rows(cursor, self._saved)}
        return state

    def _add_trials(self, state: StudyState, rows: list[Any]) -> None:
        """The trials, and the orders that follow from them."""
        ended, waiting = [], []
        for *fields, ended_at, waiting_since in rows:
            record = record_of(fields)
            state.trials[record.number] = record
            state.numbers[record.trial_id] = record.number
            if ended_at is not None:
                ended.append((ended_at, record.number))
            elif waiting_since is not None:
                waiting.append((waiting_since, record.number))
            else:
                state.running.add(record.number)
        state.ended = [number for _, number in sorted(ended)]
        state.waiting = [number for _, number in sorted(waiting)]


def record_of(fields: list[Any]) -> TrialRecord:
    """One row of `trials` without its last two columns."""
    record = TrialRecord(*fields)
    record.values = from_json(fields[2])
    record.origin = Origin(**from_json(fields[3]))
    record.counted = bool(fields[5])
    record.metrics = from_json(fields[10]) if fields[10] != "{}" else {}
    record.executions = tuple((m, s) for m, s in from_json(fields[11])) if fields[11] != "[]" else ()
    record.unasked = None if fields[19] is None else tuple(from_json(fields[19]))
    if record.score is None and record.status == TrialStatus.COMPLETED:
        record.score = math.nan
    return record


def _reports(rows: list[Any]) -> list[TrialReported]:
    """Rows of `measurements`, one per metric, gathered by event."""
    found: list[TrialReported] = []
    metrics: dict[str, float] = {}
    current: tuple[int, int] | None = None
    for number, position, attempt, execution, step, time, name, value in rows:
        if (number, position) != current:
            current, metrics = (number, position), {}
            found.append(TrialReported(number, attempt, execution, step, metrics, time))
        metrics[name] = math.nan if value is None else value
    return found
