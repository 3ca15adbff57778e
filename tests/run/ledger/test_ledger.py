"""The ledger: what it records is what its state says, in memory and in a database, also after a reopening."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.store import portrait
from tests.run.ledger.study import RANDOM, complete, opened

from krigetuner.errors import StoreError
from krigetuner.run.ledger import Ledger
from krigetuner.run.messages import Execution
from krigetuner.space.space import Space
from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.store.memory import MemoryStore
from krigetuner.store.replay import fold
from krigetuner.trial.history import Origin

# --- trials


def test_a_trials_life() -> None:
    ledger = opened()
    record = ledger.asked({"x": 0.5}, RANDOM, worker="tuner0")
    assert (record.number, record.trial_id, record.status, record.attempt) == (0, "0000", "RUNNING", -1)
    ledger.started(0)
    ledger.reported(0, 0, {"val_loss": 2.0})
    ledger.failed(0, "invalid", "it broke", requeue=True)
    assert (record.status, record.failures, record.message) == ("INVALID", 1, "it broke")
    assert ledger.next_requeued(Space()) is record
    ledger.started(0, "tuner1")
    assert (record.status, record.attempt, record.worker, ledger.next_requeued(Space())) == (
        "RUNNING",
        1,
        "tuner1",
        None,
    )
    ledger.interrupted(0, "Ctrl-C")
    assert (record.status, record.failures) == ("INTERRUPTED", 1)
    ledger.started(0)
    executions = [Execution({"val_loss": 1.0}, 4), Execution({"val_loss": 3.0}, 2)]
    ledger.finished(0, executions, {"val_loss": 2.0}, 3, 2.0, 1.0)
    assert (record.status, record.score, record.variance, record.best_step) == ("COMPLETED", 2.0, 1.0, 3)
    assert record.executions == (({"val_loss": 1.0}, 4), ({"val_loss": 3.0}, 2))
    assert record.message is None
    assert ledger.state.ended == [0]
    assert [r.attempt for r in ledger.measurements(0)] == [0]


def test_what_was_stopped_last_runs_again_first() -> None:
    ledger = opened()
    for number in range(3):
        ledger.asked({"x": 0.1 * number}, RANDOM)
        ledger.started(number)
    ledger.interrupted(1, "a")
    ledger.failed(0, "invalid", "b", requeue=True)
    ledger.interrupted(2, "c")
    order = []
    while (record := ledger.next_requeued(Space())) is not None:
        order.append(ledger.started(record.number).number)
    assert order == [2, 0, 1]


def test_numpy_values_become_plain_ones() -> None:
    ledger = opened()
    record = ledger.asked(
        {"x": np.float64(0.5), "n": np.int32(3), "b": np.bool_(True)}, Origin("r", note={"k": np.float32(2)})
    )
    assert [type(v) for v in record.values.values()] == [float, int, bool]
    assert type(record.origin.note["k"]) is float
    ledger.reported(0, np.int64(2), {"loss": np.float32(1.5), "one": np.ones((1, 1)).item()})
    assert next(ledger.measurements(0)).metrics == {"loss": 1.5, "one": 1.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k: k.started(5), r"trial: expected a number from 0 to 2, got 5"),
        (lambda k: k.started(0), r"trial 0000: expected one to start, got one that is COMPLETED"),
        (lambda k: k.started(1), r"trial 0001: expected one to start, got one that is RUNNING"),
        (lambda k: k.reported(0, 1, {}), r"trial 0000: expected a running trial, got one that is COMPLETED; reports"),
        (lambda k: k.finished(2, [], {}, 0, 1.0), r"trial 0002: expected a running trial, got one that is INTERRUPTED"),
        (
            lambda k: k.finished(1, [], {}, 0, math.nan),
            r"score of trial 1: expected a number, got NaN; record it as failed",
        ),
        (
            lambda k: k.asked({}, RANDOM, trial_id="0001"),
            r"trial_id: expected a new one, got '0001', which trial 1 has",
        ),
        (lambda k: k.asked({}, RANDOM, trial_id="../x"), r"name: expected one that can be a file's name"),
        (lambda k: k.asked({"x": None}, RANDOM), r"values: expected a bool, int, float or str for 'x', got NoneType"),
        (lambda k: k.enqueue({"x": [1]}), r"values: expected a bool, int, float or str for 'x', got list"),
        (
            lambda k: k.reported(1, 0, {"cm": np.eye(2)}),
            r"metrics: expected a number for 'cm', got ndarray (?s:.*)scalars only",
        ),
        (
            lambda k: k.reported(1, 0, {"loss": 10**400}),
            r"metrics: expected a number for 'loss', got int \(1000(?s:.*)scalars only",
        ),
        (lambda k: k.carry_over(k), r"ledger: expected an empty study, got one with \d+ events; open it instead"),
        (lambda k: k.save_state("k", {"x": object()}), r"event: expected plain JSON data, got object"),
    ],
)
def test_what_cannot_be_is_refused_and_not_recorded(call: Any, message: str) -> None:
    ledger = opened()
    complete(ledger, {"x": 0.1}, 1.0)
    for number in (1, 2):
        ledger.asked({"x": 0.2}, RANDOM)
        ledger.started(number)
    ledger.interrupted(2, "c")
    before = portrait(ledger.state)
    with pytest.raises((ValueError, TypeError), match=message):
        call(ledger)
    assert portrait(ledger.state) == before == portrait(fold(ledger._store.read()))


def test_the_queue_is_taken_in_order_and_not_lost_before_the_trial_exists() -> None:
    ledger = opened()
    for x in (0.1, 0.2):
        ledger.enqueue({"x": x})
    assert ledger.next_enqueued() == ledger.next_enqueued() == {"x": 0.1}
    ledger.asked({"x": 0.1}, Origin("queue"))
    assert ledger.next_enqueued() == {"x": 0.2}
    ledger.asked({"x": 0.9}, RANDOM)
    assert ledger.next_enqueued() == {"x": 0.2}
    ledger.asked({"x": 0.2}, Origin("queue"))
    assert ledger.next_enqueued() is None


def test_refused_values_leave_the_queue_without_a_trial() -> None:
    ledger = opened()
    for x in (0.1, 0.2):
        ledger.enqueue({"x": x})
    ledger.refuse_enqueued("x: expected less")
    assert (ledger.next_enqueued(), len(ledger.state.trials)) == ({"x": 0.2}, 0)
    events = [event for _, event in ledger._store.read()]
    (lost,) = [event for event in events if isinstance(event, e.TrialEnqueued) and event.values == {"x": 0.1}]
    events.remove(lost)
    assert list(fold(enumerate(events, 1)).enqueued) == [{"x": 0.2}], "of a record with a hole nothing else is refused"
    assert portrait(ledger.state) == portrait(fold(ledger._store.read()))


def test_values_that_were_discovered_while_it_ran() -> None:
    ledger = opened()
    for number, end in enumerate((ledger.finished, ledger.failed)):
        record = ledger.asked({"x": 0.5}, RANDOM)
        ledger.started(number)
        arguments: dict[str, Any] = {
            "finished": {"executions": [], "metrics": {}, "step": 0, "score": 1.0},
            "failed": {"kind": "failed", "message": "m", "requeue": False},
        }[end.__name__]
        end(number, **arguments, values={"x": 0.5, "y": 3})
        assert record.values == {"x": 0.5, "y": 3}
    assert portrait(ledger.state) == portrait(fold(ledger._store.read()))


def test_odd_text_is_kept_readable(path: Path) -> None:
    ledger = opened(DatabaseStore(path))
    record = ledger.asked({}, RANDOM)
    ledger.failed(record.number, "failed", "a\0b\udc80ü", requeue=False)
    assert record.message == "a\\0b\\udc80ü"
    ledger.close()


# --- interruptions


class Interrupting(MemoryStore):
    """A memory store whose caller is interrupted right behind a recording: Ctrl-C cannot be timed otherwise."""

    armed = False

    def append(self, event: e.Event) -> int:
        position = super().append(event)
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt
        return position


def test_ctrl_c_between_recording_and_folding_is_made_up_for() -> None:
    store = Interrupting()
    ledger = opened(store)
    record = ledger.asked({"x": 0.5}, RANDOM)
    store.armed = True
    with pytest.raises(KeyboardInterrupt):
        ledger.started(0)
    assert ledger.state.trials[0] is record
    assert record.attempt == 0
    store.armed = True
    with pytest.raises(KeyboardInterrupt):
        ledger.finished(0, [], {}, 0, 1.0)
    with pytest.raises(ValueError, match="got one that is COMPLETED"):
        ledger.interrupted(0, "Ctrl-C")
    assert portrait(ledger.state) == portrait(fold(store.read()))


def test_what_the_store_refuses_is_not_in_the_state() -> None:
    ledger = opened()
    before = portrait(ledger.state)
    ledger._store.close()
    with pytest.raises(StoreError, match="closed"):
        ledger.asked({"x": 0.5}, RANDOM)
    assert portrait(ledger.state) == before


def test_carrying_memory_over_into_a_database(path: Path) -> None:
    earlier = opened()
    complete(earlier, {"x": 0.5}, 1.0)
    earlier.enqueue({"x": 0.25})
    ledger = Ledger(DatabaseStore(path))
    ledger.carry_over(earlier)
    assert portrait(ledger.state) == portrait(earlier.state) == portrait(ledger._store.state())
    ledger.close()
