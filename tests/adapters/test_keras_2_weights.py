"""Weights in the checkpoint format of Keras 2, laid out as KerasTuner 1.0 and 1.1 to 1.3 saved them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import krigetuner as kt
from krigetuner.adapters import keras_2_weights

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def tensorflow() -> Any:
    import tensorflow

    return tensorflow


def save(tensorflow: Any, prefix: Path, layers: list[dict[str, Any]]) -> None:
    """Writes what Keras 2 wrote for a Sequential model, an optimizer's slot included."""
    root = tensorflow.train.Checkpoint()
    for count, weights in enumerate(layers):
        module = tensorflow.Module()
        for name, value in weights.items():
            setattr(module, name, tensorflow.Variable(value))
        setattr(root, f"layer_with_weights-{count}", module)
    root.optimizer = tensorflow.Module()
    root.optimizer.iterations = tensorflow.Variable(3)
    root.write(str(prefix))


def weights(seed: int, *shapes: tuple[int, int]) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    return [
        {"kernel": draw.normal(size=shape).astype("float32"), "bias": draw.normal(size=shape[1]).astype("float32")}
        for shape in shapes
    ]


def build(hp: Any) -> Any:
    import keras

    layers = [keras.Input((3,)), keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dropout(0.5)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def project(root: Path) -> None:
    """A project of one trial, as 1.3 left it."""
    trial = {
        "trial_id": "0",
        "hyperparameters": {
            "space": [{"class_name": "Int", "config": {"name": "units", "min_value": 1, "max_value": 4, "step": 1}}],
            "values": {"units": 2},
        },
        "metrics": {"metrics": {"val_loss": {"direction": "min", "observations": [{"value": [0.5], "step": 1}]}}},
        "score": 0.5,
        "best_step": 1,
        "status": "COMPLETED",
    }
    (root / "trial_0").mkdir(parents=True)
    (root / "trial_0/trial.json").write_text(json.dumps(trial))
    (root / "oracle.json").write_text(json.dumps({"hyperparameters": trial["hyperparameters"]}))


@pytest.mark.parametrize("place", ["checkpoint", "checkpoints/epoch_1/checkpoint"])
def test_the_best_model_of_an_old_project(tensorflow: Any, tmp_path: Path, place: str) -> None:
    project(tmp_path / "p")
    saved = weights(0, (3, 2), (2, 1))
    prefix = tmp_path / "p/trial_0" / place
    prefix.parent.mkdir(parents=True, exist_ok=True)
    save(tensorflow, prefix, saved)
    tuner = kt.RandomSearch(build, "val_loss", directory=tmp_path, project_name="p")
    (model,) = tuner.get_best_models(1)
    for layer, expected in zip([model.layers[0], model.layers[2]], saved, strict=True):
        np.testing.assert_array_equal(layer.kernel, expected["kernel"])
        np.testing.assert_array_equal(layer.bias, expected["bias"])


def test_which_epoch(tmp_path: Path) -> None:
    assert keras_2_weights.find(tmp_path, 1) is None
    for epoch in (0, 4, 7):
        (tmp_path / f"checkpoints/epoch_{epoch}").mkdir(parents=True)
        (tmp_path / f"checkpoints/epoch_{epoch}/checkpoint.index").touch()
    assert keras_2_weights.find(tmp_path, 4) == tmp_path / "checkpoints/epoch_4/checkpoint"
    assert keras_2_weights.find(tmp_path, 5) == tmp_path / "checkpoints/epoch_0/checkpoint"


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 3), (3, 1)), r"expected one kernel of shape \(3, 2\) for layer dense.*got layer_with_weights-0/bias"),
        (((3, 2),), "expected one kernel of shape .* got nothing; the hypermodel must build"),
        (((3, 2), (2, 1), (1, 1)), "expected the weights of 2 layers, got layer_with_weights-2 too"),
    ],
)
def test_another_model_is_refused(tensorflow: Any, tmp_path: Path, shapes: Any, message: str) -> None:
    import keras

    save(tensorflow, tmp_path / "checkpoint", weights(0, *shapes))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense"), keras.layers.Dense(1)])
    before = [w.numpy() for w in model.weights]
    with pytest.raises(ValueError, match=message):
        keras_2_weights.load(model, tmp_path / "checkpoint")
    for now, then in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(now.numpy(), then)


def test_a_model_that_is_not_built_is_refused(tensorflow: Any, tmp_path: Path) -> None:
    import keras

    save(tensorflow, tmp_path / "checkpoint", weights(0, (3, 2)))
    with pytest.raises(ValueError, match=r"begin it with keras\.Input"):
        keras_2_weights.load(keras.Sequential([keras.layers.Dense(2)]), tmp_path / "checkpoint")
