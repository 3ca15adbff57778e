"""Image hypermodels: each trains and predicts without weights, and augmentation does what its arguments say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from krigetuner.errors import FatalRuntimeError, FatalTypeError
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.applications import HyperEfficientNet, HyperImageAugment, HyperResNet, HyperXception
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.hypermodel import HyperModel

pytestmark = pytest.mark.filterwarnings("ignore")

SHAPE = (16, 16, 3)
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (8, *SHAPE)).astype("float32")
LABELS = np.eye(3, dtype="float32")[RNG.integers(0, 3, 8)]
ALL = {"rotate": (0.1, 0.5), "translate_x": (0.2, 0.4), "translate_y": (0.2, 0.4), "contrast": (0.2, 0.3)}
NONE: dict[str, Any] = dict.fromkeys(ALL)


def fixed(**values: Any) -> HyperParameters:
    hp = HyperParameters()
    for name, value in values.items():
        hp.Fixed(name, value)
    return hp


@pytest.fixture
def eager() -> Iterator[None]:
    """No tracing: it takes most of the time of one small batch."""
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


def changed(model: Any, images: Any = IMAGES) -> list[bool]:
    """Which images training changes, after a look that prediction leaves all of them alone."""
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(images, training=False)), images)
    after = keras.ops.convert_to_numpy(model(images, training=True))
    assert after.shape == images.shape
    return [not np.allclose(one, other) for one, other in zip(images, after, strict=True)]


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("version", ["v2", "next"])
def test_resnet_trains(version: str) -> None:
    hp = fixed(version=version, conv3_depth=2, conv4_depth=2)
    model = HyperResNet(input_shape=SHAPE, classes=3).build(hp)
    assert np.isfinite(model.train_on_batch(IMAGES[:2], LABELS[:2])).all()
    assert model.predict_on_batch(IMAGES[:2]).sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_a_search_over_xception(tmp_path: Path) -> None:
    hp = fixed(num_residual_blocks=2, sep_num_filters=128, activation="selu")
    hypermodel = HyperXception(input_shape=SHAPE, classes=3)
    tuner = RandomSearch(hypermodel, "val_accuracy", max_trials=1, hyperparameters=hp, directory=tmp_path, seed=1)
    tuner.search(IMAGES, LABELS, validation_data=(IMAGES, LABELS), epochs=1, verbose=0)
    assert tuner.get_best_models()[0].predict_on_batch(IMAGES).shape == (8, 3)
    assert tuner.get_best_hyperparameters()[0].get("num_residual_blocks") == 2


@pytest.mark.parametrize("hypermodel", [HyperResNet, HyperXception])
def test_without_a_top_the_body_is_not_compiled(hypermodel: Any) -> None:
    inputs = keras.Input((32, 32, 3))
    hp = fixed(conv3_depth=2, conv4_depth=2, num_residual_blocks=2)
    model = hypermodel(input_tensor=inputs, include_top=False).build(hp)
    assert not model.compiled
    assert model.inputs == [inputs]
    assert len(model.output_shape) == 2
    assert "learning_rate" not in hp.values


def test_a_tensor_inside_a_model_brings_its_own_input() -> None:
    inputs = keras.Input((32, 32, 1))
    hypermodel = HyperXception(input_tensor=keras.layers.Conv2D(3, 1)(inputs), classes=2)
    model = hypermodel.build(fixed(num_residual_blocks=2))
    assert model.inputs == [inputs]
    with pytest.raises(ValueError, match="input_tensor: expected a Keras tensor, got ndarray"):
        HyperXception(input_tensor=IMAGES, classes=2).build(HyperParameters())


def test_channels_first() -> None:
    keras.config.set_image_data_format("channels_first")
    try:
        hp = fixed(version="next", conv3_depth=2, conv4_depth=2, num_residual_blocks=2, dense_use_bn=False)
        model = HyperResNet(input_shape=(3, 32, 32), classes=3).build(hp)
        assert {layer.axis for layer in model.layers if "bn" in layer.name} == {1}
        model = HyperXception(input_shape=(3, 32, 32), classes=3).build(hp)
        assert {x.axis for x in model.layers if isinstance(x, keras.layers.BatchNormalization)} == {1}
    finally:
        keras.config.set_image_data_format("channels_last")


def test_the_dropout_of_xception_reaches_its_maximum() -> None:
    hp = HyperParameters()
    HyperXception(input_shape=SHAPE, classes=3).build(hp)
    assert list(hp.space[8].values) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


@pytest.mark.parametrize(
    ("hypermodel", "arguments", "message"),
    [
        (HyperResNet, {"input_shape": (8, 8), "classes": 2}, r"input_shape: expected three .* got \(8, 8\)"),
        (HyperXception, {"input_shape": (8, 0, 3), "classes": 2}, "input_shape: expected three positive"),
        (HyperResNet, {"input_shape": SHAPE, "classes": 0}, "classes: expected a whole number of at least 1, got 0"),
        (HyperXception, {"input_shape": SHAPE, "classes": "2"}, "classes: expected a whole number .* got '2'"),
        (HyperImageAugment, {"input_shape": SHAPE, "rotate": -0.1}, r"rotate: expected 0 <= .* got -0\.1"),
        (HyperImageAugment, {"input_shape": SHAPE, "contrast": (0.3, 0.2)}, "contrast: expected 0 <= least"),
        (HyperImageAugment, {"input_shape": SHAPE, "translate_x": 1.5}, r"translate_x: expected 0 <= .* <= 1, got"),
        (HyperImageAugment, {"input_shape": SHAPE, "rotate": float("nan")}, "rotate: expected 0 <="),
        (HyperImageAugment, {"input_shape": SHAPE, "augment_layers": -1}, "augment_layers: expected a whole number"),
        (HyperImageAugment, {"input_shape": SHAPE, "augment_layers": (3, 2)}, "augment_layers: .* in order"),
    ],
)
def test_bad_arguments_are_refused_at_once(hypermodel: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hypermodel(**arguments)


# --- EfficientNet ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_efficient_net_trains_behind_an_augmentation() -> None:
    class Momentum(HyperEfficientNet):
        def _compile(self, model: Any, hp: HyperParameters) -> None:
            model.compile(keras.optimizers.SGD(0.01, hp.Float("momentum", 0, 0.9)), "categorical_crossentropy")

    augment = HyperImageAugment(input_shape=SHAPE, **ALL)
    hp = HyperParameters()
    model = Momentum(input_shape=SHAPE, classes=3, augmentation_model=augment, weights=None).build(hp)
    names = [p.name for p in hp.space]
    assert names[0] == "augment_layers"
    assert names[-4:] == ["version", "pooling", "top_dropout_rate", "momentum"]
    assert np.isfinite(model.train_on_batch(IMAGES[:1], LABELS[:1]))
    assert model.predict_on_batch(IMAGES[:1]).shape == (1, 3)


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path), raising=False)
    hypermodel = HyperEfficientNet(input_shape=(32, 32, 3), classes=3)
    with pytest.raises(FatalRuntimeError, match=r"EfficientNetB0's weights 'imagenet', got .* pass weights=None"):
        hypermodel.build(HyperParameters())
    missing = HyperEfficientNet(input_shape=(32, 32, 3), classes=3, weights=str(tmp_path / "none.h5"))
    with pytest.raises(FatalRuntimeError, match=r"expected EfficientNetB0's weights .*none\.h5"):
        missing.build(HyperParameters())


def test_imagenet_weights_need_three_channels() -> None:
    with pytest.raises(ValueError, match=r"expected 3 channels, .* got 1; pass weights=None"):
        HyperEfficientNet(input_shape=(32, 32, 1), classes=3).build(HyperParameters())


def test_an_augmentation_that_builds_no_model_ends_the_search() -> None:
    class Nothing(HyperModel):
        def build(self, hp: HyperParameters) -> Any:
            return None

    with pytest.raises(FatalTypeError, match=r"augmentation_model: expected its build\(\) to return a Keras model"):
        HyperEfficientNet(input_shape=SHAPE, classes=3, augmentation_model=Nothing()).build(HyperParameters())


# --- augmentation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [0, (1, 1)], ids=["every transform", "RandAugment"])
@pytest.mark.parametrize("name", list(ALL))
def test_each_transform_acts_in_training_only(name: str, layers: Any) -> None:
    augment = HyperImageAugment(input_shape=SHAPE, **{**NONE, name: ALL[name]}, augment_layers=layers)
    assert changed(augment.build(HyperParameters())) == [True] * 8


def test_every_image_draws_its_own_transform() -> None:
    keras.utils.set_random_seed(3)
    images = np.repeat(IMAGES[:1], 64, axis=0)
    augment = HyperImageAugment(input_shape=SHAPE, **{**ALL, "contrast": (0.0, 0.3)}, augment_layers=1)
    kept = 64 - sum(changed(augment.build(HyperParameters()), images))
    assert 5 <= kept <= 30  # a quarter of them drew the transform whose strength is 0


def test_no_layer_where_every_strength_is_zero() -> None:
    for layers in (3, 0):
        model = HyperImageAugment(input_shape=(None, None, 3), augment_layers=layers).build(HyperParameters())
        assert len(model.layers) == 1


def test_layers_between_the_ends_of_a_pair() -> None:
    augment = HyperImageAugment(input_shape=SHAPE, **ALL, augment_layers=(0, 4))
    assert [len(augment.build(fixed(augment_layers=n)).layers) for n in (0, 1, 4)] == [1, 2, 5]


@pytest.mark.parametrize("layers", [0, 3])
def test_fit_predict_save_and_load(layers: int, tmp_path: Path) -> None:
    """KerasTuner's raises in fit and predict as soon as a strength is not zero."""
    augment = HyperImageAugment(input_shape=SHAPE, **ALL, augment_layers=layers).build(HyperParameters())
    stack = [keras.Input(SHAPE), augment, keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(stack)
    model.compile("sgd", "categorical_crossentropy")
    model.fit(IMAGES / 255, LABELS, batch_size=3, verbose=0)
    before = model.predict(IMAGES, verbose=0)
    model.save(tmp_path / "model.keras")
    assert not [k for k in keras.saving.get_custom_objects() if "krige" in k]  # loads in any process
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), before, rtol=1e-5)
    model.save_weights(tmp_path / "model.weights.h5")
    again.load_weights(tmp_path / "model.weights.h5")
    assert all(changed(again.layers[0]))


OTHER_BACKEND = """
import numpy as np, keras, krigetuner as kt
from krigetuner.tuners.applications import HyperImageAugment
images, labels = np.ones((4, 8, 8, 3), "float32") * np.arange(8)[:, None, None], np.eye(2)[[0, 1, 0, 1]]
strengths = {"rotate": (0.1, 0.5), "translate_x": (0.2, 0.4), "translate_y": (0.2, 0.4), "contrast": (0.2, 0.3)}
augment = HyperImageAugment(input_shape=(8, 8, 3), **strengths, augment_layers=1).build(kt.HyperParameters())
model = keras.Sequential([keras.Input((8, 8, 3)), augment, keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
model.compile("sgd", "categorical_crossentropy")
assert np.isfinite(model.fit(images, labels, verbose=0).history["loss"][0])
assert np.array_equal(augment.predict(images, verbose=0), images)
print(keras.backend.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend: str) -> None:
    if backend == "torch" and find_spec(backend) is None:
        pytest.skip("torch, which the test group leaves out for its size, is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", OTHER_BACKEND],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.stdout.strip() == backend, done.stderr[-3000:]
