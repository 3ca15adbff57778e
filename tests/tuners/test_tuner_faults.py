"""What a tuner does when trials, hooks or arguments are at fault, and after Ctrl-C."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.parabola import Parabola, Plain, space

from krigetuner.errors import FailedTrialError, FatalTypeError, FatalValueError, KrigeTunerWarning
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.builtin_oracles import RandomSearchOracle
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.trial import Trial
from krigetuner.tuners.tuner import Tuner


def test_ctrl_c_leaves_a_trial_that_runs_first_when_the_search_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            if trial.number == 2 and trial.attempt == 0:
                raise KeyboardInterrupt
            return super().run_trial(trial)

    tuner = Interrupted(max_trials=4, directory=tmp_path, seed=3)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(
        "Search interrupted: trial 2 was recorded as interrupted and will run first; call search()"
    )
    assert shown.err.count("\n") == 1
    values = dict(tuner.oracle.trials["2"].hyperparameters.values)
    tuner.oracle.close()
    tuner = Interrupted(max_trials=4, directory=tmp_path, seed=3)
    tuner.search(verbose=0)
    assert tuner.oracle.end_order == ["0", "1", "2", "3"]
    assert tuner.oracle.trials["2"].hyperparameters.values == values
    tuner.oracle.close()


def test_failures(tmp_path: Path, opened: list[BaseTuner], capsys: pytest.CaptureFixture[str]) -> None:
    class Failing(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            if trial.number == 1:
                raise ValueError("a bad layer")
            if trial.number == 2:
                raise FailedTrialError("too large")
            if trial.number == 3 and trial.attempt < 1:
                return math.nan
            return super().run_trial(trial)

    tuner = Failing(max_trials=6, directory=tmp_path, seed=1, max_retries_per_trial=1)
    opened.append(tuner)
    tuner.search()
    trials = tuner.oracle.trials
    assert [trials[str(i)].status for i in range(6)] == [
        "COMPLETED",
        "FAILED",
        "FAILED",
        "COMPLETED",
        "COMPLETED",
        "COMPLETED",
    ]
    assert [trials[str(i)].attempt for i in range(4)] == [0, 1, 0, 1]
    assert "a bad layer" in trials["1"].message
    assert "Traceback" in trials["1"].message
    shown = capsys.readouterr().out
    assert shown.count("ValueError: a bad layer") == 2
    assert "Traceback" not in shown


def test_too_many_failures_end_the_search_and_are_recorded(tmp_path: Path) -> None:
    class Failing(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            super().run_trial(trial)
            raise ValueError("a bad layer")

    tuner = Failing(max_trials=6, directory=tmp_path, seed=1)
    with pytest.raises(RuntimeError, match=r"(?s)consecutive failures exceeded the limit of 3.*a bad layer"):
        tuner.search(verbose=0)
    tuner.oracle.close()
    tuner = Parabola(max_trials=6, directory=tmp_path, seed=1)
    assert [t.status for t in tuner.oracle.trials.values()] == ["FAILED"] * 3
    tuner.search(verbose=0)
    assert len(tuner.oracle.end_order) == 6
    tuner.oracle.close()


def test_a_search_in_which_nothing_completed_says_so(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Failing(Parabola):
        def run_trial(self, trial: Trial) -> Any:  # type: ignore[override]
            raise AssertionError

    tuner = Failing(max_trials=2, directory=tmp_path, seed=1, hyperparameters=space())
    opened.append(tuner)
    why = r"expected at least one completed trial, got none: 2 of 2 trials failed; the last failure, trial 1: TypeErr"
    with pytest.warns(KrigeTunerWarning, match="^search: " + why):
        tuner.search(verbose=0)
    with pytest.raises(RuntimeError, match="^get_best_models: " + why):
        tuner.get_best_models()
    assert tuner.get_best_hyperparameters() == []
    assert tuner.results()["message"].str.startswith("TypeError").all()


def test_a_search_whose_scores_are_all_infinite_says_so(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Diverging(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return math.inf

    tuner = Diverging(max_trials=2, directory=tmp_path, seed=1, hyperparameters=space())
    opened.append(tuner)
    assert tuner.get_best_models() == []
    with pytest.warns(KrigeTunerWarning, match="2 completed without a finite score; the search ended: max_trials"):
        tuner.search(verbose=0)
    with pytest.raises(RuntimeError, match=r"got none: 2 completed without a finite score.*search again"):
        tuner.get_best_models()


def test_a_fatal_error_ends_the_search_and_the_trial_runs_first_after_the_fix(tmp_path: Path) -> None:
    class Forgetful(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            super().run_trial(trial)

    tuner = Forgetful(max_trials=2, directory=tmp_path, seed=1)
    with pytest.raises(FatalTypeError, match=r"The return value of Forgetful.run_trial\(\) is None"):
        tuner.search(verbose=0)
    tuner.oracle.close()
    tuner = Parabola(max_trials=2, directory=tmp_path, seed=1)
    tuner.search(verbose=0)
    assert tuner.oracle.end_order == ["0", "1"]
    tuner.oracle.close()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda d: BaseTuner("oracle", directory=d),
            ValueError,
            "Expected `oracle` argument to be an instance of `Oracle`, got 'oracle'",
        ),
        (
            lambda d: Plain(RandomSearchOracle(), directory=d, epochs=3),
            ValueError,
            r"Unrecognized arguments \['epochs'\]",
        ),
        (lambda d: RandomSearch(objective="loss", directory=d), ValueError, "Received `hypermodel=None`"),
        (lambda d: Tuner(RandomSearchOracle(), directory=d), ValueError, "Received `hypermodel=None`"),
        (lambda d: RandomSearch(3, "loss", directory=d), FatalValueError, r"signature `build\(hp\)`.*got 3"),
        (
            lambda d: RandomSearch(HyperModel, "loss", directory=d),
            FatalValueError,
            r"got the class HyperModel; write HyperModel\(\)",
        ),
        (
            lambda d: Parabola(keep_checkpoints="some", directory=d),
            ValueError,
            'keep_checkpoints: expected "best" or "all", got \'some\'',
        ),
        (
            lambda d: Parabola(executions_per_trial=0, directory=d),
            ValueError,
            "executions_per_trial: expected a whole number of at least 1, got 0",
        ),
        (lambda d: Parabola(acquisition="ei", directory=d), ValueError, r"Unrecognized arguments \['acquisition'\]"),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], text: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=text):
        make(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_tuner_without_run_trial_says_so_at_once(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = BaseTuner(RandomSearchOracle(hyperparameters=space()), directory=tmp_path)
    opened.append(tuner)
    with pytest.raises(NotImplementedError, match="expected BaseTuner to define it"):
        tuner.search()
    assert not tuner.oracle.trials


def test_a_build_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    def build(hp: HyperParameters) -> Any:
        raise ZeroDivisionError("in build")

    with pytest.raises(ZeroDivisionError, match="in build"):
        RandomSearch(build, "loss", directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_overridden_hook_that_forgets_its_base_class_does_not_hang(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Forgetful(Parabola):
        def on_trial_end(self, trial: Trial) -> None:
            return None

    tuner = Forgetful(max_trials=2, directory=tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    assert len(tuner.oracle.end_order) == 2
