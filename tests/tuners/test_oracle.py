"""The Oracle face, in memory: trials and their values, limits, users' own oracles."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
from tests.tuners.oracle_driver import MIN, ORACLES, drive, finish, mixed, points_18, random_oracle

from krigetuner.oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.synchronized import synchronized
from krigetuner.tuners.trial import Trial


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
    assert trial.hyperparameters.values == {}  # by which scripts that drive an oracle see that the search is over
    assert [hp.name for hp in trial.hyperparameters.space] == [hp.name for hp in oracle.hyperparameters.space]


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


@pytest.mark.parametrize(("step", "kind"), [(None, TypeError), ("x", ValueError), ("3", ValueError), (1.5, ValueError)])
def test_a_step_that_is_none_is_refused(step: Any, kind: type[Exception]) -> None:
    oracle = random_oracle()
    trial = oracle.create_trial("t")
    with pytest.raises(kind, match=rf"step: expected a whole number, such as the epoch, got {step!r}; leave it out"):
        oracle.update_trial(trial.trial_id, {"loss": 1.0}, step=step)
    with pytest.raises(kind, match="step: expected a whole number"):
        oracle.report(trial.trial_id, step, {"loss": 1.0})
    for fine in (2.0, np.int64(3), np.float32(4)):
        oracle.update_trial(trial.trial_id, {"loss": 1.0}, step=fine)
    assert trial.metrics.get_best_step("loss") == 2


# --- limits


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
        thread.join(60)
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


@pytest.mark.parametrize("make", ORACLES)
def test_random_values_of_a_subclass_are_what_is_tried_first(make: Any) -> None:
    drawn: list[int] = []

    class Own(make):  # type: ignore[misc]
        def _random_values(self) -> dict[str, Any] | None:
            drawn.append(len(self.trials))
            values = super()._random_values()
            return None if values is None or len(drawn) > 2 else {**values, "units": 7}

    hp = HyperParameters()
    hp.Int("units", 1, 9)
    hp.Float("rate", 0, 1)
    tried = drive(Own(objective=MIN, max_trials=4, hyperparameters=hp, seed=0))
    if make is GridSearchOracle:
        assert drawn == []
    else:
        assert [values["units"] for values in tried] == [7, 7]
        assert drawn == [0, 1, 2]


def test_the_state_of_a_bayesian_search_has_its_options() -> None:
    state = BayesianOptimizationOracle(MIN, num_initial_points=5, alpha=0.1, beta=3.0).get_state()
    assert (state["num_initial_points"], state["alpha"], state["beta"]) == (5, 0.1, 3.0)
