"""Residual networks: ResNet (He et al. 2015), ResNet v2 (He et al. 2016) and ResNeXt (Xie et al. 2017).

Layers have the names, the order and the sizes that KerasTuner's have, so that weights go from one to the other.
"""

from __future__ import annotations

from typing import Any

from krigetuner.adapters.keras import keras_module
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.applications.image_input import ImageNetwork, channel_axis, pooled, way_in

EPSILON = 1.001e-5
GROUPS = 32
"""Groups of a ResNeXt convolution."""
STAGES: dict[str, tuple[tuple[int, int], ...]] = {
    "v1": ((64, 1), (128, 2), (256, 2), (512, 2)),
    "v2": ((64, 2), (128, 2), (256, 2), (512, 1)),
    "next": ((64, 2), (256, 2), (512, 2), (1024, 1)),
}
"""For each version the filters and the stride of conv2, conv3, conv4 and conv5."""


class HyperResNet(ImageNetwork):
    """A residual network whose version, depth, pooling and training are tuned.

    Asks for `version`, `conv3_depth`, `conv4_depth`, `pooling` and, with a top, `optimizer` and `learning_rate`.

    Args:
        include_top: whether the network ends in a softmax over `classes` and is compiled for one-hot labels; otherwise
            `build` returns the body after pooling, not compiled.
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
        version = hp.Choice("version", ["v1", "v2", "next"], default="v2")
        depths = (3, hp.Choice("conv3_depth", [4, 8]), hp.Choice("conv4_depth", [6, 23, 36]), 3)
        if version not in STAGES:
            raise ValueError(f"version: expected one of {', '.join(STAGES)}, got {version!r}")
        inputs, images = way_in(self.input_shape, self.input_tensor)
        features = _Residual(version).body(images, depths)
        features = pooled(hp, features)
        if not self.include_top:
            return keras.Model(inputs, features, name="ResNet")
        classes = keras.layers.Dense(self.classes, activation="softmax", name="probs")(features)
        model = keras.Model(inputs, classes, name="ResNet")
        optimizer = keras.optimizers.get(hp.Choice("optimizer", ["adam", "rmsprop", "sgd"], default="adam"))
        optimizer.learning_rate = hp.Choice("learning_rate", [0.1, 0.01, 0.001], default=0.01)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
        return model


class _Residual:
    """Layers of one version; every method takes a tensor and returns one."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.layers = keras_module().layers
        self.axis = channel_axis()

    def body(self, x: Any, depths: tuple[int, ...]) -> Any:
        """All layers before pooling; `depths` holds the number of blocks of each stage."""
        x = self.layers.ZeroPadding2D(3, name="conv1_pad")(x)
        x = self.layers.Conv2D(64, 7, strides=2, use_bias=self.version != "next", name="conv1_conv")(x)
        if self.version != "v2":  # v2 normalises inside its blocks, and once at the end
            x = self.norm_relu(x, "conv1")
        x = self.layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = self.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
        block = {"v1": self.bottleneck, "v2": self.preactivated, "next": self.grouped}[self.version]
        for stage, (depth, (filters, stride)) in enumerate(zip(depths, STAGES[self.version], strict=True), start=2):
            shrinking = depth if self.version == "v2" else 1  # the block that has the stage's stride
            for number in range(1, depth + 1):
                x = block(x, filters, stride if number == shrinking else 1, number == 1, f"conv{stage}_block{number}")
        return self.norm_relu(x, "post") if self.version == "v2" else x

    def bottleneck(self, x: Any, filters: int, stride: int, project: bool, name: str) -> Any:
        """1x1, 3x3, 1x1, each normalised; the shortcut joins before the last relu."""
        shortcut = x
        if project:
            shortcut = self.norm(self.conv(x, 4 * filters, name=f"{name}_0", strides=stride), f"{name}_0")
        x = self.norm_relu(self.conv(x, filters, name=f"{name}_1", strides=stride), f"{name}_1")
        x = self.norm_relu(self.conv(x, filters, 3, f"{name}_2", padding="same"), f"{name}_2")
        x = self.norm(self.conv(x, 4 * filters, name=f"{name}_3"), f"{name}_3")
        x = self.layers.Add(name=f"{name}_add")([shortcut, x])
        return self.layers.Activation("relu", name=f"{name}_out")(x)

    def preactivated(self, x: Any, filters: int, stride: int, project: bool, name: str) -> Any:
        """Normalised and activated before each convolution; nothing after the sum."""
        before = self.norm_relu(x, f"{name}_preact")
        if project:
            shortcut = self.conv(before, 4 * filters, name=f"{name}_0", strides=stride)
        elif stride > 1:
            shortcut = self.layers.MaxPooling2D(1, strides=stride)(x)
        else:
            shortcut = x
        x = self.norm_relu(self.conv(before, filters, name=f"{name}_1", use_bias=False), f"{name}_1")
        x = self.layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
        x = self.norm_relu(self.conv(x, filters, 3, f"{name}_2", strides=stride, use_bias=False), f"{name}_2")
        x = self.conv(x, 4 * filters, name=f"{name}_3")
        return self.layers.Add(name=f"{name}_out")([shortcut, x])

    def grouped(self, x: Any, filters: int, stride: int, project: bool, name: str) -> Any:
        """As `bottleneck`, with a 3x3 convolution in groups, without biases."""
        wide, shortcut = (64 // GROUPS) * filters, x
        if project:
            convolved = self.conv(x, wide, name=f"{name}_0", strides=stride, use_bias=False)
            shortcut = self.norm(convolved, f"{name}_0")
        x = self.norm_relu(self.conv(x, filters, name=f"{name}_1", use_bias=False), f"{name}_1")
        x = self.norm_relu(self.grouped_conv(x, filters, stride, f"{name}_2"), f"{name}_2")
        x = self.norm(self.conv(x, wide, name=f"{name}_3", use_bias=False), f"{name}_3")
        x = self.layers.Add(name=f"{name}_add")([shortcut, x])
        return self.layers.Activation("relu", name=f"{name}_out")(x)

    def grouped_conv(self, x: Any, filters: int, stride: int, name: str) -> Any:
        """A 3x3 convolution in groups of c = filters / 32 channels: depthwise with c outputs for each, then sums.

        TensorFlow has no gradient of `Conv2D(groups=...)` on CPUs.
        """
        c, layers = filters // GROUPS, self.layers
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        x = layers.DepthwiseConv2D(3, strides=stride, depth_multiplier=c, use_bias=False, name=f"{name}_conv")(x)
        first, last = (tuple(x.shape[1:-1]), ()) if self.axis == 3 else ((), tuple(x.shape[2:]))
        x = layers.Reshape((*first, GROUPS, c, c, *last))(x)  # group, input within it, output within it
        x = keras_module().ops.sum(x, axis=len(first) + 2)
        return layers.Reshape((*first, filters, *last))(x)

    def conv(self, x: Any, filters: int, size: int = 1, name: str = "", **kwargs: Any) -> Any:
        return self.layers.Conv2D(filters, size, name=f"{name}_conv", **kwargs)(x)

    def norm(self, x: Any, name: str) -> Any:
        return self.layers.BatchNormalization(axis=self.axis, epsilon=EPSILON, name=f"{name}_bn")(x)

    def norm_relu(self, x: Any, name: str) -> Any:
        return self.layers.Activation("relu", name=f"{name}_relu")(self.norm(x, name))
