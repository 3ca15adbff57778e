"""Trials that run elsewhere: what comes back is what a search of one process would have found."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.courier import Courier
from tests.tuners.odd_trials import Branches, story
from tests.tuners.parabola import Parabola

from krigetuner.errors import FailedTrialError, FatalValueError, KrigeTunerWarning
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial


@pytest.mark.parametrize("oracle", [RandomSearchOracle, GridSearchOracle, BayesianOptimizationOracle])
def test_one_worker_finds_what_one_process_finds(oracle: Any, tmp_path: Path, opened: list[BaseTuner]) -> None:
    for name in ("here", "there"):
        opened.append(
            Branches(oracle("loss", max_trials=14, seed=4, max_retries_per_trial=1), directory=tmp_path / name)
        )
        opened[-1].search(verbose=0, executor=Courier() if name == "there" else None)
    here, there = map(story, opened)
    assert here == there
    assert "k" in {p["config"]["name"] for p in there[2]["space"]}


def test_failures_bring_back_what_their_code_had_asked_for(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Fails(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            trial.hyperparameters.Int("units", 1, 9)
            raise FailedTrialError("no good")

    opened.append(Fails(max_trials=2, directory=tmp_path))
    with pytest.warns(KrigeTunerWarning, match="at least one completed trial"):
        opened[0].search(verbose=0, executor=Courier())
    assert [p.name for p in opened[0].oracle.get_space().space] == ["units"]
    assert opened[0].oracle.trials["0"].status == "FAILED"


def test_hyperparameters_that_are_not_allowed_end_the_search(tmp_path: Path, opened: list[BaseTuner]) -> None:
    hp = HyperParameters()
    hp.Int("units", 1, 9)
    tuner = Parabola(max_trials=2, directory=tmp_path, hyperparameters=hp, allow_new_entries=False)
    opened.append(tuner)
    with pytest.raises(RuntimeError, match="found new entries"):
        tuner.search(verbose=0, executor=Courier())
    assert tuner.oracle.trials["0"].status == "COMPLETED"


def test_a_fatal_error_ends_the_search(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Fatal(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            raise FatalValueError("the data are empty")

    opened.append(Fatal(max_trials=2, directory=tmp_path))
    with pytest.raises(FatalValueError, match="the data are empty"):
        opened[0].search(verbose=0, executor=Courier(2))
    assert {t.status for t in opened[0].oracle.trials.values()} == {"INTERRUPTED"}


# --- what user code may do there


class OldStyle(RandomSearch):
    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        x = trial.hyperparameters.Float("x", -1.0, 1.0)
        for step in range(5):
            if self.oracle.update_trial(trial.trial_id, {"loss": x + step}, step=step).status == "STOPPED":
                break


@pytest.mark.filterwarnings("ignore:run_trial:DeprecationWarning")
def test_update_trial_reaches_the_searching_oracle(tmp_path: Path, opened: list[BaseTuner]) -> None:
    for name in ("here", "there"):
        opened.append(OldStyle(objective="loss", max_trials=3, seed=1, directory=tmp_path / name))
        opened[-1].search(verbose=0, executor=Courier() if name == "there" else None)
    assert story(opened[0]) == story(opened[1])
    assert [len(t.metrics.get_history("loss")) for t in opened[1].oracle.trials.values()] == [5, 5, 5]


class Watching(RandomSearchOracle):
    """Sees the metrics of running trials, and its own attributes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: list[Any] = []

    def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: int = 0) -> Any:
        self.seen.append((trial_id, step))
        if metrics["loss"] > 1e6:
            raise ValueError("a loss beyond belief")
        trial = super().update_trial(trial_id, metrics, step=step)
        return "STOPPED" if step == 2 else trial


@pytest.mark.filterwarnings("ignore:run_trial:DeprecationWarning")
def test_an_oracle_of_the_users_sees_updates_where_it_searches(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Returns(BaseTuner):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            trial.hyperparameters.Float("x", -1.0, 1.0)
            for step in range(4):
                self.oracle.update_trial(trial.trial_id, {"loss": args[0][step]}, step=step)

    oracle = Watching("loss", max_trials=2, max_consecutive_failed_trials=None)
    opened.append(Returns(oracle, directory=tmp_path))
    courier = Courier()
    opened[0].search([4.0, 3.0, 2.0, 1.0], verbose=0, executor=courier)
    assert oracle.seen == [(str(t), s) for t in range(2) for s in range(4)]
    assert courier.stopped == {0, 1}  # a running process would have seen it by step 3
    oracle.max_trials = 3
    opened[0].search([1e9] * 4, verbose=0, executor=Courier())
    assert oracle.trials["2"].status == "FAILED"
    assert "a loss beyond belief" in str(oracle.trials["2"].message)


@pytest.mark.parametrize(
    "call",
    [
        lambda oracle: oracle.get_best_trials(),
        lambda oracle: oracle.enqueue({"x": 0.5}),
        lambda oracle: oracle.add_observation({"x": 0.5}, 1.0),
        lambda oracle: oracle.create_trial("mine"),
        lambda oracle: oracle.remaining_trials(),
        lambda oracle: oracle.results(),
        lambda oracle: oracle.end_trial(next(iter(oracle.trials.values()))),
    ],
)
def test_what_a_worker_cannot_know_or_do_is_said(call: Any, tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Asks(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            args[0](self.oracle)
            return 1.0

    opened.append(Asks(max_trials=1, directory=tmp_path))
    with pytest.warns(KrigeTunerWarning, match="at least one completed trial"):
        opened[0].search(call, verbose=0, executor=Courier())
    message = str(opened[0].oracle.trials["0"].message)
    assert "in the process that searches, got it in a worker or a pickled copy; hooks such as" in message


def test_what_a_worker_does_know(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Looks(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            oracle = self.oracle
            assert isinstance(oracle, RandomSearchOracle)
            assert list(oracle.trials) == [trial.trial_id] == [t.trial_id for t in oracle.ongoing_trials.values()]
            assert oracle.get_trial(trial.trial_id) is trial
            assert oracle.get_space().space[0].name == "x"
            assert oracle.max_trials == 2
            assert Path(self.project_dir).is_absolute()
            self.save()
            oracle.reload()
            oracle.close()
            hp = HyperParameters()
            hp.Boolean("late")
            oracle.update_space(hp)
            with pytest.raises(KeyError, match="expected the trial that this process runs"):
                oracle.get_trial("elsewhere")
            return super().run_trial(trial)

    hp = HyperParameters()
    hp.Float("x", -1.0, 1.0)
    opened.append(Looks(max_trials=2, directory=tmp_path, hyperparameters=hp))
    opened[0].search(verbose=0, executor=Courier())
    assert [t.status for t in opened[0].oracle.trials.values()] == ["COMPLETED"] * 2
    assert [p.name for p in opened[0].oracle.get_space().space] == ["x", "late"]


def test_our_warnings_come_back(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Warns(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.warn("cv: odd", KrigeTunerWarning, stacklevel=1)
                warnings.warn("the user's own", UserWarning, stacklevel=1)  # goes to the trial's log
            return super().run_trial(trial)

    opened.append(Warns(max_trials=1, directory=tmp_path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened[0].search(verbose=0, executor=Courier())
    told = [str(w.message) for w in caught]
    assert told.count("the user's own") == 1
    assert told.count("cv: odd") == 2  # there and here


# --- which process runs which hook


def test_hooks_of_the_search_run_where_it_is_and_those_of_a_run_where_that_is(
    tmp_path: Path, opened: list[BaseTuner]
) -> None:
    class Hooked(Parabola):
        calls: Any = None

        def on_search_begin(self) -> None:
            self.calls = ["search begins"]

        def on_trial_begin(self, trial: Trial) -> None:
            self.calls.append("begin")
            trial.hyperparameters.values["x"] = 0.25
            assert isinstance(self.oracle, Oracle)
            self.oracle.get_best_trials()

        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            self.calls.append("run")  # of the copy
            assert trial.hyperparameters.values["x"] == 0.25
            assert self.calls == ["search begins", "begin", "run"]
            return super().run_trial(trial)

        def on_trial_end(self, trial: Trial) -> None:
            self.calls.append("end")
            super().on_trial_end(trial)

    tuner = Hooked(max_trials=1, directory=tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0, executor=Courier())
    assert tuner.calls == ["search begins", "begin", "end"]
    assert tuner.oracle.trials["0"].hyperparameters.values == {"x": 0.25}


def test_the_logger_stays_here(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Unpicklable:
        def __init__(self) -> None:
            self.told: list[str] = []

        def register_trial(self, trial_id: str, state: Any) -> None:
            self.told.append(trial_id)

        def __reduce__(self) -> Any:
            raise TypeError("not to be pickled")

    with pytest.warns(DeprecationWarning, match="logger"):
        opened.append(Parabola(max_trials=1, directory=tmp_path, logger=Unpicklable()))
    opened[0].search(verbose=0, executor=Courier())
    assert opened[0].logger.told == ["0"]
