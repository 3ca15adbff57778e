"""AutoKeras' image, structured-data and text tasks, trained on KrigeTuner; `.ci/autokeras` runs this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import autokeras as ak
import keras
import keras_tuner
import numpy as np
import pytest

import krigetuner

RNG = np.random.default_rng(0)
ROWS = RNG.random((64, 5), dtype=np.float32)
SUM = ROWS.sum(axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def _fresh_names() -> None:
    keras.backend.clear_session()  # AutoKeras counts its blocks in the session: image_block_1


def searched(model: Any, x: Any, y: Any, **kwargs: Any) -> list[Any]:
    """The trials of a search that has trained, saved and loaded its best model."""
    model.fit(x, y, epochs=1, verbose=0, **kwargs)
    assert len(model.predict(x)) == len(y)
    assert np.all(np.isfinite(model.evaluate(x, y, verbose=0)))
    tuner = model.tuner
    assert isinstance(tuner, krigetuner.Tuner)
    assert isinstance(tuner.oracle, krigetuner.Oracle)
    assert Path(tuner.project_dir, "study.sqlite").exists()
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * model.max_trials
    assert all(np.isfinite(trial.score) for trial in trials)
    return trials


def test_the_alias() -> None:
    assert keras_tuner.engine.tuner.Tuner is krigetuner.Tuner
    assert issubclass(ak.tuners.Greedy, krigetuner.Tuner)


def test_image_classifier(tmp_path: Path) -> None:
    images = RNG.random((24, 12, 12, 1), dtype=np.float32)
    model = ak.ImageClassifier(max_trials=2, directory=tmp_path, seed=1)
    first, second = searched(model, images, np.arange(24) % 3, batch_size=12)
    blocks = [trial.hyperparameters.values["image_block_1/block_type"] for trial in (first, second)]
    assert blocks == ["vanilla", "resnet"], "AutoKeras' own initial configurations"


def test_structured_data_classifier(tmp_path: Path) -> None:
    labels = (ROWS[:, 0] > 0.5).astype(int)
    model = ak.StructuredDataClassifier(max_trials=2, directory=tmp_path, seed=1)
    first = searched(model, ROWS, labels)[0].hyperparameters.values
    expected = {"structured_data_block_1/dense_block_1/units_0": 32, "classification_head_1/dropout": 0.0}
    assert expected.items() <= first.items(), "AutoKeras' own initial configuration, by its scoped names"


def test_structured_data_regressor_that_has_finished(tmp_path: Path) -> None:
    scores = []
    for _ in range(2):  # the second finds the state, the trials and the model of the first
        keras.backend.clear_session()
        model = ak.StructuredDataRegressor(max_trials=1, directory=tmp_path, seed=1)
        scores.append(searched(model, ROWS, SUM)[0].score)
    assert scores[0] == scores[1]


def test_text_classifier(tmp_path: Path) -> None:
    words = np.array(["good", "bad", "film", "plot", "actor", "boring"])
    texts = np.array([" ".join(RNG.choice(words, 8)) for _ in range(32)])
    model = ak.TextClassifier(max_trials=2, directory=tmp_path, seed=1)
    searched(model, texts, np.array([int("good" in text) for text in texts]), batch_size=8)


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband", "greedy"])
def test_every_tuner(tuner: str, tmp_path: Path) -> None:
    inputs = ak.Input()
    outputs = ak.RegressionHead()(ak.DenseBlock()(inputs))
    model = ak.AutoModel(inputs, outputs, max_trials=2, tuner=tuner, directory=tmp_path, seed=1)
    searched(model, ROWS, SUM, validation_split=0.25)
