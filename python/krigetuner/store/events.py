"""What can happen in a study: the events that the store keeps, and their JSON.

An event is written once and never changed. `encode` and `decode` go to strict JSON and back: numbers that JSON does not
have are tagged, `{"$float": "nan"}`, and a mapping with keys that look like a tag is wrapped,
`{"$dict": [[key, value], ...]}`.
Times are seconds since 1970.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from krigetuner.errors import StoreError
from krigetuner.trial.history import Origin, Value

SCHEMA = 2
"""Version of the events below; a reader refuses events of a later one."""

Executions = tuple[tuple[Mapping[str, float], int], ...]
"""Metrics and step of each execution, in order."""


@dataclass(frozen=True)
class Event:
    """What every event has in common.

    Attributes:
        kind: its name in the store.
    """

    kind: ClassVar[str] = ""


@dataclass(frozen=True)
class StudyOpened(Event):
    """A new study; always the first event. `objective`, `options` and `parameters` are plain JSON data."""

    name: str
    objective: Mapping[str, Any]
    algorithm: str
    options: Mapping[str, Any]
    backend: str
    seed: int | None
    created: float
    version: str


@dataclass(frozen=True)
class OptionsChanged(Event):
    """The study goes on under other options; `differences` says which, one sentence each.

    The objective changes only while no trial has ended.
    """

    objective: Mapping[str, Any]
    algorithm: str
    options: Mapping[str, Any]
    backend: str
    seed: int | None
    version: str
    differences: tuple[str, ...]
    time: float = 0.0


@dataclass(frozen=True)
class SpaceGrew(Event):
    """Parameters (their configs) entered the space; earlier definitions of the names in `replaces` are withdrawn."""

    parameters: tuple[Mapping[str, Any], ...]
    replaces: tuple[str, ...] = ()
    time: float = 0.0


@dataclass(frozen=True)
class TrialAsked(Event):
    """A trial was made from a suggestion that knew the events up to position `seen`.

    An origin whose algorithm is "queue" takes the first of the enqueued values off the queue.
    """

    number: int
    trial_id: str
    values: Mapping[str, Value]
    origin: Origin
    seen: int
    counted: bool = True
    worker: str | None = None
    time: float = 0.0


@dataclass(frozen=True)
class TrialStarted(Event):
    """An attempt at a trial began; attempts count from 0."""

    number: int
    attempt: int
    worker: str | None = None
    time: float = 0.0


@dataclass(frozen=True)
class TrialReported(Event):
    """The metrics of one step (epoch) of one execution of a running trial."""

    number: int
    attempt: int
    execution: int
    step: int
    metrics: Mapping[str, float]
    time: float = 0.0


@dataclass(frozen=True)
class TrialFinished(Event):
    """A trial completed. `values` is given when hyperparameters were discovered while it ran.

    `unasked` are the names in its values that its code never asked for; None where that is not known.
    """

    number: int
    executions: Executions
    metrics: Mapping[str, float]
    step: int
    score: float
    variance: float | None = None
    time: float = 0.0
    values: Mapping[str, Value] | None = None
    unasked: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TrialFailed(Event):
    """An attempt failed: the trial is over (`final`), or waits to be run again before anything else."""

    number: int
    attempt: int
    kind_of_failure: str
    message: str
    final: bool
    time: float = 0.0
    values: Mapping[str, Value] | None = None
    unasked: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TrialInterrupted(Event):
    """An attempt ended without the trial's fault; it waits to be run again before anything else."""

    number: int
    attempt: int
    reason: str
    time: float = 0.0
    values: Mapping[str, Value] | None = None


@dataclass(frozen=True)
class TrialRequeued(Event):
    """A trial whose process died while it ran waits to be run again before anything else."""

    number: int
    reason: str
    time: float = 0.0


@dataclass(frozen=True)
class TrialEnqueued(Event):
    """The user asked for these values to be tried next, after those enqueued before."""

    values: Mapping[str, Value]
    time: float = 0.0


@dataclass(frozen=True)
class EnqueuedRefused(Event):
    """The first of the enqueued values left the queue without a trial: the space that is known by now lacks them."""

    values: Mapping[str, Value]
    reason: str
    time: float = 0.0


@dataclass(frozen=True)
class StateSaved(Event):
    """State of a user's own oracle or tuner under a key; the last one counts."""

    key: str
    state: Mapping[str, Any] = field(default_factory=dict)
    time: float = 0.0


@dataclass(frozen=True)
class StudyClosed(Event):
    """The search ended for this reason; any later event opens the study again."""

    reason: str
    time: float = 0.0


KINDS: Mapping[str, type[Event]] = {
    c.__name__: c
    for c in (
        StudyOpened,
        OptionsChanged,
        SpaceGrew,
        TrialAsked,
        TrialStarted,
        TrialReported,
        TrialFinished,
        TrialFailed,
        TrialInterrupted,
        TrialRequeued,
        TrialEnqueued,
        EnqueuedRefused,
        StateSaved,
        StudyClosed,
    )
}
for _name, _class in KINDS.items():
    _class.kind = _name


def _plain(value: object) -> object:
    """Turns what the JSON encoder does not know into what it does."""
    if isinstance(value, Origin):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"event: expected plain JSON data, got {type(value).__name__} ({value!r:.80}); convert it first")


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain)


def to_json(value: object) -> str:
    """Strict JSON of plain data; non-finite floats survive.

    Raises:
        TypeError: something in it has no JSON.
    """
    try:
        text = _encoder.encode(value)
    except ValueError:  # a non-finite number
        text = ""
    if not text or '"$' in text:
        text = _encoder.encode(_tag(value))
    return text


def _tag(value: object) -> object:
    """Plain data with non-finite numbers and tag-like keys wrapped."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(float(value))}
    if isinstance(value, Origin):
        return _tag(_plain(value))
    if isinstance(value, Mapping):
        if any(str(k).startswith("$") for k in value):
            return {"$dict": [[str(k), _tag(v)] for k, v in value.items()]}
        return {k: _tag(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_tag(v) for v in value]
    return value


def from_json(text: str) -> Any:
    """The data that `to_json` was given (tuples as lists)."""
    return json.loads(text, object_hook=_untag if '"$' in text else None)


def _untag(pairs: dict[str, Any]) -> Any:
    """Undoes `_tag` on one mapping, innermost first."""
    if len(pairs) == 1:
        if "$float" in pairs:
            return float(pairs["$float"])
        if "$dict" in pairs:
            return dict(pairs["$dict"])
    return pairs


def storable(text: str) -> str:
    """Text that every database takes: without NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def encode(event: Event) -> tuple[str, int, str]:
    """Kind, schema version and JSON body of an event."""
    return event.kind, SCHEMA, to_json(event.__dict__)


def decode(kind: str, version: int, body: str) -> Event:
    """The event that `encode` was given.

    Raises:
        StoreError: it was written by a later version.
    """
    if version > SCHEMA or kind not in KINDS:
        raise StoreError(
            f"events: expected schema version {SCHEMA} or earlier, got {kind} of version {version}; "
            "the study was written by a newer KrigeTuner: upgrade to read it"
        )
    data = from_json(body)
    if "origin" in data:
        data["origin"] = Origin(**data["origin"])
    if "executions" in data:
        data["executions"] = tuple((metrics, step) for metrics, step in data["executions"])
    for name in ("parameters", "replaces", "differences"):
        if name in data:
            data[name] = tuple(data[name])
    if data.get("unasked") is not None:
        data["unasked"] = tuple(data["unasked"])
    return KINDS[kind](**data)
