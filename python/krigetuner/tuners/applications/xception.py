"""A small Xception (Chollet 2017): separable convolutions in residual blocks, then dense layers."""

from __future__ import annotations

from typing import Any

from krigetuner.adapters.keras import keras_module
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.applications.image_input import ImageNetwork, channel_axis, way_in


class HyperXception(ImageNetwork):
    """An Xception whose sizes, activation, pooling, dense layers and learning rate are tuned.

    Asks for `activation`, `conv2d_num_filters`, `kernel_size`, `initial_strides`, `sep_num_filters`,
    `num_residual_blocks`, `pooling` and, with a top, `num_dense_layers`, `dropout_rate`, `dense_use_bn` and
    `learning_rate`.

    Args:
        include_top: whether dense layers and a softmax over `classes` follow, and the model is compiled for one-hot
            labels; otherwise `build` returns the body after pooling, not compiled.
        input_shape: of one image, (height, width, channels); needed unless `input_tensor` is given.
        input_tensor: a Keras tensor to build on, in place of an input of its own.
        classes: number of classes; needed with a top.
        **kwargs: those of `HyperModel`.

    Raises:
        ValueError: neither input was given, or no classes with a top.
    """

    def build(self, hp: HyperParameters) -> Any:
        """The network; compiled when it has a top."""
        keras = keras_module()
        inputs, images = way_in(self.input_shape, self.input_tensor)
        parts = _Separable(hp.Choice("activation", ["relu", "selu"]))
        features = self._body(hp, parts, images)
        if not self.include_top:
            return keras.Model(inputs, features, name="Xception")
        depth = hp.Int("num_dense_layers", 1, 3)
        dropout = hp.Float("dropout_rate", 0.0, 0.6, step=0.1, default=0.5)
        normalised = hp.Choice("dense_use_bn", [True, False])
        for _ in range(depth):
            features = parts.dense(features, self.classes, normalised, dropout)
        classes = keras.layers.Dense(self.classes, activation="softmax")(features)
        model = keras.Model(inputs, classes, name="Xception")
        optimizer = keras.optimizers.Adam(hp.Choice("learning_rate", [1e-3, 1e-4, 1e-5]))
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
        return model

    def _body(self, hp: HyperParameters, parts: _Separable, x: Any) -> Any:
        layers = keras_module().layers
        filters = hp.Choice("conv2d_num_filters", [32, 64, 128], default=64)
        x = parts.conv(x, filters, hp.Choice("kernel_size", [3, 5]), hp.Choice("initial_strides", [2]))
        width = hp.Int("sep_num_filters", 128, 768, step=128, default=256)
        for _ in range(hp.Int("num_residual_blocks", 2, 8, default=4)):
            x = parts.residual(x, width)
        x = parts.halving_residual(x, 2 * width)
        pooling = hp.Choice("pooling", ["avg", "flatten", "max"])
        kinds = {"avg": layers.GlobalAveragePooling2D, "flatten": layers.Flatten, "max": layers.GlobalMaxPooling2D}
        return kinds[pooling]()(x)


class _Separable:
    """Layers for one activation: relu after normalisation, or selu, which normalises itself (Klambauer et al. 2017)."""

    def __init__(self, activation: str) -> None:
        self.selu = activation == "selu"
        self.layers = keras_module().layers
        self.axis = channel_axis()

    def normalised(self, x: Any) -> Any:
        x = self.layers.BatchNormalization(axis=self.axis)(x)
        return self.layers.Activation("relu")(x)

    def conv(self, x: Any, filters: int, size: int, strides: int) -> Any:
        """A plain convolution."""
        if self.selu:
            own: dict[str, Any] = {"activation": "selu", "kernel_initializer": "lecun_normal"}
            return self.layers.Conv2D(filters, size, strides=strides, padding="same", **own)(x)
        return self.normalised(self.layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x))

    def separable(self, x: Any, filters: int) -> Any:
        """A 3x3 convolution of each channel, then one across the channels."""
        if self.selu:
            weights = dict.fromkeys(("depthwise_initializer", "pointwise_initializer"), "lecun_normal")
            return self.layers.SeparableConv2D(filters, 3, padding="same", activation="selu", **weights)(x)
        return self.normalised(self.layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x))

    def residual(self, x: Any, filters: int) -> Any:
        """Two separable convolutions beside a shortcut, which is projected where the channels differ."""
        shortcut = x if x.shape[self.axis] == filters else self.layers.Conv2D(filters, 1, padding="same")(x)
        return self.layers.Add()([self.separable(self.separable(x, filters), filters), shortcut])

    def halving_residual(self, x: Any, filters: int) -> Any:
        """As `residual`, and both sides halve height and width."""
        shortcut = self.layers.Conv2D(filters, 1, strides=2, padding="same")(x)
        x = self.separable(self.separable(x, filters), filters)
        return self.layers.Add()([self.layers.MaxPooling2D(3, strides=2, padding="same")(x), shortcut])

    def dense(self, x: Any, units: Any, normalised: bool, dropout: float) -> Any:
        """A dense layer and its dropout; `normalised` counts with relu only."""
        if self.selu:
            x = self.layers.Dense(units, activation="selu", kernel_initializer="lecun_normal")(x)
        else:
            x = self.layers.Dense(units, activation="relu")(x)
            if normalised:
                x = self.layers.BatchNormalization()(x)
        return self.layers.Dropout(dropout)(x) if dropout else x
