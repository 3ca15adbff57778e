"""Results of trials: scores, executions, objectives, and the tables of results and epochs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.tuners.oracle_driver import MIN, fail, finish, mixed, points_18, random_oracle

from krigetuner.errors import FatalValueError
from krigetuner.oracles import RandomSearchOracle
from krigetuner.run.messages import Execution
from krigetuner.trial.objective import Objective
from krigetuner.tuners.trial import Trial


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
