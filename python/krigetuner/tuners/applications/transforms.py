"""Random transforms of images, made of Keras' own layers only, so that a saved model needs nothing of ours to load."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from krigetuner.adapters.keras import keras_module


def transformed(images: Any, name: str, factor: float) -> Any:
    """A batch of images, each at random transformed in training, as they are in prediction.

    Args:
        images: (batch, height, width, channels), or with the channels first.
        name: "rotate", "translate_x", "translate_y" or "contrast".
        factor: the greatest strength: a fraction of a full turn, of the width, of the height, or of the contrast.
    """
    layers = keras_module().layers
    if factor == 0:
        return images
    if name == "rotate":
        return layers.RandomRotation(factor)(images)
    if name == "contrast":
        return layers.RandomContrast(factor)(images)
    down, right = (0.0, factor) if name == "translate_x" else (factor, 0.0)
    return layers.RandomTranslation(down, right)(images)


def rand_augment(shape: tuple[int | None, ...], factors: Mapping[str, float], name: str) -> Any:
    """A model that gives each image one transform, drawn with equal chances: a simple RandAugment (Cubuk et al. 2019).

    One normal number z is drawn for each image, and n transforms divide its range at the quantiles 1/n, ..., (n-1)/n.
    The layer that draws z gives 0 outside training, where every transform returns the image itself.

    Args:
        shape: of one image.
        factors: strength of each transform by its name; images that draw one with factor 0 stay as they are.
        name: of the model.
    """
    keras = keras_module()
    images = keras.Input(shape)
    nothing = keras.ops.zeros_like(keras.ops.mean(images, axis=(1, 2, 3), keepdims=True))
    drawn = keras.layers.GaussianNoise(1.0)(nothing)
    *others, last = [transformed(images, *each) for each in factors.items()]
    result = last
    for index in range(len(others), 0, -1):
        below = keras.ops.less(drawn, NormalDist().inv_cdf(index / len(factors)))
        result = keras.ops.where(below, others[index - 1], result)
    return keras.Model(images, result, name=name)
