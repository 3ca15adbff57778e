"""Oracles written for KerasTuner: old signatures, private names, and methods that are overridden whole."""

from __future__ import annotations

import copy
import random
import warnings
from pathlib import Path
from typing import Any

import pytest

import krigetuner as kt
from krigetuner.engine.trial import Trial, TrialStatus


def searched_space() -> kt.HyperParameters:
    """One small integer and one choice."""
    hp = kt.HyperParameters()
    hp.Int("units", 1, 4)
    hp.Choice("kind", ["a", "b"])
    return hp


class Counting(kt.BaseTuner):
    """Scores a trial by its values."""

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        values = trial.hyperparameters.values
        return {"score": values["units"] + (values["kind"] == "b") / 2}


def search(oracle: kt.Oracle, directory: Path) -> Counting:
    """A finished search."""
    tuner = Counting(oracle, directory=directory, project_name="p")
    tuner.search(verbose=0)
    return tuner


class Greedy(kt.Oracle):
    """Changes one value of the best trial at a time, as greedy oracles of dependents do, with the private names."""

    def __init__(self, first: list[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = copy.deepcopy(first)
        self._tried_first = [False] * len(first)

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "first": self.first, "tried_first": self._tried_first}

    def set_state(self, state: Any) -> None:
        super().set_state(state)
        self.first = state["first"]
        self._tried_first = state["tried_first"]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if not all(self._tried_first):
            index = self._tried_first.index(False)
            self._tried_first[index] = True
            return {"status": TrialStatus.RUNNING, "values": self.first[index]}
        for _ in range(self._max_collisions):
            values = self.changed()
            if values is not None:
                return {"status": TrialStatus.RUNNING, "values": values}
        return {"status": TrialStatus.STOPPED, "values": None}

    def changed(self) -> dict[str, Any] | None:
        best = self.get_best_trials()[0].hyperparameters.copy()
        chosen = random.Random(self._seed_state).choice([p.name for p in best.space])
        hps = kt.HyperParameters()
        for parameter in self.hyperparameters.space:
            hps.merge([parameter])
            if parameter.name == chosen:
                hps.values[parameter.name] = parameter.random_sample(self._seed_state)
                self._seed_state += 1
            else:
                hps.values[parameter.name] = best.values[parameter.name]
        values_hash = self._compute_values_hash(hps.values)
        if values_hash in self._tried_so_far:
            return None
        self._tried_so_far.add(values_hash)
        return hps.values


def test_an_oracle_with_the_private_names_searches_without_repeats(tmp_path: Path) -> None:
    first = [{"units": 1, "kind": "a"}, {"units": 2, "kind": "a"}]
    oracle = Greedy(
        first, objective=kt.Objective("score", "max"), max_trials=6, hyperparameters=searched_space(), seed=4
    )
    tuner = search(oracle, tmp_path)
    tried = [trial.hyperparameters.values for trial in tuner.oracle.trials.values()]
    assert tried[:2] == first
    assert len(tried) == 6
    assert len({oracle._compute_values_hash(values) for values in tried}) == 6
    assert oracle._tried_so_far == {oracle._compute_values_hash(values) for values in tried}
    assert oracle._seed_state > 4


def test_its_state_comes_back(tmp_path: Path) -> None:
    def oracle(trials: int) -> Greedy:
        first = [{"units": 1, "kind": "a"}, {"units": 2, "kind": "a"}, {"units": 3, "kind": "a"}]
        objective = kt.Objective("score", "max")
        return Greedy(first, objective=objective, max_trials=trials, hyperparameters=searched_space(), seed=4)

    before = search(oracle(2), tmp_path).oracle
    before.close()
    after = Counting(oracle(3), directory=tmp_path, project_name="p").oracle
    assert isinstance(after, Greedy)
    assert after._tried_first == [True, True, False]
    assert after._tried_so_far == before._tried_so_far
    assert after._seed_state == before._seed_state


class OldNames(kt.oracles.RandomSearch):
    """Overrides the private names of KerasTuner 1.0."""

    def _populate_space(self, trial_id: str) -> dict[str, Any]:
        return {"status": "RUNNING", "values": {"units": 1 + int(trial_id), "kind": "a"}}

    def _score_trial(self, trial: Trial) -> None:
        trial.score = 10.0 * trial.metrics.get_best_value("score")
        trial.best_step = 0


def test_old_overrides_are_used_with_a_warning(tmp_path: Path) -> None:
    oracle = OldNames(kt.Objective("score", "max"), max_trials=2, hyperparameters=searched_space())
    with pytest.warns(DeprecationWarning, match="method is deprecated") as caught:
        tuner = search(oracle, tmp_path)
    messages = {str(w.message) for w in caught}
    assert "The `_populate_space` method is deprecated, please use `populate_space`." in messages
    assert "The `_score_trial` method is deprecated, please use `score_trial`." in messages
    assert [trial.score for trial in tuner.oracle.trials.values()] == [10.0, 20.0]


class NewNames(OldNames):
    """Overrides the public names of a class that has the old ones."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        return {"status": "RUNNING", "values": {"units": 4 - int(trial_id), "kind": "b"}}

    def score_trial(self, trial: Trial) -> None:
        trial.score, trial.best_step = -1.0, 0


def test_the_nearest_override_is_used(tmp_path: Path) -> None:
    oracle = NewNames(kt.Objective("score", "max"), max_trials=2, hyperparameters=searched_space())
    tuner = search(oracle, tmp_path)
    assert [trial.hyperparameters.values["units"] for trial in tuner.oracle.trials.values()] == [4, 3]
    assert [trial.score for trial in tuner.oracle.trials.values()] == [-1.0, -1.0]


class Calls(kt.oracles.RandomSearchOracle):
    """Overrides what hands trials out and takes them back, and notes the calls."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls: list[str] = []

    def create_trial(self, tuner_id: str) -> Trial:
        trial = super().create_trial(tuner_id)
        self.calls.append(f"create {trial.status}")
        return trial

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Trial:
        self.calls.append(f"update {step}")
        return super().update_trial(trial_id, metrics, step)

    @kt.synchronized
    def end_trial(self, trial: Trial) -> None:
        self.calls.append(f"end {trial.status}")
        super().end_trial(trial)


def test_overridden_calls(tmp_path: Path) -> None:
    oracle = Calls(objective=kt.Objective("score", "max"), max_trials=1, hyperparameters=searched_space())
    tuner = search(oracle, tmp_path)
    assert oracle.calls == ["create RUNNING", "update 0", "end COMPLETED", "create STOPPED"]
    assert tuner.oracle is oracle


class Penalised(kt.oracles.RandomSearchOracle):
    """Takes results in its own way."""

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Trial:
        if metrics["score"] > 3:
            raise ValueError("too good to be true")
        return super().update_trial(
            trial_id, {**metrics, "score": metrics["score"] - 10.0, "raw": metrics["score"]}, step
        )


def test_what_update_trial_makes_of_the_results_counts(tmp_path: Path) -> None:
    hp = kt.HyperParameters()
    hp.Int("units", 1, 4)
    hp.Fixed("kind", "a")
    oracle = Penalised(kt.Objective("score", "max"), max_trials=4, hyperparameters=hp)
    search(oracle, tmp_path)
    by_units = {t.hyperparameters.values["units"]: t for t in oracle.trials.values()}
    assert [by_units[n].score for n in (1, 2, 3)] == [-9.0, -8.0, -7.0]
    assert by_units[3].metrics.get_best_value("raw") == 3.0
    assert by_units[4].status == "FAILED"
    assert "too good to be true" in by_units[4].message


class Looking(kt.BaseTuner):
    """Looks at a trial's results before it is ended, and registers a direction."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.seen: list[Any] = []
        super().__init__(*args, **kwargs)

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        trial.metrics.register("reward", direction="max")
        return [{"score": 1.0, "reward": 2.0}, {"score": 3.0, "reward": 5.0}]

    def on_trial_end(self, trial: Trial) -> None:
        self.seen.append((trial.status, trial.score, trial.metrics.get_last_value("score")))
        super().on_trial_end(trial)
        self.seen.append((trial.status, trial.score, trial.metrics.get_best_value("reward")))


def test_on_trial_end_sees_the_metrics(tmp_path: Path) -> None:
    oracle = kt.oracles.RandomSearch(kt.Objective("score", "max"), max_trials=1, hyperparameters=searched_space())
    tuner = Looking(oracle, directory=tmp_path)
    tuner.search()
    assert tuner.seen == [("COMPLETED", None, 2.0), ("COMPLETED", 2.0, 3.5)]
    trial = oracle.get_trial("0")
    assert trial.metrics.get_direction("reward") == "max"
    assert trial.variance == 1.0


def test_end_trial_takes_the_old_arguments() -> None:
    oracle = Calls(objective=kt.Objective("score", "max"), max_trials=4, hyperparameters=searched_space())
    trial = oracle.create_trial("t")
    oracle.update_trial(trial.trial_id, {"score": 1.0}, step=3)
    with pytest.warns(DeprecationWarning, match=r"expected end_trial\(trial\)"):
        oracle.end_trial(trial.trial_id, "COMPLETED")
    assert (trial.status, trial.score, trial.best_step) == ("COMPLETED", 1.0, 3)
    third = oracle.create_trial("t")
    oracle.update_trial(third.trial_id, {"score": 2.0})
    with pytest.warns(DeprecationWarning, match="expected end_trial"):
        oracle.end_trial(third.trial_id, "COMPLETE")
    assert (third.status, third.score) == ("COMPLETED", 2.0)
    second = oracle.create_trial("t")
    with pytest.warns(DeprecationWarning, match="expected end_trial"):
        oracle.end_trial(trial_id=second.trial_id, status="INVALID")
    assert second.status == "FAILED"


class Independent(kt.Oracle):
    """Makes its trials itself, and never asks its base class."""

    def create_trial(self, tuner_id: str) -> Trial:
        count = len(self.trials)
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = {"units": 1 + count, "kind": "a"}
        status = TrialStatus.RUNNING if count < 3 else TrialStatus.STOPPED
        trial = Trial(hyperparameters=hyperparameters, trial_id=f"own_{count}", status=status)
        if status == TrialStatus.RUNNING:
            self.trials[trial.trial_id] = self.ongoing_trials[tuner_id] = trial
            self.start_order.append(trial.trial_id)
        return trial


def test_trials_of_ones_own_making_are_recorded(tmp_path: Path) -> None:
    oracle = Independent(kt.Objective("score", "max"), hyperparameters=searched_space())
    tuner = search(oracle, tmp_path)
    assert oracle.start_order == oracle.end_order == ["own_0", "own_1", "own_2"]
    assert list(tuner.results()["score"]) == [1.0, 2.0, 3.0]
    tuner.oracle.close()
    again = Counting(
        Independent(kt.Objective("score", "max"), hyperparameters=searched_space()),
        directory=tmp_path,
        project_name="p",
    )
    assert [trial.score for trial in again.oracle.get_best_trials(3)] == [3.0, 2.0, 1.0]


class OldEnd(kt.oracles.RandomSearch):
    """Keeps the book itself, with the old arguments; nothing here calls the base class."""

    ended: tuple[str, str] | None = None

    def end_trial(self, trial_id: str, status: str = "COMPLETED") -> None:  # type: ignore[override]
        self.ended = trial_id, status


class LockedOldEnd(OldEnd):
    """The same, decorated."""

    @kt.synchronized
    def end_trial(self, trial_id: str, status: str = "COMPLETED") -> None:  # type: ignore[override]
        self.ended = trial_id, status


class SilentEnd(kt.oracles.RandomSearch):
    """Takes the trial, and does not call the base class."""

    ended: tuple[str, str] | None = None

    def end_trial(self, trial: Trial) -> None:
        self.ended = trial.trial_id, trial.status


@pytest.mark.filterwarnings("ignore:(OldEnd|LockedOldEnd).end_trial:DeprecationWarning")
@pytest.mark.parametrize("kind", [OldEnd, LockedOldEnd, SilentEnd])
def test_an_end_trial_that_does_not_call_its_base(kind: Any, tmp_path: Path) -> None:
    oracle = kind(kt.Objective("score", "max"), max_trials=2, hyperparameters=searched_space())
    search(oracle, tmp_path)
    assert oracle.ended == ("1", "COMPLETED")
    assert [trial.status for trial in oracle.trials.values()] == ["COMPLETED"] * 2
    assert len(oracle.results()["score"].dropna()) == 2


class OwnLoop(Counting):
    """A search written for KerasTuner 1.0: it runs the trials itself."""

    def search(self, *args: Any, **kwargs: Any) -> None:
        self.on_search_begin()
        while True:
            trial = self.oracle.create_trial(self.tuner_id)
            if trial.status == TrialStatus.STOPPED:
                break
            self.on_trial_begin(trial)
            self.oracle.update_trial(trial.trial_id, self.run_trial(trial))
            self.on_trial_end(trial)
        self.on_search_end()


def test_a_search_loop_of_ones_own(tmp_path: Path) -> None:
    oracle = kt.oracles.RandomSearch(kt.Objective("score", "max"), max_trials=3, hyperparameters=searched_space())
    tuner = OwnLoop(oracle, directory=tmp_path)
    tuner.search()
    assert [trial.status for trial in oracle.trials.values()] == ["COMPLETED"] * 3
    assert len(tuner.results()) == 3


def test_random_values_that_no_trial_has() -> None:
    oracle = kt.oracles.RandomSearch(kt.Objective("score", "max"), hyperparameters=searched_space(), seed=1)
    seen = []
    while (values := oracle._random_values()) is not None:
        seen.append(values)
        oracle._tried_so_far.add(oracle._compute_values_hash(values))
        oracle._max_collisions = 1000
    assert len(seen) == 8
    assert len({str(v) for v in seen}) == 8


def test_directories_by_their_private_names(tmp_path: Path) -> None:
    oracle = kt.oracles.RandomSearch(kt.Objective("score", "max"), hyperparameters=searched_space())
    oracle._set_project_dir(tmp_path, "p")
    assert Path(oracle._project_dir) == tmp_path / "p"
    assert Path(oracle._get_trial_dir("0")) == tmp_path / "p" / "trial_0"
    assert (tmp_path / "p" / "trial_0").is_dir()


def test_copies(tmp_path: Path) -> None:
    oracle = kt.oracles.RandomSearch(
        kt.Objective("score", "max"), max_trials=2, hyperparameters=searched_space(), seed=3
    )
    twin = copy.deepcopy(oracle)
    first, second = oracle.create_trial("t"), twin.create_trial("t")
    assert first is not second
    assert first.hyperparameters.values == second.hyperparameters.values
    assert twin.hyperparameters is not oracle.hyperparameters
    assert copy.deepcopy(oracle) is oracle
    tuner = Counting(kt.oracles.RandomSearch("loss", hyperparameters=searched_space()), directory=tmp_path)
    assert copy.deepcopy({"tuner": tuner})["tuner"] is tuner


def test_no_warning_without_old_names(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search(Calls(objective=kt.Objective("score", "max"), max_trials=2, hyperparameters=searched_space()), tmp_path)


def test_trials_put_in_by_hand_are_learned_from() -> None:
    hp = kt.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    objective = kt.Objective("score", "max")
    options: dict[str, Any] = {"max_trials": 8, "num_initial_points": 2, "seed": 1}
    oracle = kt.oracles.BayesianOptimization(objective, hyperparameters=hp, **options)
    told = kt.oracles.BayesianOptimization(objective, hyperparameters=hp.copy(), **options)
    for i, x in enumerate((0.0, 0.35, 0.5, 0.9, 1.0)):
        trial = Trial(hp.copy(), trial_id=f"mine_{i}", status="COMPLETED")
        trial.hyperparameters.values["x"] = x
        trial.score = -((x - 0.4) ** 2)
        oracle.trials[trial.trial_id] = trial
        told.add_observation({"x": x}, trial.score)
    new = oracle.create_trial("t")
    assert new.trial_id == "5"
    assert new.hyperparameters.values == told.create_trial("t").hyperparameters.values
    assert oracle.remaining_trials() == 2
    assert [trial.trial_id for trial in oracle.get_best_trials(2)] == ["mine_1", "mine_2"]
    assert list(oracle.results()["trial_id"]) == [f"mine_{i}" for i in range(5)] + ["5"]
