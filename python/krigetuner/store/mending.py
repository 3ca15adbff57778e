"""Events with holes made into a story that can be told: what a damaged database still says of a study."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from krigetuner.store import events as e
from krigetuner.store.artifacts import safe_name
from krigetuner.store.replay import fold, identity
from krigetuner.trial.history import Origin
from krigetuner.trial.trial import TrialRecord, TrialStatus


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value < 2**63


def _number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool))


def _numbers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and _number(v) for k, v in value.items())


def _values(value: Any) -> bool:
    plain = bool | int | float | str
    return value is None or (isinstance(value, Mapping) and all(isinstance(v, plain) for v in value.values()))


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _file_name(value: Any) -> bool:
    try:
        return bool(safe_name(value))
    except (ValueError, TypeError, AttributeError):
        return False


def _origin(value: Any) -> bool:
    return isinstance(value, Origin) and isinstance(value.algorithm, str) and _values(value.note)


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("number", "attempt", "execution", "step", "seen", "best_step", "failures"), _whole),
    **dict.fromkeys(("time", "score"), lambda x: x is None or _number(x)),
    **dict.fromkeys(("variance", "created", "asked", "started", "ended"), lambda x: x is None or _number(x)),
    **dict.fromkeys(("kind_of_failure", "reason", "key", "algorithm", "backend", "version", "name", "status"), _text),
    **dict.fromkeys(("worker", "message"), lambda x: x is None or isinstance(x, str)),
    **dict.fromkeys(("objective", "options", "state"), lambda x: isinstance(x, Mapping)),
    "seed": lambda x: x is None or isinstance(x, int),
    "trial_id": _file_name,
    "values": _values,
    "origin": _origin,
    "metrics": _numbers,
    "executions": lambda x: all(len(pair) == 2 and _numbers(pair[0]) and _whole(pair[1]) for pair in x),
    "parameters": lambda x: all(_identity(config) is not None for config in x),
    "replaces": lambda x: all(map(_text, x)),
    "unasked": lambda x: x is None or all(map(_text, x)),
}
"""What the attributes of events and trials must be."""


def is_sound(thing: e.Event | TrialRecord) -> bool:
    """Whether an event, or a trial, is made of what it should be: damaged text may still be JSON."""
    return all(check(getattr(thing, name)) for name, check in CHECKS.items() if hasattr(thing, name))


@dataclass(frozen=True)
class Remains:
    """What could be read of a study.

    Attributes:
        events: by position.
        trials: rows of the plain table, by number.
        parameters: configs of the space.
        last: position of the last event that there was; 0 when it is not known.
        opening: what the study's row says of it.
    """

    events: Mapping[int, e.Event]
    trials: Mapping[int, TrialRecord]
    parameters: list[dict[str, Any]]
    last: int
    opening: e.StudyOpened | None = None


def mend(remains: Remains) -> list[e.Event]:
    """The events that fit together, in order, numbers and positions without holes.

    A trial whose first or last event is lost gets it from its row in the plain table; without one, a trial of unknown
    values is left out, and one of unknown end is to be run again. Definitions of hyperparameters that are lost come
    last.
    """
    told = sorted([*remains.events.items(), *_from_rows(remains)], key=lambda pair: pair[0])
    story = list(_opening(remains))
    origins = [1.0] * len(story)
    numbers: dict[int, int] = {}
    ended: set[int] = set()
    ids: set[str] = set()
    for position, event in told:
        if isinstance(event, e.StudyOpened):
            continue
        fitted = _fitted(event, numbers, ended, ids)
        if fitted is None:
            continue
        if isinstance(fitted, e.TrialAsked):
            fitted = replace(fitted, seen=bisect_right(origins, fitted.seen))
        story.append(fitted)
        origins.append(position)
    known = fold(enumerate(story, 1)).parameters
    lost = tuple(config for config in remains.parameters if _identity(config) not in {None, *known})
    return [*story, e.SpaceGrew(lost)] if lost else story


def _opening(remains: Remains) -> Iterator[e.Event]:
    """The first event; where nothing is left of it, one that any code may go on with, as with an imported study."""
    opened = next((x for x in remains.events.values() if isinstance(x, e.StudyOpened)), remains.opening)
    yield opened or e.StudyOpened("", {"candidates": []}, "", {}, "", None, 0.0, "")


def _from_rows(remains: Remains) -> Iterator[tuple[float, e.Event]]:
    """What the rows of trials say in the place of lost events, between the positions of those that are there."""
    asked = {x.number for x in remains.events.values() if isinstance(x, e.TrialAsked)}
    over = {getattr(x, "number", -1) for x in remains.events.values() if _is_end(x)}
    first: dict[int, int] = {}
    for position in sorted(remains.events):
        first.setdefault(getattr(remains.events[position], "number", -1), position)
    end = max(remains.events, default=0)
    for number, record in sorted(remains.trials.items()):
        if number not in asked:
            later = min((p for n, p in first.items() if n >= number), default=end + 1)
            values = (record.number, record.trial_id, record.values, record.origin, record.seen, record.counted)
            yield later - 0.5, e.TrialAsked(*values, record.worker, record.asked or 0.0)
        if number not in over and record.status in (TrialStatus.COMPLETED, TrialStatus.FAILED):
            yield end + 1.0, _end_of(record)


def _is_end(event: e.Event) -> bool:
    return isinstance(event, e.TrialFinished) or (isinstance(event, e.TrialFailed) and event.final)


def _end_of(record: TrialRecord) -> e.Event:
    """The last event of a trial, from its row."""
    time, score = record.ended or 0.0, record.score
    if record.status == TrialStatus.COMPLETED and score is not None:
        kept = (record.executions, record.metrics, record.best_step, score, record.variance)
        return e.TrialFinished(record.number, *kept, time, record.values, record.unasked)
    attempt = max(record.attempt, 0)
    told = (record.message or "", True, time, record.values, record.unasked)
    return e.TrialFailed(record.number, attempt, "failed", *told)


def _fitted(event: Any, numbers: dict[int, int], ended: set[int], ids: set[str]) -> e.Event | None:
    """The event with its trial's new number; None when nothing is known of the trial, or all has been told."""
    old = getattr(event, "number", None)
    if old is None:
        return event  # type: ignore[no-any-return]
    if isinstance(event, e.TrialAsked):
        if old in numbers or event.trial_id in ids:
            return None
        numbers[old] = len(numbers)
        ids.add(event.trial_id)
    elif old not in numbers or old in ended:
        return None
    if _is_end(event):
        ended.add(old)
    return replace(event, number=numbers[old])  # type: ignore[no-any-return]


def _identity(config: Any) -> str | None:
    try:
        return identity(config)
    except (KeyError, TypeError, AttributeError):
        return None
