"""The ledger: what it records is what its state says, in memory and in a database, also after a reopening."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.contracts.store import ANY_FLOAT, portrait

from krigetuner.errors import KrigeTunerWarning, StoreError, StudyMismatch
from krigetuner.run.ledger import Ledger
from krigetuner.run.messages import Execution
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.store.memory import MemoryStore
from krigetuner.store.replay import fold
from krigetuner.trial.history import Observation, Origin
from krigetuner.trial.objective import Objective

LOSS = Objective("val_loss", "min")
RANDOM = Origin("random")


def config(name: str, low: float = 0.0, high: float = 1.0) -> dict[str, Any]:
    conditions: list[Any] = []
    return {
        "class_name": "Float",
        "config": {"name": name, "min_value": low, "max_value": high, "conditions": conditions},
    }


def space(high: float = 1.0, *more: str) -> Space:
    hp = HyperParameters()
    hp.Float("x", 0.0, high)
    for name in more:
        hp.Float(name, 0.0, 1.0, default=0.25)
    return Space(hp.space)


def opened(store: Any = None, **options: Any) -> Ledger:
    ledger = Ledger(MemoryStore() if store is None else store)
    ledger.open("s", LOSS, "random", {"alpha": 1e-4, "max_trials": 9}, seed=7, parameters=[config("x")], **options)
    return ledger


def complete(ledger: Ledger, values: Mapping[str, Any], score: float) -> int:
    record = ledger.asked(values, RANDOM)
    ledger.started(record.number)
    ledger.finished(record.number, [Execution({"val_loss": score}, 1)], {"val_loss": score}, 1, score)
    return record.number


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield tmp_path / "study.sqlite"


# --- trials


def test_a_trials_life() -> None:
    ledger = opened()
    record = ledger.asked({"x": 0.5}, RANDOM, worker="tuner0")
    assert (record.number, record.trial_id, record.status, record.attempt) == (0, "0000", "RUNNING", -1)
    ledger.started(0)
    ledger.reported(0, 0, {"val_loss": 2.0})
    ledger.failed(0, "invalid", "it broke", requeue=True)
    assert (record.status, record.failures, record.message) == ("INVALID", 1, "it broke")
    assert ledger.next_requeued() is record
    ledger.started(0, "tuner1")
    assert (record.status, record.attempt, record.worker, ledger.next_requeued()) == ("RUNNING", 1, "tuner1", None)
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
    while (record := ledger.next_requeued()) is not None:
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


def test_values_that_were_discovered_while_it_ran() -> None:
    ledger = opened()
    for number, end in enumerate((ledger.finished, ledger.failed, ledger.interrupted)):
        record = ledger.asked({"x": 0.5}, RANDOM)
        ledger.started(number)
        arguments: dict[str, Any] = {
            "finished": {"executions": [], "metrics": {}, "step": 0, "score": 1.0},
            "failed": {"kind": "failed", "message": "m", "requeue": False},
            "interrupted": {"reason": "r"},
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


# --- opening


def test_a_new_study_draws_a_seed_and_keeps_it(path: Path) -> None:
    ledger = Ledger(DatabaseStore(path))
    assert ledger.open("s", LOSS, "random") == ()
    seed = ledger.state.seed
    assert seed is not None
    ledger.close()
    ledger = Ledger(DatabaseStore(path))
    assert ledger.open("s", LOSS, "random") == ()
    assert ledger.state.seed == seed
    ledger.close()


def test_the_same_code_again_records_nothing(path: Path) -> None:
    ledger = opened(DatabaseStore(path))
    complete(ledger, {"x": 0.5}, 1.0)
    ledger.close("max_trials")
    again = opened(DatabaseStore(path))
    assert portrait(again.state) == portrait(ledger.state)
    assert (again.state.closed, again.state.seed) == ("max_trials", 7)
    again.close()


def test_what_changed_is_told_once_and_the_code_rules(path: Path) -> None:
    ledger = opened(DatabaseStore(path))
    complete(ledger, {"x": 0.5}, 1.0)
    ledger.grow_space([config("found")])
    ledger.close()

    def again() -> tuple[str, ...]:
        nonlocal ledger
        ledger = Ledger(DatabaseStore(path))
        options = {"alpha": 0.5, "max_trials": 20}
        parameters = [config("x", high=2.0), config("y")]
        return ledger.open("s", LOSS, "grid", options, seed=8, parameters=parameters, version="2")

    with pytest.warns(KrigeTunerWarning) as caught:
        differences = again()
    assert differences == (
        "parameter 'x': max_value: 1.0 -> 2.0",
        "parameter 'y': new",
        "alpha: 0.0001 -> 0.5",
        "algorithm: 'random' -> 'grid'",
        "seed: 7 -> 8",
        "max_trials: 9 -> 20",
        "version: '' -> '2'",
    )
    text = str(caught[0].message)
    assert len(caught) == 1
    assert "changed since it was recorded: parameter 'x': max_value: 1.0 -> 2.0; parameter 'y': new; alpha" in text
    assert "max_trials" not in text
    names = [c["config"]["name"] for c in ledger.state.parameters.values()]
    assert (names, ledger.state.options["alpha"], ledger.state.seed) == (["found", "x", "y"], 0.5, 8)
    ledger.close()
    assert again() == ()  # and no warning
    ledger.close()


def test_a_changed_stop_rule_is_recorded_without_a_warning(path: Path) -> None:
    opened(DatabaseStore(path)).close()
    ledger = Ledger(DatabaseStore(path))
    options = {"alpha": 1e-4, "max_trials": 20}
    assert ledger.open("s", LOSS, "random", options, parameters=[config("x")]) == ("max_trials: 9 -> 20",)
    assert ledger.state.options["max_trials"] == 20
    ledger.close()


@pytest.mark.parametrize(
    ("objective", "parameter", "message"),
    [
        (
            Objective("val_loss", "max"),
            "x",
            r"for objective 'val_loss' \(max\), got one for objective 'val_loss' \(min\)",
        ),
        (Objective("acc", "max"), "x", r"for objective 'acc' \(max\), got one for objective 'val_loss' \(min\)"),
        (LOSS, "z", r"a parameter in common with 'z', got one over 'x'"),
    ],
)
def test_an_unrelated_search_is_refused_with_the_ways_on(
    path: Path, objective: Any, parameter: str, message: str
) -> None:
    ledger = opened(DatabaseStore(path))
    complete(ledger, {"x": 0.5}, 1.0)
    before = portrait(ledger.state)
    ledger.close()
    ledger = Ledger(DatabaseStore(path))
    with pytest.raises(StudyMismatch, match=message) as caught:
        ledger.open("s", objective, "random", parameters=[config(parameter)])
    assert "another project_name" in str(caught.value)
    assert "overwrite=True" in str(caught.value)
    assert portrait(ledger.state) == before
    ledger.close()


def test_without_results_the_code_may_change_everything(path: Path) -> None:
    ledger = opened(DatabaseStore(path))
    ledger.asked({"x": 0.5}, RANDOM)
    ledger.close()
    ledger = Ledger(DatabaseStore(path))
    with pytest.warns(KrigeTunerWarning, match=r"objective: 'val_loss' \(min\) -> 'acc' \(max\)"):
        ledger.open("s", Objective("acc", "max"), "random", {"alpha": 1e-4}, parameters=[config("z")])
    assert ledger.state.objective == {"name": "acc", "direction": "max"}
    ledger.close()


def test_several_objectives_are_compared_by_their_parts() -> None:
    from krigetuner.trial.objective import create_objective

    both = create_objective([Objective("a", "min"), Objective("b", "max")])
    ledger = Ledger(MemoryStore())
    ledger.open("s", both, "random")
    complete(ledger, {}, 1.0)
    ledger.open("s", both, "random")
    with pytest.raises(
        StudyMismatch, match=r"'a' \(min\) and 'c' \(max\), got one for objective 'a' \(min\) and 'b' \(max\)"
    ):
        ledger.open("s", create_objective([Objective("a", "min"), Objective("c", "max")]), "random")


def test_trials_that_ran_when_the_process_died_run_again_first(path: Path) -> None:
    ledger = opened(DatabaseStore(path))
    for x in range(4):
        ledger.asked({"x": x / 4}, RANDOM)
    for number in (0, 1, 2):
        ledger.started(number)
    ledger.failed(1, "invalid", "m", requeue=True)
    del ledger  # without closing, as a crash leaves it
    ledger = opened(DatabaseStore(path))
    order = []
    while (record := ledger.next_requeued()) is not None:
        order.append(ledger.started(record.number).values["x"])
    assert order == [0.0, 0.5, 0.75, 0.25]
    ledger.close()


# --- what algorithms see


def test_history_holds_what_lies_in_the_space_completed_with_defaults() -> None:
    ledger = opened()
    complete(ledger, {"x": 0.5}, 1.0)
    complete(ledger, {"x": 1.5}, 0.5)
    ledger.asked({"x": 0.75, "y": 0.5}, RANDOM)
    narrow, wide = space(), space(2.0, "y")
    assert [(o.number, dict(o.values), o.phase, o.loss) for o in ledger.history(narrow)] == [
        (0, {"x": 0.5}, "completed", 1.0),
        (2, {"x": 0.75}, "running", None),
    ]
    assert [(o.number, dict(o.values)) for o in ledger.history(wide)] == [
        (0, {"x": 0.5, "y": 0.25}),
        (1, {"x": 1.5, "y": 0.25}),
        (2, {"x": 0.75, "y": 0.5}),
    ]
    assert ledger.history(narrow).next_number == 3


def test_history_is_renewed_only_where_something_happened() -> None:
    ledger, here = opened(), space()
    for x in range(5):
        complete(ledger, {"x": x / 5}, float(x))
    first = ledger.history(here)
    assert ledger.history(here) is first
    number = ledger.asked({"x": 0.9}, RANDOM).number
    second = ledger.history(here)
    assert all(a is b for a, b in zip(first, second, strict=False))
    ledger.failed(number, "failed", "m", requeue=False)
    third = ledger.history(here)
    assert [o.phase for o in third] == ["completed"] * 5 + ["failed"]
    assert all(a is b for a, b in zip(first, third, strict=False))


def test_a_redefined_space_leaves_earlier_trials_outside(path: Path) -> None:
    class Counting(Space):
        looks = 0

        def contains(self, values: Mapping[str, Any]) -> bool:
            self.looks += 1
            return super().contains(values)

    ledger = opened(DatabaseStore(path))
    for x in (0.25, 0.75, 3.0):  # the last was never legal, and is not to be blamed on a change
        complete(ledger, {"x": x}, x)
    wide, narrow = Counting(space().parameters), Counting(space(0.5).parameters)
    assert ledger.placement(wide).outside == set()
    ledger.grow_space([config("x", high=0.5)], replaces=["x"])
    ledger.asked({"x": 4.0}, RANDOM)
    given = ledger.asked({"x": 0.125}, Origin("given"), counted=False)
    placement = ledger.placement(narrow)
    assert (placement.outside, placement.outside_counted, narrow.looks) == ({1, 2}, 2, 5)
    ledger.finished(given.number, [Execution({"val_loss": 1.0})], {"val_loss": 1.0}, 1, 1.0, None, {"x": 0.0625})
    assert (ledger.placement(narrow).outside, narrow.looks) == ({1, 2}, 6)
    ledger.close()
    again = Ledger(DatabaseStore(path))
    assert again.placement(narrow).outside == {1, 2}
    assert again.placement(wide).outside == {2}
    again.close()


def test_an_infinitely_bad_score_is_the_worst_loss_and_a_waiting_trial_counts_as_running() -> None:
    ledger, here = opened(), space()
    complete(ledger, {"x": 0.1}, math.inf)
    ledger.asked({"x": 0.2}, RANDOM)
    ledger.interrupted(1, "m")
    assert [(o.phase, o.loss) for o in ledger.history(here)] == [("completed", math.inf), ("running", None)]


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


# --- any order of events


class Life(RuleBasedStateMachine):
    """Random calls; at every moment state, fold and tables are equal."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "study.sqlite"
        self.ledger = opened(DatabaseStore(self.path))

    @property
    def running(self) -> list[int]:
        return sorted(n for n in self.ledger.state.running if self.ledger.state.trials[n].attempt >= 0)

    @property
    def startable(self) -> list[int]:
        return sorted(set(self.ledger.state.waiting) | (self.ledger.state.running - set(self.running)))

    @rule(x=st.floats(0, 2), queued=st.booleans())
    def ask(self, x: float, queued: bool) -> None:
        self.ledger.asked({"x": x}, Origin("queue") if queued else RANDOM)

    @precondition(lambda self: self.startable)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self.ledger.started(data.draw(st.sampled_from(self.startable)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), loss=ANY_FLOAT, step=st.integers(0, 3))
    def report(self, data: st.DataObject, loss: float, step: int) -> None:
        self.ledger.reported(data.draw(st.sampled_from(self.running)), step, {"val_loss": loss})

    @precondition(lambda self: self.running)
    @rule(data=st.data(), score=st.floats(allow_nan=False))
    def finish(self, data: st.DataObject, score: float) -> None:
        number = data.draw(st.sampled_from(self.running))
        self.ledger.finished(number, [Execution({"val_loss": score})], {"val_loss": score}, 0, score)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.integers(0, 2))
    def stop(self, data: st.DataObject, how: int) -> None:
        number = data.draw(st.sampled_from(self.running))
        if how == 2:
            self.ledger.interrupted(number, "m")
        else:
            self.ledger.failed(number, "invalid", "m", requeue=bool(how))

    @rule(x=st.floats(0, 1))
    def enqueue(self, x: float) -> None:
        self.ledger.enqueue({"x": x})

    @rule(name=st.sampled_from("xyz"))
    def grow(self, name: str) -> None:
        self.ledger.grow_space([config(name)])

    @rule(closing=st.booleans())
    def reopen(self, closing: bool) -> None:
        was_running = len(self.ledger.state.running)
        position = self.ledger.state.position
        if closing:
            self.ledger.close()
        else:
            self.ledger = Ledger(MemoryStore())
        self.ledger = opened(DatabaseStore(self.path))
        assert self.ledger.state.position == position + was_running
        assert not self.ledger.state.running

    @invariant()
    def state_fold_and_tables_are_equal(self) -> None:
        store = self.ledger._store
        assert portrait(self.ledger.state) == portrait(store.state()) == portrait(fold(store.read()))

    @invariant()
    def history_is_what_it_would_be_from_scratch(self) -> None:
        def plain(observations: Any) -> list[tuple[Any, ...]]:
            return [(o.number, dict(o.values), o.phase, o.loss) for o in observations]

        kept: Any = self.ledger.history(SPACE)
        assert plain(kept) == plain(Ledger(self.ledger._store).history(SPACE))
        assert all(isinstance(o, Observation) for o in kept)

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


SPACE = space()
TestLife = Life.TestCase
TestLife.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
