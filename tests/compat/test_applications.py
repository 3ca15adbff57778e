"""Applications beside KerasTuner's: spaces name for name, architectures layer for layer, weights that fit both."""

from __future__ import annotations

import inspect
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners import applications as ours

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras_tuner
theirs = keras_tuner.applications

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore")]

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
SHAPE = {"input_shape": (32, 32, 3)}


def space(hp: Any) -> list[tuple[str, dict[str, Any]]]:
    """The space in order: every parameter's kind and configuration."""
    return [(p["class_name"], p["config"]) for p in hp.get_config()["space"]]


def optimizer(model: Any) -> dict[str, Any]:
    """Kind and settings of a model's optimizer; Keras numbers the names."""
    return {**model.optimizer.get_config(), "name": type(model.optimizer).__name__}


def built(name: str, arguments: dict[str, Any], values: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Both packages' hyperparameters and models, with some values fixed."""
    made = []
    for module, hp in ((ours, HyperParameters()), (theirs, keras_tuner.HyperParameters())):
        for key, value in values.items():
            hp.Fixed(key, value)
        made += [hp, getattr(module, name)(**arguments).build(hp)]
    return made[0], made[1], made[2], made[3]


@pytest.mark.parametrize("name", ["HyperResNet", "HyperXception", "HyperEfficientNet", "HyperImageAugment"])
def test_the_same_arguments(name: str) -> None:
    reference = list(inspect.signature(getattr(theirs, name).__init__).parameters.values())
    mine = list(inspect.signature(getattr(ours, name).__init__).parameters.values())
    assert [(p.name, p.default) for p in mine if p.name != "weights"] == [(p.name, p.default) for p in reference]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("HyperResNet", {**SHAPE, "classes": 3}),
        ("HyperXception", {**SHAPE, "classes": 3}),
        ("HyperXception", {**SHAPE, "include_top": False}),
        ("HyperImageAugment", SHAPE),
        ("HyperImageAugment", {**SHAPE, "augment_layers": 0}),
        ("HyperImageAugment", {**SHAPE, "augment_layers": (2, 4), "rotate": None, "contrast": [0.1, 1]}),
        ("HyperImageAugment", {**SHAPE, "augment_layers": [0, 2], "translate_x": 0}),
    ],
)
def test_the_same_space_and_defaults(name: str, arguments: dict[str, Any]) -> None:
    mine, model, reference, other = built(name, arguments, {})
    assert space(mine) == space(reference)
    assert mine.values == reference.values
    assert model.name == other.name
    assert model.output_shape == other.output_shape
    assert bool(model.compiled) == bool(other.compiled)


def test_resnet_without_a_top_is_the_same() -> None:
    depths = {"conv3_depth": 2, "conv4_depth": 2}
    mine, model, reference, other = built("HyperResNet", {**SHAPE, "include_top": False}, depths)
    assert mine.values == reference.values
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in other.layers]
    assert model.output_shape == other.output_shape
    assert not model.compiled


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("HyperResNet", {"version": "v1", "conv3_depth": 2, "conv4_depth": 3, "pooling": "max", "optimizer": "sgd"}),
        (
            "HyperResNet",
            {"version": "v2", "conv3_depth": 3, "conv4_depth": 2, "optimizer": "rmsprop"},
        ),
        ("HyperResNet", {"version": "next", "conv3_depth": 3, "conv4_depth": 2}),
        ("HyperXception", {"num_residual_blocks": 2, "sep_num_filters": 128, "conv2d_num_filters": 128}),
        ("HyperXception", {"activation": "selu", "pooling": "flatten", "num_dense_layers": 2, "kernel_size": 5}),
        ("HyperXception", {"dense_use_bn": False, "pooling": "max", "num_dense_layers": 3, "dropout_rate": 0.0}),
    ],
)
def test_the_same_network(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    """Weights that KerasTuner's model saved give the same predictions in ours."""
    _, model, _, other = built(name, {**SHAPE, "classes": 3}, values)
    assert model.count_params() == other.count_params()
    kinds = [[type(layer).__name__ for layer in m.layers if layer.weights] for m in (model, other)]
    assert kinds[0] == kinds[1]
    named = [[layer.name for layer in m.layers if layer.weights] for m in (model, other)]
    assert name == "HyperXception" or named[0] == named[1]  # Xception's are numbered by Keras
    assert optimizer(model) == optimizer(other)
    other.save_weights(tmp_path / "theirs.weights.h5")
    model.load_weights(tmp_path / "theirs.weights.h5")
    np.testing.assert_allclose(model(IMAGES), other(IMAGES), rtol=1e-4, atol=1e-6)


def test_efficient_net_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """KerasTuner's always fetches weights; here its table of networks starts from random ones."""
    module = inspect.getmodule(theirs.HyperEfficientNet)
    table = {"B0": partial(keras.applications.EfficientNetB0, weights=None)}
    monkeypatch.setattr(module, "EFFICIENTNET_MODELS", table)
    arguments = {**SHAPE, "classes": 3}
    mine, reference = HyperParameters(), keras_tuner.HyperParameters()
    model = ours.HyperEfficientNet(**arguments, weights=None).build(mine)
    other = theirs.HyperEfficientNet(**arguments).build(reference)
    assert space(mine) == space(reference)
    assert mine.values == reference.values
    kinds = [[type(layer).__name__ for layer in m.layers if layer.weights] for m in (model, other)]
    assert kinds[0] == kinds[1]
    assert optimizer(model) == optimizer(other)
    model.set_weights(other.get_weights())
    np.testing.assert_allclose(model(IMAGES), other(IMAGES), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("module", [ours, theirs], ids=["ours", "theirs"])
@pytest.mark.parametrize(
    ("name", "arguments", "phrase"),
    [
        ("HyperResNet", SHAPE, "must specify `classes`"),
        ("HyperXception", SHAPE, "must specify `classes`"),
        ("HyperEfficientNet", SHAPE, "must specify `classes`"),
        ("HyperResNet", {"classes": 3}, "must specify either `input_shape` or `input_tensor`"),
        ("HyperXception", {"include_top": False}, "must specify either `input_shape` or `input_tensor`"),
        ("HyperEfficientNet", {"classes": 3}, "must specify either `input_shape` or `input_tensor`"),
        ("HyperEfficientNet", {**SHAPE, "classes": 3, "augmentation_model": 0}, "augmentation_model"),
        ("HyperImageAugment", {}, "must specify either `input_shape` or `input_tensor`"),
        ("HyperImageAugment", {**SHAPE, "rotate": [0.1, 0.2, 0.3]}, "must not exceed 2"),
        ("HyperImageAugment", {**SHAPE, "contrast": [0.5, "a"]}, "must be int or float"),
        ("HyperImageAugment", {**SHAPE, "augment_layers": 1.5}, "must be int"),
    ],
)
def test_the_same_refusals(module: Any, name: str, arguments: dict[str, Any], phrase: str) -> None:
    with pytest.raises(ValueError, match=phrase):
        getattr(module, name)(**arguments)
