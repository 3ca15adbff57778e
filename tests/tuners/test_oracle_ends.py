"""How trials end: retries, failures, interruptions, and what a trial that is over refuses."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from tests.tuners.oracle_driver import drive, fail, finish, random_oracle

from krigetuner.tuners.trial import Trial


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
    other.join(60)
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
