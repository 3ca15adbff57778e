"""The laws of store/protocol.py. A test class of a store inherits `StoreContract` and gives `make`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krigetuner.errors import StoreError
from krigetuner.store import events as e
from krigetuner.store.protocol import Store
from krigetuner.store.replay import StudyState, fold
from krigetuner.trial.history import Origin

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NAMES = st.sampled_from(["loss", "val_loss", "accuracy", "$float", "ß", "a/b"]) | TEXT.filter(bool)
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
TIME = st.sampled_from([0.0, 1.7e9, 1795255122.704989])
VALUE = st.booleans() | st.integers() | ANY_FLOAT | TEXT
VALUES = st.dictionaries(NAMES, VALUE, max_size=2)
METRICS = st.dictionaries(NAMES, ANY_FLOAT, max_size=2)
STEP = st.integers(0, 2**40)
DATA = st.recursive(
    VALUE | st.none(), lambda x: st.lists(x, max_size=2) | st.dictionaries(TEXT, x, max_size=2), max_leaves=4
)
OPTIONS = st.dictionaries(TEXT, DATA, max_size=2)
CONFIG = st.builds(
    lambda name, low, parent: {
        "class_name": "Float",
        "config": {
            "name": name,
            "min_value": low,
            "conditions": [{"class_name": "Parent", "config": {"name": "p", "values": [parent]}}] if parent else [],
        },
    },
    st.sampled_from("abc"),
    st.floats(-1, 1),
    st.integers(0, 2),
)


class Scribe:
    """Draws events that may follow each other, with its own simple notes of what is going on."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.events: list[e.Event] = []
        self.fresh: list[int] = []
        self.running: list[int] = []
        self.waiting: list[int] = []
        self.ended: list[int] = []
        self.attempts: dict[int, int] = {}
        self.queue: list[dict[str, Any]] = []

    def write(self, count: int) -> list[e.Event]:
        """An opening and `count` events more."""
        draw = self.draw
        objective = {"name": draw(NAMES), "direction": draw(st.sampled_from(["min", "max"]))}
        seed = draw(st.none() | st.integers(0, 2**70))
        self.events.append(
            e.StudyOpened(draw(TEXT), objective, "random", draw(OPTIONS), "cpp", seed, draw(TIME), "0.1")
        )
        for _ in range(count):
            choices = [self.ask, self.study, self.enqueue]
            choices += [self.refuse] * bool(self.queue)
            choices += [self.start] * bool(self.fresh or self.waiting) * 2
            choices += [self.end, self.report, self.report] * bool(self.running)
            self.events.append(draw(st.sampled_from(choices))())
        return self.events

    def ask(self) -> e.Event:
        number = len(self.attempts)
        self.attempts[number] = -1
        self.fresh.append(number)
        draw = self.draw
        origin = Origin(
            draw(st.sampled_from(["random", "queue"])),
            draw(st.none() | st.integers(0, 5)),
            parent=draw(st.none() | TEXT),
            note=draw(VALUES),
        )
        if origin.algorithm == "queue":
            self.queue = self.queue[1:]
        worker = draw(st.none() | TEXT)
        seen, counted = len(self.events), draw(st.booleans())
        return e.TrialAsked(number, f"{number:04d}", draw(VALUES), origin, seen, counted, worker, draw(TIME))

    def start(self) -> e.Event:
        number = self.draw(st.sampled_from(self.fresh + self.waiting))
        for group in (self.fresh, self.waiting):
            if number in group:
                group.remove(number)
        self.running.append(number)
        self.attempts[number] += 1
        return e.TrialStarted(number, self.attempts[number], self.draw(st.none() | TEXT), self.draw(TIME))

    def report(self) -> e.Event:
        number = self.draw(st.sampled_from(self.running))
        execution, step = self.draw(st.integers(0, 2)), self.draw(STEP)
        return e.TrialReported(number, self.attempts[number], execution, step, self.draw(METRICS), self.draw(TIME))

    def end(self) -> e.Event:
        draw = self.draw
        number = draw(st.sampled_from(self.running))
        self.running.remove(number)
        how = draw(st.integers(0, 4))
        (self.ended if how in (0, 1) else self.waiting).append(number)
        time, values, attempt = draw(TIME), draw(st.none() | VALUES), self.attempts[number]
        unasked = draw(st.none() | st.lists(NAMES, max_size=2).map(tuple))
        if how == 0:
            executions = tuple(draw(st.lists(st.tuples(METRICS, STEP), max_size=2)))
            score = draw(st.floats(allow_nan=False))
            variance = draw(st.none() | st.floats(0, 1e300))
            return e.TrialFinished(
                number, executions, draw(METRICS), draw(STEP), score, variance, time, values, unasked
            )
        if how in (1, 2):
            return e.TrialFailed(number, attempt, "invalid", draw(TEXT), how == 1, time, values, unasked)
        if how == 3:
            return e.TrialInterrupted(number, attempt, draw(TEXT), time, values)
        return e.TrialRequeued(number, draw(TEXT), time)

    def enqueue(self) -> e.Event:
        self.queue.append(self.draw(VALUES))
        return e.TrialEnqueued(self.queue[-1], self.draw(TIME))

    def refuse(self) -> e.Event:
        values, *self.queue = self.queue
        return e.EnqueuedRefused(values, self.draw(TEXT), self.draw(TIME))

    def study(self) -> e.Event:
        draw = self.draw
        configs = tuple(draw(st.lists(CONFIG, max_size=3)))
        replaces = tuple(draw(st.sets(st.sampled_from("abc"), max_size=2)))
        objective = {"name": draw(NAMES), "direction": "max"}
        return draw(
            st.sampled_from(
                [
                    e.SpaceGrew(configs, replaces, draw(TIME)),
                    e.OptionsChanged(objective, "grid", draw(OPTIONS), "numpy", 0, "0.2", ("a", "b"), draw(TIME)),
                    e.StateSaved(draw(NAMES), draw(OPTIONS), draw(TIME)),
                    e.StudyClosed(draw(TEXT), draw(TIME)),
                ]
            )
        )


@st.composite
def stories(draw: Any, most: int = 16) -> list[e.Event]:
    """Events of one study, in an order that can happen."""
    return Scribe(draw).write(draw(st.integers(0, most)))


def portrait(state: StudyState) -> str:
    """Everything in a state as text, so that NaN equals NaN; 0.0 equals -0.0, which SQLite does not tell apart."""
    plain = dict(vars(state))
    plain["trials"] = [{f.name: getattr(r, f.name) for f in fields(r)} for r in state.trials.values()]
    plain["running"], plain["enqueued"] = sorted(state.running), list(state.enqueued)
    plain["order"] = list(state.parameters)
    return e.to_json(_unsigned(plain))


def _unsigned(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _unsigned(value[k]) for k in sorted(value)}
    if isinstance(value, list | tuple):
        return [_unsigned(v) for v in value]
    return value + 0.0 if isinstance(value, float) else value


def texts(events: Any) -> list[tuple[str, int, str]]:
    """Events in a form in which NaN equals NaN."""
    return [e.encode(event) for event in events]


class StoreContract:
    """What every store must do."""

    @contextmanager
    def make(self) -> Iterator[Store]:
        """An empty store, closed and removed at the end."""
        raise NotImplementedError

    @given(story=stories())
    def test_reads_what_was_appended_in_order(self, story: list[e.Event]) -> None:
        with self.make() as store:
            assert [store.append(event) for event in story] == list(range(1, len(story) + 1))
            found = list(store.read())
            assert [position for position, _ in found] == list(range(1, len(story) + 1))
            assert texts(event for _, event in found) == texts(story)
            middle = len(story) // 2
            assert texts(event for _, event in store.read(middle)) == texts(story[middle:])
            assert list(store.read(len(story))) == []
            changes = [pair for pair in found if not isinstance(pair[1], e.TrialReported)]
            assert texts(event for _, event in store.read(reports=False)) == texts(event for _, event in changes)
            assert [position for position, _ in store.read(middle, reports=False)] == [
                position for position, _ in changes if position > middle
            ]

    @given(story=stories())
    def test_the_state_is_the_fold_of_the_events_at_every_moment(self, story: list[e.Event]) -> None:
        state = StudyState()
        with self.make() as store:
            for event in story:
                state.apply(store.append(event), event)
                assert portrait(store.state()) == portrait(state) == portrait(fold(store.read()))

    @given(story=stories())
    def test_many_at_once_are_the_same_as_one_after_the_other(self, story: list[e.Event]) -> None:
        with self.make() as store:
            middle = len(story) // 2
            for event in story[:middle]:
                store.append(event)
            assert store.append_all(story[middle:]) == len(story)
            assert texts(event for _, event in store.read()) == texts(story)
            assert portrait(store.state()) == portrait(fold(store.read()))
            assert store.append(e.StudyClosed("done")) == len(story) + 1

    @given(story=stories(24))
    def test_measurements_are_the_reports(self, story: list[e.Event]) -> None:
        with self.make() as store:
            for event in story:
                store.append(event)
            reports = [x for x in story if isinstance(x, e.TrialReported) and x.metrics]
            numbers = sorted({x.number for x in reports})
            assert same_reports(store.measurements(), sorted(reports, key=lambda x: x.number))
            for number in [*numbers, 10**6]:
                assert same_reports(store.measurements(number), [x for x in reports if x.number == number])

    def test_an_empty_store(self) -> None:
        with self.make() as store:
            assert list(store.read()) == []
            assert list(store.measurements()) == []
            assert portrait(store.state()) == portrait(StudyState())

    def test_closing_twice_is_harmless_and_nothing_is_taken_after_it(self) -> None:
        with self.make() as store:
            store.append(e.StudyClosed("done"))
            store.close()
            store.close()
            with pytest.raises(StoreError, match="closed"):
                store.append(e.StudyClosed("again"))


def same_reports(found: Any, expected: list[e.TrialReported]) -> bool:
    """Whether these are the same reports, metrics in any order."""

    def plain(report: e.TrialReported) -> Any:
        metrics = {k: "nan" if math.isnan(v) else v for k, v in report.metrics.items()}
        return report.number, report.attempt, report.execution, report.step, metrics, report.time

    return [plain(x) for x in found] == [plain(x) for x in expected]


def live_side_by_side(first: Any, second: Any) -> None:
    """The law of two empty studies of one database: neither sees the other, nor is touched when that is erased."""
    opened = e.StudyOpened("s", {"name": "loss", "direction": "min"}, "random", {}, "cpp", 1, 0.0, "0.1")
    for store, count in ((first, 2), (second, 3)):
        store.append(opened)
        for number in range(count):
            store.append(e.TrialAsked(number, f"{number:04d}", {"x": 0.5}, Origin("random"), 1))
            store.append(e.TrialReported(number, 0, 0, 0, {"loss": 1.0}))
    assert [len(store.state().trials) for store in (first, second)] == [2, 3]
    first.erase()
    assert portrait(first.state()) == portrait(StudyState())
    assert list(first.read()) == list(first.measurements()) == []
    assert first.append(opened) == 1
    assert portrait(second.state()) == portrait(fold(second.read()))
    assert len(list(second.measurements())) == 3
