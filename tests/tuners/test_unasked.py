"""Hyperparameters under a plain `if`: no training twice that differs only in what its code never asked for."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.parabola import space

from krigetuner.errors import FailedTrialError, KrigeTunerWarning
from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle, RandomSearchOracle
from krigetuner.tuners.hyperband_oracle import HyperbandOracle
from krigetuner.tuners.trial import Trial

KINDS = [BayesianOptimizationOracle, RandomSearchOracle, HyperbandOracle]
GOLDEN = Path(__file__).parents[1] / "golden" / "study-v1.sqlite"


def net(hp: Any) -> tuple[Any, ...]:
    """Stands for a model: what of the hyperparameters it was made from. 3 * (1 + 3) of them."""
    units = hp.Int("units", 1, 3)
    return (units, hp.Float("rate", 0.0, 0.5, step=0.25)) if hp.Boolean("dropout") else (units,)


def other_net(hp: Any) -> tuple[Any, ...]:
    """One whose branch is open at first, with a second `if` in it. 2 + 3 + 1 of them."""
    if hp.Choice("optimizer", ["sgd", "adam", "rmsprop"]) == "sgd":
        return ("sgd", hp.Float("momentum", 0.1, 0.9, step=0.4)) if hp.Boolean("heavy", default=True) else ("sgd",)
    return (hp.get("optimizer"), hp.Boolean("amsgrad")) if hp.get("optimizer") == "adam" else ("rmsprop",)


class Nets(BaseTuner):
    """Notes the models that it trains."""

    trained: list[tuple[Any, ...]]

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        model = self.hypermodel.build(trial.hyperparameters)
        self.trained = [*getattr(self, "trained", []), model]
        return sum(part for part in model if not isinstance(part, str))


def made(kind: Any, build: Any, folder: Path, **options: Any) -> Nets:
    limit = {} if kind is HyperbandOracle else {"max_trials": 20}
    return Nets(kind("loss", **{**limit, "seed": 5, **options}), build, directory=folder)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("build", "count"), [(net, 12), (other_net, 7)])
def test_no_training_twice(kind: Any, build: Any, count: int, tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = made(kind, build, tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    first = [
        t for t, r in zip(tuner.trained, tuner.oracle._ledger.state.trials.values(), strict=True) if not r.origin.rung
    ]
    assert len(first) == len(set(first)) == count
    assert "exhausted" in str(tuner.oracle.stop_reason)


@pytest.mark.parametrize("kind", KINDS)
def test_no_training_twice_where_trials_bring_up_the_whole_space(
    kind: Any, tmp_path: Path, opened: list[BaseTuner]
) -> None:
    class Loops(Nets):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            hp = trial.hyperparameters
            model = tuple(hp.Int(f"units_{i}", 1, 2) for i in range(hp.Int("layers", 1, 2)))
            self.trained = [*getattr(self, "trained", []), model]
            return sum(model)

    for seed in range(4):
        options = {"max_epochs": 3} if kind is HyperbandOracle else {"max_trials": 20}
        tuner = Loops(kind("loss", seed=seed, **options), directory=tmp_path / str(seed))
        opened.append(tuner)
        tuner.search(verbose=0)
        records = tuner.oracle._ledger.state.trials.values()
        first = [t for t, r in zip(tuner.trained, records, strict=True) if not r.origin.rung]
        assert len(first) == len(set(first))
        assert kind is HyperbandOracle or len(first) == 2 + 4


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_resumed_search_knows_it_too(kind: Any, tmp_path: Path) -> None:
    whole = made(kind, net, tmp_path / "whole")
    whole.search(verbose=0)
    trained: list[Any] = []
    for trials in (2, 7, 20):
        part = made(kind, net, tmp_path / "parts", max_trials=trials)
        part.search(verbose=0)
        trained += part.trained
        part.oracle.close()
    assert trained == whole.trained
    whole.oracle.close()


def test_what_was_not_asked_for_is_recorded(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = made(RandomSearchOracle, net, tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    records = tuner.oracle._ledger.state.trials.values()
    assert {r.unasked for r in records if r.values["dropout"]} == {()}
    assert {r.unasked for r in records if not r.values["dropout"]} <= {(), ("rate",)}
    assert [set(r.values) for r in records][-1] == {"units", "dropout", "rate"}  # as in KerasTuner


def test_code_that_reads_all_values_has_asked_for_all(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Reads(Nets):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            super().run_trial(trial)
            return trial.hyperparameters.values["units"]

    tuner = Reads(RandomSearchOracle("loss", max_trials=20, seed=5), net, directory=tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    assert len(tuner.trained) == 18 > len(set(tuner.trained)) == 12
    assert {r.unasked for r in tuner.oracle._ledger.state.trials.values()} == {None}


def test_hooks_before_the_trial_count(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Looks(Nets):
        def on_trial_begin(self, trial: Trial) -> None:
            trial.hyperparameters.get("dropout") and trial.hyperparameters.Float("rate", 0.0, 0.5, step=0.25)

        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return trial.hyperparameters.get("units")

    tuner = Looks(RandomSearchOracle("loss", max_trials=3, seed=5), net, directory=tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    assert all("dropout" not in (r.unasked or ()) for r in tuner.oracle._ledger.state.trials.values())


def test_what_no_trial_asks_for_may_matter_otherwise(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Narrow(Nets):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return trial.hyperparameters.get("units")

    tuner = Narrow(RandomSearchOracle("loss", max_trials=5, seed=5), net, directory=tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    assert len(tuner.oracle.end_order) == 5


class Keeps(Nets):
    """Keeps each trial's model, and goes on with one that is there without building it again."""

    kept: dict[str, tuple[Any, ...]]

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        hp, self.kept = trial.hyperparameters, getattr(self, "kept", {})
        hp.Choice("batch", [1, 2])
        known = self.kept.get(hp.get("tuner/trial_id") if "tuner/trial_id" in hp else trial.trial_id)
        self.kept[trial.trial_id] = known or self.hypermodel.build(hp)
        if known is None and self.oracle.max_retries_per_trial and int(trial.trial_id) % 2:
            raise ValueError("the machine was too busy")
        return self.kept[trial.trial_id][0]


def test_a_promoted_trial_needs_what_its_model_was_built_from(tmp_path: Path, opened: list[BaseTuner]) -> None:
    options: dict[str, Any] = {"max_epochs": 4, "factor": 2, "seed": 5}
    tuner = Keeps(HyperbandOracle("loss", **options), net, directory=tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    assert len(tuner.oracle.end_order) == tuner.oracle._planned_trials() == 15  # as KerasTuner's
    promoted = [r for r in tuner.oracle._ledger.state.trials.values() if r.origin.rung]
    assert len(promoted) == 5
    assert all(set(r.unasked) <= {"rate"} for r in promoted)


def test_a_retry_needs_what_the_model_that_it_found_was_built_from(tmp_path: Path, opened: list[BaseTuner]) -> None:
    oracle = RandomSearchOracle("loss", max_trials=8, seed=5, max_retries_per_trial=1)
    tuner = Keeps(oracle, net, directory=tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    records = list(tuner.oracle._ledger.state.trials.values())
    assert [r.unasked for r in records[1::2]] == [None] * 4
    assert all(r.unasked is not None for r in records[::2])


@pytest.mark.filterwarnings("ignore::krigetuner.errors.KrigeTunerWarning")
@pytest.mark.parametrize(("error", "expected"), [(FailedTrialError, ("rate",)), (ValueError, None)])
def test_only_a_failure_that_was_meant_says_what_was_asked_for(
    tmp_path: Path, opened: list[BaseTuner], error: type[Exception], expected: Any
) -> None:
    def build(hp: Any) -> Any:
        model = net(hp)
        if model == (2,) and len(built) > 1:
            raise error("it does not fit")
        built.append(model)
        return model

    built: list[Any] = []
    options: dict[str, Any] = {"max_trials": 14, "seed": 5, "max_consecutive_failed_trials": None}
    tuner = Nets(RandomSearchOracle("loss", **options), build, directory=tmp_path)
    opened.append(tuner)
    tuner.oracle.enqueue({"dropout": True})
    tuner.search(verbose=0)
    failed = [r for r in tuner.oracle._ledger.state.trials.values() if r.status == "FAILED"]
    assert {r.unasked for r in failed} == {expected}


def test_a_hyperparameter_that_new_code_asks_for_is_tuned(tmp_path: Path) -> None:
    def newer(hp: Any) -> tuple[Any, ...]:
        return (*net(hp), hp.Choice("batch", [1, 2]))

    old = made(RandomSearchOracle, net, tmp_path)
    old.search(verbose=0)
    assert len(old.trained) == 12
    old.oracle.close()
    with pytest.warns(KrigeTunerWarning, match="parameter 'batch': new"):
        new = made(RandomSearchOracle, newer, tmp_path, max_trials=40)
    new.search(verbose=0)
    new.oracle.close()
    assert set(new.trained) == {(*model, 2) for model in old.trained}


def test_an_oracle_without_a_tuner_knows_nothing_of_it() -> None:
    oracle = RandomSearchOracle("loss", max_trials=2, seed=0, hyperparameters=space())
    for _ in range(2):
        trial = oracle.create_trial("t")
        trial.hyperparameters.get("x")
        oracle.update_trial(trial.trial_id, {"loss": 1.0})
        oracle.end_trial(trial)
    assert [r.unasked for r in oracle._ledger.state.trials.values()] == [None, None]


def test_a_database_of_an_older_version_asked_for_all(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    shutil.copy(GOLDEN, path)
    store = DatabaseStore(path)
    assert {r.unasked for r in store.state().trials.values()} == {None}
    assert store.append(e.TrialStarted(2, 1, "w", 1.0))
    store.append(e.TrialFinished(2, (), {"loss": 1.0}, 0, 1.0, None, 1.0, None, ("x",)))
    assert store.state().trials[2].unasked == ("x",)
    store.close()


def test_every_run_finds_the_same_before_the_first_trial(tmp_path: Path) -> None:
    def layers(hp: Any) -> tuple[Any, ...]:
        deep: Any = {"parent_name": "deep", "parent_values": [True]}
        hp.Boolean("deep")
        return (1, *(hp.Int(f"units_{i}", 1, 9, **deep) or 0 for i in range(hp.Int("layers", 1, 99, **deep) or 0)))

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # on a resume, one of names that are gone
        for trials in (2, 6):
            tuner = made(RandomSearchOracle, layers, tmp_path, max_trials=trials)
            if trials == 2:
                assert [p.name for p in tuner.oracle.get_space().space] == ["deep", "layers", "units_0"]
            tuner.search(verbose=0)
            tuner.oracle.close()


def test_a_scope_is_opened_with_all_that_its_parents_need(tmp_path: Path, opened: list[BaseTuner]) -> None:
    def build(hp: Any) -> tuple[Any, ...]:
        inner: Any = {"parent_name": "kind", "parent_values": ["b"]}
        hp.Boolean("on")
        hp.Choice("kind", ["a", "b"], parent_name="on", parent_values=[True])
        return (1, *(hp.Float(f"rate_{i}", 0.0, 1.0, **inner) for i in range(hp.Int("count", 1, 3, **inner) or 0)))

    opened.append(made(RandomSearchOracle, build, tmp_path))
    assert [p.name for p in opened[0].oracle.get_space().space] == ["on", "kind", "count", "rate_0"]


def test_copies_and_the_best_models_are_no_trials(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = made(BayesianOptimizationOracle, net, tmp_path, max_trials=3)
    opened.append(tuner)
    tuner.search(verbose=0)
    before = [r.unasked for r in tuner.oracle._ledger.state.trials.values()]
    net(tuner.get_best_hyperparameters()[0])
    assert [r.unasked for r in tuner.oracle._ledger.state.trials.values()] == before
