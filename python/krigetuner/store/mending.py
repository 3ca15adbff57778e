"""Events with holes made into a story that can be told: what a damaged database still says of a study."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from krigetuner.store import events as e
from krigetuner.store.replay import fold, identity
from krigetuner.trial.trial import TrialRecord, TrialStatus


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
        return e.TrialFinished(record.number, *kept, time, record.values)
    attempt = max(record.attempt, 0)
    return e.TrialFailed(record.number, attempt, "failed", record.message or "", True, time, record.values)


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


def _identity(config: Mapping[str, Any]) -> str | None:
    try:
        return identity(config)
    except (KeyError, TypeError):
        return None
