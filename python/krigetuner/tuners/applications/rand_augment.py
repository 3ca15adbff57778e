"""A simple RandAugment (Cubuk et al. 2019) as a Keras layer.

The one module that imports Keras at its head: Keras finds a saved layer's class by its module, so the class must stand
there. `image_augment` imports it when the first model is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras


def transform(name: str, factor: float, **kwargs: Any) -> Any:
    """The Keras layer of one transform.

    Args:
        name: "rotate", "translate_x", "translate_y" or "contrast".
        factor: its strength: a fraction of a full turn, of the width, of the height, or of the contrast.
        **kwargs: those of every Keras layer.
    """
    if name == "rotate":
        return keras.layers.RandomRotation(factor, **kwargs)
    if name == "contrast":
        return keras.layers.RandomContrast(factor, **kwargs)
    down, right = (0.0, factor) if name == "translate_x" else (factor, 0.0)
    return keras.layers.RandomTranslation(down, right, **kwargs)


@keras.saving.register_keras_serializable(package="krigetuner")
class RandAugment(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Gives each image one transform, drawn with equal chances; does nothing outside training.

    Args:
        factors: strength of each transform by its name; one with factor 0 leaves the images that draw it as they are.
        seed: of the draws; None takes one from Keras' global seed.
        **kwargs: those of every Keras layer.
    """

    def __init__(self, factors: Mapping[str, float], seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factors = {name: float(factor) for name, factor in factors.items()}
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.transforms = [
            None if factor == 0 else transform(name, factor, seed=seed, dtype=self.dtype_policy)
            for name, factor in self.factors.items()
        ]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Transforms a batch of images, (batch, height, width, channels) or with the channels first."""
        images = keras.ops.cast(inputs, self.compute_dtype)
        if not training or not self.transforms:
            return images
        shape = (keras.ops.shape(images)[0], 1, 1, 1)
        drawn = keras.ops.floor(keras.random.uniform(shape, maxval=len(self.transforms), seed=self.generator))
        result = images
        for index, layer in enumerate(self.transforms):
            if layer is not None:
                result = keras.ops.where(keras.ops.equal(drawn, float(index)), layer(images, training=True), result)
        return result

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "factors": self.factors, "seed": self.seed}
