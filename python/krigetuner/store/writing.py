"""What each event changes in the plain tables, as statements that are compiled once per database."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from krigetuner.store import events as e
from krigetuner.store.events import storable, to_json
from krigetuner.store.replay import identity, parameter_name
from krigetuner.store.statements import Statement
from krigetuner.store.tables import metadata, sqlalchemy
from krigetuner.trial.trial import TrialStatus


class Writer:
    """Writes events and what they change into one study's tables, inside the caller's transaction.

    Args:
        study: the study's id in the database.
        dialect: SQLAlchemy's dialect of the database.
    """

    def __init__(self, study: int, dialect: Any) -> None:
        self.study = study
        self._dialect = dialect
        self._tables = metadata().tables
        self._known: dict[tuple[Any, ...], Statement] = {}
        self._changes: dict[type[e.Event], Callable[[Any, int, Any], None]] = {
            e.StudyOpened: self._opened,
            e.OptionsChanged: self._changed,
            e.SpaceGrew: self._grew,
            e.TrialAsked: self._asked,
            e.TrialStarted: self._started,
            e.TrialReported: self._reported,
            e.TrialFinished: self._finished,
            e.TrialFailed: self._failed,
            e.TrialInterrupted: self._interrupted,
            e.TrialRequeued: self._interrupted,
            e.TrialEnqueued: self._enqueued,
            e.EnqueuedRefused: self._refused,
            e.StateSaved: self._saved,
        }

    def write(self, cursor: Any, position: int, event: e.Event) -> None:
        """One event and its changes."""
        kind, version, body = e.encode(event)
        self._insert(cursor, "events", position=position, kind=kind, version=version, body=body)
        change = self._changes.get(type(event))
        if change is not None:
            change(cursor, position, event)

    # --- statements ----------------------------------------------------------------------------------------------

    def _insert_statement(self, table: str, names: tuple[str, ...]) -> Statement:
        """An insert of these columns."""
        key = ("insert", table, names)
        if key not in self._known:
            sa = sqlalchemy()
            construct = self._tables[table].insert().inline().values({n: sa.bindparam(n) for n in names})
            self._known[key] = Statement(construct, self._dialect)
        return self._known[key]

    def _insert(self, cursor: Any, table: str, **values: Any) -> None:
        values["study"] = self.study
        self._insert_statement(table, tuple(values)).run(cursor, values)

    def _update(self, cursor: Any, table: str, where: Mapping[str, Any], **values: Any) -> None:
        """Sets columns of the rows for which `where` holds; `failures` is raised by its value."""
        key = ("update", table, tuple(where), tuple(values))
        if key not in self._known:
            sa, target = sqlalchemy(), self._tables[table]
            sets = {n: sa.bindparam(f"new_{n}") for n in values}
            if "failures" in sets:
                sets["failures"] = target.c.failures + sa.bindparam("new_failures")
            tests = [target.c[n] == sa.bindparam(f"old_{n}") for n in where]
            self._known[key] = Statement(target.update().values(sets).where(*tests), self._dialect)
        bound = {f"new_{n}": v for n, v in values.items()} | {f"old_{n}": v for n, v in where.items()}
        self._known[key].run(cursor, bound)

    def _update_trial(self, cursor: Any, number: int, **values: Any) -> None:
        self._update(cursor, "trials", {"study": self.study, "number": number}, **values)

    def _delete(self, cursor: Any, table: str, **where: Any) -> None:
        where["study"] = self.study
        key = ("delete", table, tuple(where))
        if key not in self._known:
            sa, target = sqlalchemy(), self._tables[table]
            tests = [target.c[n] == sa.bindparam(n) for n in where]
            self._known[key] = Statement(target.delete().where(*tests), self._dialect)
        self._known[key].run(cursor, where)

    # --- what each event changes -----------------------------------------------------------------------------------

    def _opened(self, cursor: Any, position: int, event: e.StudyOpened) -> None:
        self._options(cursor, event, name=event.name, created=event.created)

    def _changed(self, cursor: Any, position: int, event: e.OptionsChanged) -> None:
        self._options(cursor, event)

    def _options(self, cursor: Any, event: e.StudyOpened | e.OptionsChanged, **more: Any) -> None:
        self._update(
            cursor,
            "studies",
            {"id": self.study},
            objective=to_json(event.objective),
            algorithm=event.algorithm,
            options=to_json(event.options),
            backend=event.backend,
            seed=None if event.seed is None else str(event.seed),
            version=event.version,
            **more,
        )

    def _grew(self, cursor: Any, position: int, event: e.SpaceGrew) -> None:
        for name in event.replaces:
            self._delete(cursor, "parameters", name=storable(name))
        for item, config in enumerate(event.parameters):
            key = identity(config)
            self._delete(cursor, "parameters", identity=key)
            text = to_json(config)
            name = storable(parameter_name(config))
            self._insert(cursor, "parameters", place=position, item=item, name=name, identity=key, config=text)

    def _asked(self, cursor: Any, position: int, event: e.TrialAsked) -> None:
        self._insert(
            cursor,
            "trials",
            number=event.number,
            trial_id=event.trial_id,
            status=TrialStatus.RUNNING,
            hyperparameters=to_json(event.values),
            origin=to_json(event.origin),
            seen=event.seen,
            counted=int(event.counted),
            attempt=-1,
            failures=0,
            best_step=0,
            worker=event.worker,
            metrics="{}",
            executions="[]",
            asked=event.time,
        )
        if event.origin.algorithm == "queue":
            self._take_enqueued(cursor)

    def _take_enqueued(self, cursor: Any) -> None:
        """Removes the first of the enqueued values."""
        key = ("take",)
        if key not in self._known:
            sa, table = sqlalchemy(), self._tables["enqueued"]
            mine = table.c.study == sa.bindparam("study")
            first = sa.select(sa.func.min(table.c.position)).where(mine).scalar_subquery()
            self._known[key] = Statement(table.delete().where(mine, table.c.position == first), self._dialect)
        self._known[key].run(cursor, {"study": self.study})

    def _started(self, cursor: Any, position: int, event: e.TrialStarted) -> None:
        self._update_trial(
            cursor,
            event.number,
            status=TrialStatus.RUNNING,
            attempt=event.attempt,
            worker=event.worker,
            started=event.time,
            waiting_since=None,
        )

    def _reported(self, cursor: Any, position: int, event: e.TrialReported) -> None:
        common: dict[str, Any] = {
            "number": event.number,
            "position": position,
            "attempt": event.attempt,
            "execution": event.execution,
            "step": event.step,
            "time": event.time,
            "study": self.study,
        }
        names = ("number", "position", "attempt", "execution", "step", "time", "study", "name", "value")
        rows = [common | {"name": n, "value": _number(v)} for n, v in event.metrics.items()]
        if rows:
            self._insert_statement("measurements", names).run_many(cursor, rows)

    def _finished(self, cursor: Any, position: int, event: e.TrialFinished) -> None:
        self._values(cursor, event)
        self._update_trial(
            cursor,
            event.number,
            status=TrialStatus.COMPLETED,
            message=None,
            unasked=_names(event.unasked),
            metrics=to_json(event.metrics),
            executions=to_json(event.executions),
            score=_number(event.score),
            variance=event.variance,
            best_step=event.step,
            ended=event.time,
            ended_at=position,
            waiting_since=None,
        )

    def _failed(self, cursor: Any, position: int, event: e.TrialFailed) -> None:
        self._values(cursor, event)
        self._update_trial(
            cursor,
            event.number,
            status=TrialStatus.FAILED if event.final else TrialStatus.INVALID,
            message=event.message,
            unasked=_names(event.unasked),
            failures=1,
            ended=event.time,
            ended_at=position if event.final else None,
            waiting_since=None if event.final else position,
        )

    def _interrupted(self, cursor: Any, position: int, event: e.TrialInterrupted | e.TrialRequeued) -> None:
        if isinstance(event, e.TrialInterrupted):
            self._values(cursor, event)
        self._update_trial(
            cursor,
            event.number,
            status=TrialStatus.INTERRUPTED,
            message=event.reason,
            ended=event.time,
            waiting_since=position,
        )

    def _values(self, cursor: Any, event: e.TrialFinished | e.TrialFailed | e.TrialInterrupted) -> None:
        """Values that were completed while the trial ran."""
        if event.values is not None:
            self._update_trial(cursor, event.number, hyperparameters=to_json(event.values))

    def _enqueued(self, cursor: Any, position: int, event: e.TrialEnqueued) -> None:
        self._insert(cursor, "enqueued", position=position, hyperparameters=to_json(event.values))

    def _refused(self, cursor: Any, position: int, event: e.EnqueuedRefused) -> None:
        self._take_enqueued(cursor)

    def _saved(self, cursor: Any, position: int, event: e.StateSaved) -> None:
        self._delete(cursor, "saved", key=event.key)
        self._insert(cursor, "saved", key=event.key, state=to_json(event.state))


def _names(names: Sequence[str] | None) -> str | None:
    """Names for a column."""
    return None if names is None else to_json(names)


def _number(value: float) -> float | None:
    """A number for a column: NaN is NULL."""
    return None if math.isnan(value) else value
