"""What KerasTuner just so takes: a model without weights, a History made by hand, ids that are numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

import krigetuner as kt
from krigetuner.engine import hyperparameters


class Unsaved(keras.Model):  # type: ignore[misc]
    """A model that keeps its weights elsewhere."""

    def save_weights(self, *args: Any, **kwargs: Any) -> None:
        """Writes nothing."""


class ByHand(kt.HyperModel):
    def build(self, hp: Any) -> Any:
        hp.Int("level", 1, 9)
        return Unsaved()

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        losses = [float(hp.get("level") + 2 - epoch) for epoch in range(3)]
        for callback in kwargs["callbacks"]:
            callback.set_model(model)
        for epoch, loss in enumerate(losses):
            for callback in kwargs["callbacks"]:
                callback.on_epoch_end(epoch, {"loss": loss})
        history = keras.callbacks.History()  # never given to fit: it has no list of epochs
        history.history = {"loss": losses}
        return history


def test_a_model_without_weights_and_a_history_without_epochs(tmp_path: Path) -> None:
    tuner = kt.RandomSearch(ByHand(), "loss", max_trials=2, seed=1, directory=tmp_path)
    tuner.search(verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert [(t.status, t.score, t.best_step) for t in trials] == [
        ("COMPLETED", float(t.hyperparameters.get("level")), 2) for t in trials
    ]
    with pytest.raises(FileNotFoundError, match="expected the weights of trial"):
        tuner.get_best_models()


def test_a_whole_space_is_serialised_as_a_parameter_is() -> None:
    hp = kt.HyperParameters()
    hp.Int("a", 1, 5)
    copy = hyperparameters.deserialize(hyperparameters.serialize(hp))
    assert isinstance(copy, kt.HyperParameters)
    assert copy.get_config() == hp.get_config()


def test_the_directory_and_ids_are_taken_as_they_are(tmp_path: Path) -> None:
    tuner = kt.RandomSearch(ByHand(), "loss", directory=tmp_path)
    assert tuner.directory == tmp_path
    assert tuner.get_trial_dir(7) == str(tmp_path / "untitled_project" / "trial_7")  # type: ignore[arg-type]
