"""The state of a study: a fold over its events, O(1) for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from krigetuner.store import events as e
from krigetuner.trial.history import Value
from krigetuner.trial.trial import TrialRecord, TrialStatus

SPACE = "search_space"
"""The key under which is saved which names the code had defined before the first trial."""


@dataclass
class StudyState:
    """What is known of a study after the event at `position`. Changed by `apply` alone.

    Attributes:
        position: of the last event; 0 before the first.
        name, objective, algorithm, options, backend, seed, created, version: as the last StudyOpened or OptionsChanged.
        parameters: configs of the space in order, by identity (`identity`).
        trials: every trial by number.
        numbers: number of each trial id.
        ended: numbers of completed and failed trials in the order in which they ended.
        waiting: numbers of trials to be run again before anything new; the last comes first.
        running: numbers of trials that were asked or started and neither ended nor wait.
        enqueued: values to try before anything suggested, the first comes first.
        saved: states of users' own oracles and tuners.
        closed: why the search ended; None while it goes on.
    """

    position: int = 0
    name: str = ""
    objective: Mapping[str, Any] = field(default_factory=dict)
    algorithm: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    backend: str = ""
    seed: int | None = None
    created: float | None = None
    version: str = ""
    parameters: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    trials: dict[int, TrialRecord] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    running: set[int] = field(default_factory=set)
    enqueued: deque[dict[str, Value]] = field(default_factory=deque)
    saved: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    closed: str | None = None

    @property
    def initial(self) -> Sequence[str] | None:
        """The names that the code had defined before the first trial of its last run; None where that is not known."""
        return self.saved.get(SPACE, {}).get("initial")

    def apply(self, position: int, event: e.Event) -> None:
        """Takes one event in; positions follow each other without a gap."""
        _FOLD[type(event)](self, event)
        self.position = position
        self.closed = event.reason if isinstance(event, e.StudyClosed) else None


def fold(events: Iterable[tuple[int, e.Event]]) -> StudyState:
    """The state after all these events."""
    state = StudyState()
    for position, event in events:
        state.apply(position, event)
    return state


def identity(config: Mapping[str, Any]) -> str:
    """What makes a parameter the same one: its name and its conditions."""
    inner = config.get("config", config)
    return e.to_json([inner["name"], inner.get("conditions") or []])


def parameter_name(config: Mapping[str, Any]) -> str:
    """The name of a parameter from its config."""
    return str(config.get("config", config)["name"])


def _opened(state: StudyState, event: e.StudyOpened) -> None:
    state.name, state.created, state.objective = event.name, event.created, event.objective
    state.algorithm, state.options, state.backend = event.algorithm, event.options, event.backend
    state.seed, state.version = event.seed, event.version


def _changed(state: StudyState, event: e.OptionsChanged) -> None:
    state.objective = event.objective
    state.algorithm, state.options, state.backend = event.algorithm, event.options, event.backend
    state.seed, state.version = event.seed, event.version


def _grew(state: StudyState, event: e.SpaceGrew) -> None:
    if event.replaces:
        gone = set(event.replaces)
        state.parameters = {k: c for k, c in state.parameters.items() if parameter_name(c) not in gone}
    for config in event.parameters:
        key = identity(config)
        state.parameters.pop(key, None)
        state.parameters[key] = config


def _asked(state: StudyState, event: e.TrialAsked) -> None:
    state.trials[event.number] = TrialRecord(
        number=event.number,
        trial_id=event.trial_id,
        values=dict(event.values),
        origin=event.origin,
        seen=event.seen,
        counted=event.counted,
        worker=event.worker,
        asked=event.time,
    )
    state.numbers[event.trial_id] = event.number
    state.running.add(event.number)
    if event.origin.algorithm == "queue" and state.enqueued:
        state.enqueued.popleft()


def _started(state: StudyState, event: e.TrialStarted) -> None:
    record = state.trials[event.number]
    record.status, record.attempt, record.worker = TrialStatus.RUNNING, event.attempt, event.worker
    record.started = event.time
    if event.number in state.waiting:
        state.waiting.remove(event.number)
    state.running.add(event.number)


def _reported(state: StudyState, event: e.TrialReported) -> None:
    """Nothing: the metrics of single steps live in the store."""


def _finished(state: StudyState, event: e.TrialFinished) -> None:
    record = _leave(state, event.number, event.values, event.time)
    record.status, record.message = TrialStatus.COMPLETED, None
    record.metrics, record.executions = dict(event.metrics), event.executions
    record.score, record.variance, record.best_step = event.score, event.variance, event.step
    record.unasked = event.unasked
    state.ended.append(event.number)


def _failed(state: StudyState, event: e.TrialFailed) -> None:
    record = _leave(state, event.number, event.values, event.time)
    record.status = TrialStatus.FAILED if event.final else TrialStatus.INVALID
    record.message, record.unasked = event.message, event.unasked
    record.failures += 1
    (state.ended if event.final else state.waiting).append(event.number)


def _interrupted(state: StudyState, event: e.TrialInterrupted) -> None:
    record = _leave(state, event.number, event.values, event.time)
    record.status, record.message = TrialStatus.INTERRUPTED, event.reason
    state.waiting.append(event.number)


def _requeued(state: StudyState, event: e.TrialRequeued) -> None:
    record = _leave(state, event.number, None, event.time)
    record.status, record.message = TrialStatus.INTERRUPTED, event.reason
    state.waiting.append(event.number)


def _leave(state: StudyState, number: int, values: Mapping[str, Value] | None, time: float) -> TrialRecord:
    """The record of a trial that runs no more."""
    record = state.trials[number]
    state.running.discard(number)
    if number in state.waiting:
        state.waiting.remove(number)
    record.ended = time
    if values is not None:
        record.values = dict(values)
    return record


def _enqueued(state: StudyState, event: e.TrialEnqueued) -> None:
    state.enqueued.append(dict(event.values))


def _refused(state: StudyState, event: e.EnqueuedRefused) -> None:
    if state.enqueued and state.enqueued[0] == event.values:  # of a damaged record some may be missing
        state.enqueued.popleft()


def _saved(state: StudyState, event: e.StateSaved) -> None:
    state.saved[event.key] = event.state


def _closed(state: StudyState, event: e.StudyClosed) -> None:
    """Nothing more than `apply` does."""


_FOLD: Mapping[type[e.Event], Callable[[StudyState, Any], None]] = {
    e.StudyOpened: _opened,
    e.OptionsChanged: _changed,
    e.SpaceGrew: _grew,
    e.TrialAsked: _asked,
    e.TrialStarted: _started,
    e.TrialReported: _reported,
    e.TrialFinished: _finished,
    e.TrialFailed: _failed,
    e.TrialInterrupted: _interrupted,
    e.TrialRequeued: _requeued,
    e.TrialEnqueued: _enqueued,
    e.EnqueuedRefused: _refused,
    e.StateSaved: _saved,
    e.StudyClosed: _closed,
}
