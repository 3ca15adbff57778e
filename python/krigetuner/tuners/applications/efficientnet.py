"""EfficientNet (Tan and Le 2019) of `keras.applications` as a feature extractor."""

from __future__ import annotations

from typing import Any

from krigetuner.adapters.keras import keras_module
from krigetuner.errors import FatalRuntimeError, FatalTypeError
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.applications.image_input import channel_axis, checked_classes, checked_input, pooled, way_in
from krigetuner.tuners.hypermodel import HyperModel

SIZES = {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "B4": 380, "B5": 456, "B6": 528, "B7": 600}
"""Height and width to which each version resizes its images."""


class HyperEfficientNet(HyperModel):
    """An EfficientNet with a new top, whose version, pooling, dropout and learning rate are tuned.

    Asks for `version`, `pooling`, `top_dropout_rate` and `learning_rate`, after what the augmentation asks for. Images
    have values from 0 to 255 and are resized to the version's size.

    Args:
        input_shape: of one image, (height, width, channels); needed unless `input_tensor` is given.
        input_tensor: a Keras tensor to build on, in place of an input of its own.
        classes: number of classes; labels are one-hot.
        augmentation_model: a `HyperModel` or Keras model that images pass through first, or None.
        weights: "imagenet" fetches pretrained weights (three channels only), None starts from random ones, and a path
            reads a file of weights of `keras.applications`, without top.
        **kwargs: those of `HyperModel`.

    Raises:
        ValueError: no input, no classes, another kind of augmentation model, or ImageNet weights for images that have
            not three channels.
    """

    def __init__(
        self,
        input_shape: Any = None,
        input_tensor: Any = None,
        classes: int | None = None,
        augmentation_model: Any = None,
        *,
        weights: str | None = "imagenet",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        known = augmentation_model is None or isinstance(augmentation_model, HyperModel)
        if not known and not isinstance(augmentation_model, keras_module().Model):
            raise ValueError(
                f"augmentation_model: expected a HyperModel, a Keras model or None, got {augmentation_model!r}; "
                "pass HyperImageAugment(...), for example"
            )
        self.classes = checked_classes(classes, True, "")
        self.input_shape = checked_input(input_shape, input_tensor)
        self.input_tensor = input_tensor
        self.augmentation_model = augmentation_model
        self.weights = weights

    def build(self, hp: HyperParameters) -> Any:
        """The network, compiled.

        Raises:
            FatalRuntimeError: the weights cannot be fetched or read.
        """
        keras = keras_module()
        inputs, images = way_in(self.input_shape, self.input_tensor)
        images = self._augmented(images, hp)
        version = hp.Choice("version", list(SIZES), default="B0")
        images = keras.layers.Resizing(SIZES[version], SIZES[version], interpolation="bilinear")(images)
        features = self._features(version, images)
        features = pooled(hp, features)
        dropout = hp.Float("top_dropout_rate", min_value=0.2, max_value=0.8, step=0.2, default=0.2)
        features = keras.layers.Dropout(dropout, name="top_dropout")(features)
        classes = keras.layers.Dense(self.classes, activation="softmax", name="probs")(features)
        model = keras.Model(inputs, classes, name="EfficientNet")
        self._compile(model, hp)
        return model

    def _compile(self, model: Any, hp: HyperParameters) -> None:
        """Compiles the model; override it to compile in another way."""
        rate = hp.Choice("learning_rate", [0.1, 0.01, 0.001], default=0.01)
        optimizer = keras_module().optimizers.SGD(momentum=0.1, learning_rate=rate)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])

    def _augmented(self, images: Any, hp: HyperParameters) -> Any:
        model = self.augmentation_model
        if isinstance(model, HyperModel):
            model = model.build(hp)
            if not isinstance(model, keras_module().Model):
                raise FatalTypeError(f"augmentation_model: expected its build() to return a Keras model, got {model!r}")
        return images if model is None else model(images)

    def _features(self, version: str, images: Any) -> Any:
        """Output of the body, before pooling."""
        channels = images.shape[channel_axis()]
        if self.weights == "imagenet" and channels != 3:
            raise ValueError(
                f"input_shape: expected 3 channels, which the ImageNet weights were trained on, got {channels}; pass "
                "weights=None to start from random ones"
            )
        network = getattr(keras_module().applications, f"EfficientNet{version}")
        try:
            return network(include_top=False, weights=self.weights, input_tensor=images).output
        except Exception as error:
            if self.weights is None:
                raise
            raise FatalRuntimeError(
                f"weights: expected EfficientNet{version}'s weights {self.weights!r}, got {type(error).__name__}: "
                f"{error}; pass weights=None to start from random ones, or the path of a weights file"
            ) from error
