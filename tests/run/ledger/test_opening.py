"""Opening a study again: what the code may change, and which trials algorithms see then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.store import portrait
from tests.run.ledger.study import LOSS, RANDOM, complete, config, opened, space

from krigetuner.errors import KrigeTunerWarning, StudyMismatch
from krigetuner.run.ledger import Ledger
from krigetuner.run.messages import Execution
from krigetuner.space.space import Space
from krigetuner.store.database import DatabaseStore
from krigetuner.store.memory import MemoryStore
from krigetuner.trial.history import Origin
from krigetuner.trial.objective import Objective

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
    while (record := ledger.next_requeued(Space())) is not None:
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
