"""Best weights that do not lie where the tuner has them: a subclass says where, or saves them by itself."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import keras
import pytest
from tests.adapters.keras_model import FIT, Make, X, Y

from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners import tuner as tuner_module
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.hyperband import Hyperband
from krigetuner.tuners.trial import Trial

pytestmark = pytest.mark.filterwarnings("ignore")


def unbuilt(hp: HyperParameters) -> Any:
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 8)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


def elsewhere(kind: Any, directory: Path) -> Any:
    """A subclass that has the best weights in a directory."""

    class Elsewhere(kind):  # type: ignore[misc]
        def _get_checkpoint_fname(self, trial_id: str) -> str:
            return str(directory / f"weights_{trial_id}.weights.h5")

    return Elsewhere


@pytest.mark.parametrize("keep", ["best", "all"])
def test_a_subclass_may_have_the_best_weights_elsewhere(
    keep: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuner_module, "KEPT", 1)
    tuner = make(unbuilt, cls=elsewhere(RandomSearch, tmp_path), max_trials=3, keep_checkpoints=keep)
    tuner.search(X, Y, epochs=1, **FIT)
    assert len(list(tmp_path.glob("weights_*.weights.h5"))) == 3
    assert len(tuner.get_best_models(3)) == 3
    assert not list(tmp_path.rglob("checkpoint.weights.h5"))


def test_a_subclass_that_names_weights_by_their_step_has_the_best_ones_where_others_have_them(
    make: Make, tmp_path: Path
) -> None:
    class BySteps(RandomSearch):  # as written for KerasTuner 1.0
        def _get_checkpoint_fname(self, trial_id: str, step: int) -> str:  # type: ignore[override]
            return str(tmp_path / f"{trial_id}-{step}")

    tuner = make(unbuilt, cls=BySteps)
    tuner.search(X, Y, epochs=1, **FIT)
    assert len(tuner.get_best_models()) == 1
    assert [path.name for path in tmp_path.rglob("*.h5")] == ["checkpoint.weights.h5"]


def test_where_trials_go_on_from_others_all_weights_still_have_their_models(make: Make, tmp_path: Path) -> None:
    kind = elsewhere(Hyperband, tmp_path)
    tuner = make(unbuilt, cls=kind, max_trials=None, max_epochs=2, factor=2)
    tuner.search(X, Y, **FIT)
    assert any(trial.hyperparameters["tuner/initial_epoch"] for trial in tuner.oracle.trials.values())
    assert len(tuner.get_best_models(99)) == len(tuner.oracle.trials)


def test_weights_that_were_saved_before_their_metrics_reach_another_file_system(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, inner = tmp_path / "other", {name: getattr(os, name) for name in ("replace", "link")}

    def one_file_system(name: str) -> Any:
        def act(source: Any, target: Any, **more: Any) -> None:
            if Path(source).is_relative_to(other) != Path(target).is_relative_to(other):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            inner[name](source, target, **more)

        return act

    class Own(elsewhere(RandomSearch, other)):  # type: ignore[misc]
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            result = self._build_and_fit_model(trial, *args, callbacks=[Save(trial.trial_id)], **kwargs)
            assert not list(other.glob("*"))  # nobody knows yet whether they are the best
            return result

    class Save(keras.callbacks.Callback):
        def __init__(self, trial_id: str) -> None:
            super().__init__()
            self.trial_id = trial_id

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            tuner.save_model(self.trial_id, self.model, step=epoch)

    other.mkdir()
    for name in inner:
        monkeypatch.setattr(os, name, one_file_system(name))
    tuner = make(unbuilt, cls=Own)
    tuner.search(X, Y, epochs=1, **FIT)
    loss, _ = tuner.get_best_models()[0].evaluate(*FIT["validation_data"], verbose=0)
    assert loss == pytest.approx(tuner.oracle.get_best_trials()[0].score, rel=1e-5)
    assert [path.name for path in other.iterdir()] == ["weights_0.weights.h5"]
    assert not list(Path(tuner.get_trial_dir("0")).glob("step-*"))


def test_weights_that_a_run_trial_of_ones_own_saves_are_found(make: Make) -> None:
    class Own(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            path = self._get_checkpoint_fname(trial.trial_id)
            kwargs["callbacks"] = [keras.callbacks.ModelCheckpoint(path, save_weights_only=True)]
            return self._build_and_fit_model(trial, *args, **kwargs)

    tuner = make(unbuilt, cls=Own)
    tuner.search(X, Y, epochs=1, **FIT)
    loss, _ = tuner.get_best_models()[0].evaluate(*FIT["validation_data"], verbose=0)
    assert loss == pytest.approx(tuner.oracle.get_best_trials()[0].score, rel=1e-5)
