"""The Oracle face: trials, their ends, retries, failures, limits, observations and the queue; all in memory."""

from __future__ import annotations

import gc
import math
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
from tests.tuners.oracle_driver import drive, fail, finish, mixed, points_18

from krigetuner.errors import FatalValueError, KrigeTunerWarning
from krigetuner.oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
from krigetuner.run.messages import Execution
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.synchronized import synchronized
from krigetuner.tuners.trial import Trial

ORACLES = [RandomSearchOracle, GridSearchOracle, BayesianOptimizationOracle]
MIN = Objective("loss", "min")


def random_oracle(**options: Any) -> RandomSearchOracle:
    return RandomSearchOracle(**{"objective": MIN, "hyperparameters": points_18(), "seed": 1, **options})


@pytest.mark.parametrize("make", ORACLES)
def test_a_search_runs_in_memory_to_max_trials(make: Any) -> None:
    oracle = make(objective=MIN, max_trials=5, hyperparameters=mixed(), seed=0)
    assert len(drive(oracle)) == 5
    assert list(oracle.trials) == oracle.start_order == oracle.end_order == ["0", "1", "2", "3", "4"]
    assert oracle.remaining_trials() == 0
    assert oracle.ongoing_trials == {}
    assert oracle.stop_reason == "max_trials: all 5 trials have been run"
    oracle.max_trials += 2
    assert len(drive(oracle)) == 2


@pytest.mark.parametrize("make", ORACLES)
def test_an_exhausted_space_ends_the_search_and_says_so(make: Any) -> None:
    oracle = make(objective=MIN, max_trials=None, hyperparameters=points_18(), seed=0)
    assert len({tuple(v.items()) for v in drive(oracle)}) == 18
    assert "18 configurations" in str(oracle.stop_reason)


@pytest.mark.parametrize("make", [RandomSearchOracle, BayesianOptimizationOracle])
def test_seeds(make: Any) -> None:
    def values(**options: Any) -> list[dict[str, Any]]:
        return drive(make(objective=MIN, max_trials=4, hyperparameters=mixed(), **options))

    assert values(seed=0) == values(seed=0)
    assert values(seed=0) != values(seed=1)
    assert make(objective=MIN, seed=0).seed == 0
    assert len({make(objective=MIN).seed for _ in range(20)}) > 10


def test_trial_ids_are_padded_to_the_width_of_max_trials() -> None:
    assert random_oracle(max_trials=10).create_trial("t").trial_id == "00"
    assert random_oracle(max_trials=9).create_trial("t").trial_id == "0"
    assert random_oracle(max_trials=None).create_trial("t").trial_id == "0000"


def test_a_tuner_gets_its_running_trial_again() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("w0")
    assert oracle.create_trial("w0") is trial
    other = oracle.create_trial("w1")
    assert other is not trial
    assert oracle.ongoing_trials == {"w0": trial, "w1": other}
    finish(oracle, trial, 1.0)
    assert oracle.ongoing_trials == {"w1": other}
    assert oracle.tuner_ids == {"w0", "w1"}


def test_a_stopped_tuner_is_forgotten() -> None:
    oracle = random_oracle(max_trials=1)
    finish(oracle, oracle.create_trial("w0"), 1.0)
    trial = oracle.create_trial("w0")
    assert (trial.status, trial.message) == ("STOPPED", "max_trials: all 1 trials have been run")
    assert oracle.tuner_ids == set()
    assert list(oracle.trials) == ["0"]


def test_with_an_empty_space_the_others_wait_for_the_first_trial() -> None:
    oracle = RandomSearchOracle(MIN, max_trials=3, seed=0)
    first = oracle.create_trial("w0")
    assert first.hyperparameters.values == {}
    assert oracle.create_trial("w1").status == "IDLE"
    first.hyperparameters.Int("late", 1, 5, default=3)
    finish(oracle, first, 1.0)
    assert oracle.trials["0"].hyperparameters.values == {"late": 3}
    assert oracle.create_trial("w1").hyperparameters.values["late"] != 3


def test_an_empty_space_that_stays_empty_is_tried_once() -> None:
    oracle = RandomSearchOracle(MIN, max_trials=3, seed=0)
    assert drive(oracle) == [{}]


def test_discovered_hyperparameters_take_their_default_and_enter_the_space() -> None:
    oracle = random_oracle(max_trials=4)
    trial = oracle.create_trial("t")
    assert trial.hyperparameters.Float("late", 0.0, 1.0, default=0.25) == 0.25
    finish(oracle, trial, 1.0)
    assert [p.name for p in oracle.get_space().space] == ["a", "b", "c", "late"]
    seen = drive(oracle)
    assert all("late" in v for v in seen)
    assert len({v["late"] for v in seen}) == 3


def test_given_hyperparameters_overrule_the_codes_without_a_warning() -> None:
    hp = HyperParameters()
    hp.Fixed("units", 4)
    oracle = RandomSearchOracle(MIN, max_trials=1, hyperparameters=hp)
    for given in (oracle.get_space(), oracle.create_trial("t").hyperparameters):
        assert given.Int("units", 8, 64) == 4


def test_new_entries_that_are_not_tuned_keep_their_default() -> None:
    oracle = random_oracle(max_trials=3, tune_new_entries=False)
    for _ in range(3):
        trial = oracle.create_trial("t")
        assert trial.hyperparameters.Int("late", 1, 9, default=4) == 4
        finish(oracle, trial, 1.0)
    assert [p.name for p in oracle.get_space().space] == ["a", "b", "c"]
    assert set(oracle.results()["late"]) == {4}


def test_new_entries_that_are_not_allowed_are_an_error_and_the_result_is_kept() -> None:
    oracle = random_oracle(allow_new_entries=False)
    trial = oracle.create_trial("t")
    trial.hyperparameters.Int("late", 1, 9)
    with pytest.raises(RuntimeError, match=r"`allow_new_entries` is `False`, but found new entries .*late"):
        finish(oracle, trial, 1.0)
    assert oracle.trials[trial.trial_id].score == 1.0
    assert oracle.ongoing_trials == {}


# --- results


def test_the_best_reported_step_is_the_score() -> None:
    oracle = RandomSearchOracle("val_accuracy", hyperparameters=points_18())
    trial = oracle.create_trial("t")
    for step, value in enumerate([0.1, 0.7, 0.6]):
        oracle.update_trial(trial.trial_id, {"val_accuracy": value, "loss": 1.0 - value / 2}, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert (trial.score, trial.best_step) == (0.7, 1)
    assert [o.value for o in trial.metrics.get_history("val_accuracy")] == [[0.1], [0.7], [0.6]]
    row = oracle.results().iloc[0]
    assert (row["score"], row["val_accuracy"], row["loss"], row["best_step"]) == (0.7, 0.7, 0.65, 1)


def test_executions_are_averaged_and_their_spread_is_kept() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    trial.executions = [Execution({"loss": x, "other": 2 * x}, step) for x, step in ((1.0, 3), (2.0, 4), (6.0, 6))]
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert (trial.score, trial.best_step) == (3.0, 4)
    assert trial.metrics.get_best_value("other") == 6.0
    assert trial.variance == pytest.approx(7.0 / 3)
    record = oracle._ledger.state.trials[0]
    assert [m["loss"] for m, _ in record.executions] == [1.0, 2.0, 6.0]


def test_executions_without_the_objective_are_an_error_that_lists_what_is_there() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    trial.executions, trial.status = [Execution({"acc": 1.0})], "COMPLETED"
    with pytest.raises(FatalValueError, match=r"expected 'loss' among the metrics, got \['acc'\]"):
        oracle.end_trial(trial)


def test_several_objectives_are_added_up() -> None:
    oracle = RandomSearchOracle([MIN, Objective("acc", "max")], hyperparameters=points_18())
    trial = oracle.create_trial("t")
    finish(oracle, trial, {"loss": 1.0, "acc": 0.75})
    assert trial.score == 0.25
    with pytest.raises(ValueError, match=r"expected: \['acc'\], found: \['loss'\]"):
        oracle.update_trial(oracle.create_trial("t").trial_id, {"loss": 1.0})
    trial = oracle.create_trial("t")
    trial.executions = [Execution({"loss": 1.0, "acc": 0.5}), Execution({"loss": 2.0, "acc": 0.5})]
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert trial.score == 1.0
    assert oracle.get_best_trials(5)[0].score == 0.25


def test_a_missing_objective_is_an_error_that_lists_what_is_there() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    text = r"Objective value missing in metrics reported to the Oracle, expected: \['loss'\], found: \['acc', 'auc'\]"
    with pytest.raises(ValueError, match=text):
        oracle.update_trial(trial.trial_id, {"auc": 1.0, "acc": 2.0})
    trial.status = "COMPLETED"
    with pytest.raises(ValueError, match=r"expected: \['loss'\], found: \[\]"):
        oracle.end_trial(trial)


@pytest.mark.parametrize(("direction", "bad"), [("min", math.inf), ("max", -math.inf)])
def test_an_infinitely_bad_objective_completes_the_trial_and_is_never_best(direction: str, bad: float) -> None:
    oracle = RandomSearchOracle(Objective("loss", direction), hyperparameters=points_18(), seed=0)
    trial = finish(oracle, oracle.create_trial("t"), bad)
    assert (trial.status, trial.score) == ("COMPLETED", bad)
    assert oracle.get_best_trials(3) == []
    good = finish(oracle, oracle.create_trial("t"), 5.0)
    assert oracle.get_best_trials(3) == [good]


@pytest.mark.parametrize(
    ("direction", "bad"), [("min", -math.inf), ("max", math.inf), ("min", math.nan), ("max", math.nan)]
)
def test_an_infinitely_good_objective_or_nan_never_counts_as_good(direction: str, bad: float) -> None:
    oracle = RandomSearchOracle(Objective("loss", direction), hyperparameters=points_18(), seed=0)
    trial = finish(oracle, oracle.create_trial("t"), bad)
    assert trial.status == "FAILED"
    assert "loss: expected a finite number" in str(trial.message)
    assert oracle.get_best_trials(3) == []
    assert oracle.create_trial("t").status == "RUNNING"


def test_best_trials_are_completed_trials_only() -> None:
    oracle = random_oracle()
    fail(oracle, oracle.create_trial("t"))
    scores = [finish(oracle, oracle.create_trial("t"), x).score for x in (3.0, 1.0, 2.0)]
    oracle.create_trial("t")
    assert [t.score for t in oracle.get_best_trials(10)] == sorted(s for s in scores if s is not None)
    assert [t.score for t in oracle.get_best_trials()] == [1.0]


def test_score_trial_can_be_overridden() -> None:
    class Last(RandomSearchOracle):
        def score_trial(self, trial: Trial) -> None:
            trial.score, trial.best_step = trial.metrics.get_last_value("loss"), 7

    oracle = Last(MIN, hyperparameters=points_18())
    trial = oracle.create_trial("t")
    oracle.update_trial(trial.trial_id, {"loss": 1.0}, step=0)
    oracle.update_trial(trial.trial_id, {"loss": 4.0}, step=1)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert (trial.score, trial.best_step) == (4.0, 7)


# --- failures


def test_an_invalid_trial_is_run_again_as_often_as_asked() -> None:
    oracle = random_oracle(max_retries_per_trial=2, max_trials=3)
    first = oracle.create_trial("t")
    values = dict(first.hyperparameters.values)
    for attempt in range(2):
        fail(oracle, first)
        assert first.status == "INVALID"
        assert oracle.end_order == []
        again = oracle.create_trial("t")
        assert (again.trial_id, again.attempt, again.status) == (first.trial_id, attempt + 1, "RUNNING")
        assert again.hyperparameters.values == values
        assert again.message is None
    fail(oracle, again)
    assert (again.status, oracle.end_order) == ("FAILED", [first.trial_id])
    assert oracle.create_trial("t").trial_id == "1"


def test_the_result_of_a_retry_after_nan_counts() -> None:
    oracle = random_oracle(max_retries_per_trial=1)
    trial = finish(oracle, oracle.create_trial("t"), math.nan)
    assert trial.status == "INVALID"
    trial = finish(oracle, oracle.create_trial("t"), 2.0)
    assert (trial.status, trial.score, trial.trial_id) == ("COMPLETED", 2.0, "00")


def test_failed_is_not_retried_and_counts_against_max_trials() -> None:
    oracle = random_oracle(max_retries_per_trial=5, max_trials=2)
    fail(oracle, oracle.create_trial("t"), "FAILED")
    assert oracle.trials["0"].message == "it broke"
    assert oracle.remaining_trials() == 1
    assert len(drive(oracle)) == 1


def test_too_many_failures_in_a_row_end_the_search_after_everything_is_recorded() -> None:
    oracle = random_oracle(max_consecutive_failed_trials=2, max_trials=10)
    fail(oracle, oracle.create_trial("t"))
    finish(oracle, oracle.create_trial("t"), 1.0)
    fail(oracle, oracle.create_trial("t"))
    trial = oracle.create_trial("t")
    with pytest.raises(RuntimeError, match=r"(?s)Number of consecutive failures exceeded the limit of 2.*why it broke"):
        fail(oracle, trial, message="why it broke")
    assert oracle.end_order == ["00", "01", "02", "03"]
    assert oracle._ledger.state.trials[3].status == trial.status == "FAILED"
    assert oracle.ongoing_trials == {}
    free: list[str] = []
    other = threading.Thread(target=lambda: free.append(oracle.create_trial("other").status))
    other.start()
    other.join(10)
    assert free == ["RUNNING"], "the lock was not given back"


def test_no_limit_of_failures() -> None:
    oracle = random_oracle(max_consecutive_failed_trials=None, max_trials=6)
    for _ in range(6):
        fail(oracle, oracle.create_trial("t"))
    assert oracle.create_trial("t").status == "STOPPED"


def test_an_interrupted_trial_is_run_first() -> None:
    oracle = random_oracle(max_trials=2)
    first, second = oracle.create_trial("w0"), oracle.create_trial("w1")
    values = dict(first.hyperparameters.values)
    oracle.interrupt_trial(first.trial_id, "Ctrl-C")
    assert (first.status, first.message) == ("INTERRUPTED", "Ctrl-C")
    again = oracle.create_trial("w0")
    assert again is first
    assert (again.status, dict(again.hyperparameters.values)) == ("RUNNING", values)
    finish(oracle, second, 1.0)
    finish(oracle, first, 1.0)
    assert oracle.create_trial("w0").status == "STOPPED"


@pytest.mark.parametrize("status", ["RUNNING", "STOPPED", "done", None])
def test_other_states_do_not_end_a_trial(status: Any) -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    trial.status = status
    with pytest.raises(ValueError, match=r"trial.status: expected 'COMPLETED', 'INVALID' or 'FAILED'"):
        oracle.end_trial(trial)


def test_a_running_trial_with_its_objective_has_completed() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    oracle.update_trial(trial.trial_id, {"loss": 2.0})
    oracle.end_trial(trial)
    assert (oracle.get_trial(trial.trial_id).status, oracle.get_best_trials()[0].score) == ("COMPLETED", 2.0)


def test_a_trial_that_is_over_takes_no_more() -> None:
    oracle = random_oracle()
    trial = finish(oracle, oracle.create_trial("t"), 1.0)
    with pytest.raises(ValueError, match="expected a running trial"):
        oracle.update_trial(trial.trial_id, {"loss": 0.0})
    with pytest.raises(ValueError, match="expected a running trial"):
        oracle.end_trial(trial)
    assert oracle.end_order == [trial.trial_id]
    with pytest.raises(KeyError, match="expected one of the 1 trials"):
        oracle.get_trial("nobody")


def test_a_copy_of_a_trial_can_be_handed_back() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    oracle.update_trial(trial.trial_id, {"loss": 2.0})
    copy = Trial.from_state(trial.get_state())
    copy.status = "COMPLETED"
    copy.hyperparameters.Int("late", 1, 2)
    oracle.end_trial(copy)
    assert oracle.trials[trial.trial_id].score == 2.0
    assert "late" in oracle.trials[trial.trial_id].hyperparameters


def test_the_old_form_of_end_trial() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    oracle.update_trial(trial.trial_id, {"loss": 2.0})
    with pytest.warns(DeprecationWarning, match="expected end_trial"):
        oracle.end_trial(trial.trial_id, "COMPLETED")  # type: ignore[arg-type, call-arg]
    assert trial.score == 2.0
    with pytest.warns(DeprecationWarning, match="expected end_trial"):
        oracle.end_trial(trial_id=oracle.create_trial("t").trial_id, status="INVALID")  # type: ignore[call-arg]
    assert oracle.trials["01"].status == "FAILED"


# --- limits, the queue, observations


def test_target_ends_the_search() -> None:
    oracle = RandomSearchOracle("val_accuracy", max_trials=10, hyperparameters=points_18(), target=0.9)
    finish(oracle, oracle.create_trial("t"), 0.89)
    finish(oracle, oracle.create_trial("t"), 0.9)
    assert oracle.create_trial("t").status == "STOPPED"
    assert oracle.stop_reason == "target: trial 01 reached 0.9, 0.9 was asked for"


def test_max_time_ends_the_search_and_a_new_search_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("krigetuner.tuners.oracle.time.monotonic", lambda: now[0])
    oracle = random_oracle(max_trials=10, max_time=60)
    finish(oracle, oracle.create_trial("t"), 1.0)
    now[0] = 159.0
    finish(oracle, oracle.create_trial("t"), 1.0)
    now[0] = 160.0
    assert oracle.create_trial("t").status == "STOPPED"
    assert oracle.stop_reason == "max_time: 60 of 60 seconds are over"
    oracle._begin_search()
    assert oracle.stop_reason is None
    assert oracle.create_trial("t").status == "RUNNING"


@pytest.mark.parametrize("make", ORACLES)
def test_enqueued_values_come_first_and_count(make: Any) -> None:
    oracle = make(objective=MIN, max_trials=3, hyperparameters=mixed(), seed=0)
    oracle.enqueue({"units": 24, "rate": 0.5})
    oracle.enqueue({"kind": "b", "flag": True})
    seen = drive(oracle)
    assert len(seen) == 3
    assert seen[0] == {"rate": 0.5, "units": 24, "kind": "a"}
    assert seen[1] == {"rate": 1e-4, "units": 8, "kind": "b", "flag": True}
    assert oracle._ledger.state.trials[0].origin.algorithm == "queue"
    oracle.max_trials += 1
    oracle.enqueue({"units": 24, "rate": 0.5})
    assert drive(oracle)[0] not in seen, "what was enqueued before is not tried again"


def test_enqueued_names_may_be_discovered_later() -> None:
    oracle = RandomSearchOracle(MIN, max_trials=2, seed=0)
    oracle.enqueue({"batch_size": 64})
    trial = oracle.create_trial("t")
    assert trial.hyperparameters.Choice("batch_size", [16, 32, 64]) == 64
    finish(oracle, trial, 1.0)
    assert oracle.results()["batch_size"].tolist() == [64]


def test_enqueued_names_that_a_known_space_lacks_are_reported_at_once_and_once() -> None:
    oracle = random_oracle()
    text = r"enqueue: expected names among \['a', 'b', 'c'\], got \['lerning_rate'\]"
    with pytest.warns(KrigeTunerWarning, match=text):
        oracle.enqueue({"a": 2, "lerning_rate": 0.1})
    drive(oracle, 1)


def test_enqueued_names_that_nobody_asks_for_are_reported() -> None:
    oracle = RandomSearchOracle(MIN, 3)
    oracle.enqueue({"a": 2, "lerning_rate": 0.1})
    trial = oracle.create_trial("t")
    trial.hyperparameters.Int("a", 1, 3)
    text = r"enqueue: expected names that the code asks for, got \['lerning_rate'\]"
    with pytest.warns(KrigeTunerWarning, match=text):
        finish(oracle, trial, 1.0)


@pytest.mark.parametrize(
    ("values", "text"),
    [({"units": 9}, "units: expected"), ({"kind": "z"}, "kind: expected one of"), ([1], "values: expected a dict")],
)
def test_values_that_cannot_be_are_refused(values: Any, text: str) -> None:
    oracle = RandomSearchOracle(MIN, hyperparameters=mixed())
    with pytest.raises((ValueError, TypeError), match=text):
        oracle.enqueue(values)
    with pytest.raises((ValueError, TypeError), match=text):
        oracle.add_observation(values, 1.0)
    assert oracle.trials == {}


def test_unknown_names_are_refused_when_nothing_may_be_new() -> None:
    oracle = random_oracle(allow_new_entries=False)
    with pytest.raises(ValueError, match=r"values: expected names among \['a', 'b', 'c'\], got \['typo'\]"):
        oracle.enqueue({"typo": 1})


@pytest.mark.parametrize("make", ORACLES)
def test_an_observation_is_a_completed_trial_that_does_not_count(make: Any) -> None:
    oracle = make(objective=MIN, max_trials=2, hyperparameters=points_18(), seed=0)
    trial = oracle.add_observation({"a": 1, "b": "x", "c": False}, {"loss": 0.5, "other": 3})
    assert (trial.status, trial.score, trial.metrics.get_best_value("other")) == ("COMPLETED", 0.5, 3.0)
    assert oracle.remaining_trials() == 2
    assert oracle.add_observation({"a": 1, "b": "x", "c": False}, {"loss": 0.5, "other": 3}) is trial
    assert {"a": 1, "b": "x", "c": False} not in drive(oracle)
    assert len(oracle.trials) == 3
    assert oracle.add_observation({"a": 3}, 0.25) is oracle.get_best_trials(1)[0]


def test_observations_are_initial_points_of_bayesian_optimization() -> None:
    oracle = BayesianOptimizationOracle(MIN, 20, num_initial_points=4, hyperparameters=mixed(), seed=0)
    for i in range(4):
        oracle.add_observation({"units": 8 + 8 * i, "rate": 0.1}, float(i))
    oracle.create_trial("t")
    assert "start" not in oracle._ledger.state.trials[4].origin.note


def test_an_observation_needs_a_score() -> None:
    oracle = random_oracle()
    with pytest.raises(ValueError, match="expected a number for 'loss', got nan"):
        oracle.add_observation({"a": 1}, {"loss": math.nan})
    with pytest.raises(ValueError, match="Objective value missing"):
        oracle.add_observation({"a": 1}, {"acc": 1.0})
    with pytest.raises(TypeError, match="expected a number for 'loss'"):
        oracle.add_observation({"a": 1}, {"loss": "low"})


def test_the_table_of_results() -> None:
    oracle = RandomSearchOracle("val_accuracy", 3, hyperparameters=mixed(), seed=0)
    finish(oracle, oracle.create_trial("t"), {"val_accuracy": 0.5, "units": 1.0})
    fail(oracle, oracle.create_trial("t"))
    oracle.create_trial("t")
    table = oracle.results()
    assert list(table.columns)[:6] == ["trial_id", "status", "score", "best_step", "suggestion_seconds", "seconds"]
    assert {"rate", "units", "kind", "val_accuracy", "metric/units"} <= set(table.columns)
    assert table["status"].tolist() == ["COMPLETED", "FAILED", "RUNNING"]
    assert (table["suggestion_seconds"] > 0).all()
    assert table["seconds"].notna().tolist() == [True, True, False]


def test_the_table_of_no_trials_is_empty_and_has_all_columns() -> None:
    table = random_oracle().results()
    assert len(table) == 0
    assert list(table.columns) == [
        "trial_id", "status", "score", "best_step", "suggestion_seconds", "seconds", "executions", "score_std",
        "in_space", "message", "a", "b", "c",
    ]  # fmt: skip
    for name in ("score", "suggestion_seconds", "seconds", "score_std"):
        assert table[name].dtype == float


def test_the_table_shows_spread_and_reasons() -> None:
    oracle = random_oracle(max_consecutive_failed_trials=None)
    trial = oracle.create_trial("t")
    trial.executions = [Execution({"loss": 1.0}), Execution({"loss": 2.0}), Execution({"loss": 4.5})]
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    finish(oracle, oracle.create_trial("t"), 1.0)
    fail(oracle, oracle.create_trial("t"), "FAILED", "too large\nby far")
    frames = 'Traceback (most recent call last):\n  File "f.py", line 1, in f\n    g()\n'
    fail(oracle, oracle.create_trial("t"), "FAILED", frames + "ValueError: a bad layer\nuse another")
    oracle.add_observation({"a": 1}, 3.0)
    table = oracle.results()
    assert table["executions"].tolist() == [3, 1, 0, 0, 1]
    assert table["score_std"][0] == pytest.approx(np.std([1.0, 2.0, 4.5], ddof=1))
    assert table["score_std"][1:].isna().all()
    assert table["message"].dropna().to_dict() == {2: "too large", 3: "ValueError: a bad layer"}
    assert table["in_space"].tolist() == [True] * 5
    assert table["suggestion_seconds"].isna().tolist() == [False] * 4 + [True]
    assert table["seconds"].dtype == float


def test_the_history_has_every_epoch_and_every_execution() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    for execution in range(2):
        for epoch in range(3):
            oracle.report(trial.trial_id, epoch, {"loss": epoch + 10.0 * execution, "step": 1.0}, execution)
    trial.executions = [Execution({"loss": 0.0}, 0), Execution({"loss": 10.0}, 0)]
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    other = oracle.create_trial("t")
    other.executions = [Execution({"loss": 7.0, "extra": 1.0}, 5), Execution({"loss": 8.0}, 6)]
    other.status = "COMPLETED"
    oracle.end_trial(other)
    third = oracle.create_trial("t")
    oracle.update_trial(third.trial_id, {"loss": 3.0}, step=2)
    table = oracle.history()
    assert list(table.columns) == ["trial_id", "attempt", "execution", "step", "loss", "metric/step", "extra"]
    assert table["trial_id"].tolist() == [trial.trial_id] * 6 + [other.trial_id] * 2 + [third.trial_id]
    assert table["execution"].tolist() == [0, 0, 0, 1, 1, 1, 0, 1, 0]
    assert table["step"].tolist() == [0, 1, 2, 0, 1, 2, 5, 6, 2]
    assert table["loss"].tolist() == [0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 7.0, 8.0, 3.0]
    assert oracle.history(other.trial_id)["loss"].tolist() == [7.0, 8.0]
    with pytest.raises(KeyError, match="trial_id: expected one of the 3 trials"):
        oracle.history("nobody")
    assert list(random_oracle().history().columns) == ["trial_id", "attempt", "execution", "step"]


def test_an_interrupted_trials_epochs_are_all_in_the_history() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    oracle.report(trial.trial_id, 0, {"loss": 4.0})
    oracle.interrupt_trial(trial.trial_id, "Ctrl-C")
    trial = oracle.create_trial("t")
    oracle.report(trial.trial_id, 0, {"loss": 3.0}, execution=1)
    trial.executions = [Execution({"loss": 4.0}, 0), Execution({"loss": 3.0}, 0)]
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    assert oracle.history()[["attempt", "execution", "loss"]].to_numpy().tolist() == [[0, 0, 4.0], [1, 1, 3.0]]


@pytest.mark.parametrize("make", [*ORACLES, Oracle])
def test_an_argument_that_an_oracle_does_not_have_is_named(make: Any) -> None:
    text = rf"^foo: expected an argument that {make.__name__} has, got \{{'foo': 3\}}; it takes objective, .*storage"
    with pytest.raises(TypeError, match=text):
        make(foo=3)


# --- users' own oracles


class Descending(Oracle):
    """Tries a = 3, 2, 1."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        left = 3 - len(self.start_order)
        if left:
            return {"status": "RUNNING", "values": {"a": left}}
        return {"status": "IDLE" if self.ongoing_trials else "STOPPED"}


def test_an_oracle_of_the_users_own() -> None:
    oracle = Descending(MIN, hyperparameters=points_18())
    trials = [oracle.create_trial(f"w{i}") for i in range(3)]
    assert [t.hyperparameters.values for t in trials] == [{"a": a, "b": "x", "c": False} for a in (3, 2, 1)]
    assert oracle.create_trial("w3").status == "IDLE"
    for trial in trials:
        finish(oracle, trial, 1.0)
    assert oracle.create_trial("w0").status == "STOPPED"


def test_an_oracle_needs_populate_space() -> None:
    with pytest.raises(NotImplementedError, match=r"Oracle: expected a method populate_space\(trial_id\)"):
        Oracle(MIN).create_trial("t")


def test_the_old_private_hook_still_works() -> None:
    class Old(Oracle):
        def _populate_space(self, trial_id: str) -> dict[str, Any]:
            return {"status": "RUNNING", "values": self._random_values()}

    oracle = Old(MIN, hyperparameters=points_18(), seed=3)
    with pytest.warns(DeprecationWarning, match="`_populate_space` method is deprecated"):
        trial = oracle.create_trial("t")
    assert set(trial.hyperparameters.values) == {"a", "b", "c"}


def test_private_names_of_dependents() -> None:
    oracle = random_oracle(max_trials=None)
    first = oracle._random_values()
    assert first is not None
    assert oracle._seed_state == oracle.seed + 1
    assert not oracle._duplicate(first)
    oracle._tried_so_far.add(oracle._compute_values_hash(first))
    assert oracle._duplicate(first)
    trial = oracle.create_trial("t")
    assert oracle._compute_values_hash(trial.hyperparameters.values) in oracle._tried_so_far
    drive(oracle, 16)
    finish(oracle, trial, 0.0)
    drive(oracle)
    assert oracle._random_values() is None


def test_synchronized_methods_keep_their_names_and_let_one_thread_in() -> None:
    inside: list[int] = []
    most: list[int] = []

    class Slow(RandomSearchOracle):
        @synchronized
        def create_trial(self, tuner_id: str) -> Trial:
            """Documented."""
            inside.append(1)
            most.append(len(inside))
            trial = super().create_trial(tuner_id)
            inside.pop()
            return trial

    assert (Slow.create_trial.__name__, Slow.create_trial.__doc__) == ("create_trial", "Documented.")
    oracle = Slow(MIN, max_trials=None, hyperparameters=mixed(), seed=0)
    threads = [threading.Thread(target=oracle.create_trial, args=(f"w{i}",), name="same") for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert max(most) == 1
    assert len(oracle.trials) == 16
    assert len({str(t.hyperparameters.values) for t in oracle.trials.values()}) == 16


def test_an_oracle_is_freed() -> None:
    oracle = random_oracle()
    drive(oracle, 3)
    reference = weakref.ref(oracle)
    del oracle
    gc.collect()
    assert reference() is None


def test_metrics_with_several_values() -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("tuner0")
    name = oracle.objective.name
    finish(oracle, trial, {name: np.array([0.5]), "each": np.ones(3)})
    assert oracle.trials[trial.trial_id].score == 0.5
    assert not trial.metrics.exists("each")
    other = oracle.create_trial("tuner0")
    with pytest.raises(ValueError, match=f"objective: expected one number for {name}, got array"):
        oracle.update_trial(other.trial_id, {name: np.ones(3)})


def test_verbose() -> None:
    oracle = random_oracle()
    oracle.verbose = "auto"
    assert oracle.verbose == 1
    oracle.verbose = 0
    assert oracle.verbose == 0
    for wrong in ("loud", -1, 0.5):
        with pytest.raises(ValueError, match=r'verbose: expected "auto", 0, 1 or 2, got'):
            oracle.verbose = wrong


def test_trial_face(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    hp = HyperParameters()
    hp.Int("units", 1, 5)
    trial = Trial(hp, status="RUNNING")
    assert len(trial.trial_id) == 32
    trial.metrics.update("loss", 0.5, step=2)
    trial.score, trial.best_step = 0.5, 2
    trial.summary()
    assert "units: 1" in capsys.readouterr().out
    trial.save(tmp_path / "trial.json")
    again = Trial.load(tmp_path / "trial.json")
    assert again.get_state() == trial.get_state()


def test_nothing_is_warned_of_in_an_ordinary_search() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drive(random_oracle(max_trials=5))
