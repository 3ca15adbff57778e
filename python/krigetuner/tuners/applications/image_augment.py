"""Augmentation of images: which random transforms, how strong, how many."""

from __future__ import annotations

import math
from typing import Any

from krigetuner.adapters.keras import keras_module
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.applications.image_input import checked_input, way_in
from krigetuner.tuners.applications.transforms import rand_augment, transformed
from krigetuner.tuners.hypermodel import HyperModel

Range = tuple[float, float]


class HyperImageAugment(HyperModel):
    """Random rotation, translation and contrast whose strengths, and number, are tuned.

    `build` returns a model, not compiled, whose output has the shape of its input; it transforms in training only. Each
    strength is searched from 0 to a number x, between the two ends of a pair, or is off with None or 0; the
    hyperparameters are `factor_rotate`, `factor_translate_x`, `factor_translate_y` and `factor_contrast`.

    Args:
        input_shape: of one image, (height, width, channels); needed unless `input_tensor` is given.
        input_tensor: a Keras tensor to build on, in place of an input of its own.
        rotate: largest rotation either way, as a fraction of a full turn.
        translate_x: largest shift to the left or right, as a fraction of the width.
        translate_y: largest shift up or down, as a fraction of the height.
        contrast: largest relative change of contrast; images have values from 0 to 255.
        augment_layers: with a number n, 1 to n layers of RandAugment are searched (`augment_layers`), and with a pair
            as many as lie between its ends; each layer gives each image one transform drawn with equal chances. With 0
            or None every transform is applied to every image, and strengths are searched in steps of 0.05.
        **kwargs: those of `HyperModel`.

    Raises:
        ValueError: neither input was given; a strength or `augment_layers` is no number or pair of numbers in order.
    """

    def __init__(
        self,
        input_shape: Any = None,
        input_tensor: Any = None,
        rotate: Any = 0.5,
        translate_x: Any = 0.4,
        translate_y: Any = 0.4,
        contrast: Any = 0.3,
        augment_layers: Any = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_shape = checked_input(input_shape, input_tensor)
        self.input_tensor = input_tensor
        given = {"rotate": rotate, "translate_x": translate_x, "translate_y": translate_y, "contrast": contrast}
        self.transforms: list[tuple[str, Range]] = [
            (name, _strengths(name, value)) for name, value in given.items() if not _off(value)
        ]
        self.model_name = "image_augment" if _off(augment_layers) else "image_rand_augment"
        if not _off(augment_layers):
            self.augment_layers_min, self.augment_layers_max = _counts(augment_layers)

    def build(self, hp: HyperParameters) -> Any:
        """The model that augments."""
        inputs, images = way_in(self.input_shape, self.input_tensor)
        layered = self._every if self.model_name == "image_augment" else self._drawn
        return keras_module().Model(inputs, layered(images, hp), name=self.model_name)

    def _drawn(self, images: Any, hp: HyperParameters) -> Any:
        """One transform for each image in each layer."""
        fewest, most = self.augment_layers_min, self.augment_layers_max
        for layer in range(hp.Int("augment_layers", fewest, most, default=fewest)):
            factors = {
                name: hp.Float(f"factor_{name}", low, high, default=low) for name, (low, high) in self.transforms
            }
            if any(factors.values()):  # all zero: the layer would do nothing
                images = rand_augment(tuple(images.shape[1:]), factors, f"rand_augment_{layer + 1}")(images)
        return images

    def _every(self, images: Any, hp: HyperParameters) -> Any:
        """Every transform for every image."""
        for name, (low, high) in self.transforms:
            images = transformed(images, name, hp.Float(f"factor_{name}", low, high, step=0.05, default=low))
        return images


def _off(value: Any) -> bool:
    """Whether an argument switches its transform off: None, False, 0 or an empty list."""
    return value is None or (isinstance(value, bool | int | float) and value == 0) or value in ((), [])


def _strengths(name: str, value: Any) -> Range:
    """Least and greatest strength.

    Raises:
        ValueError: not a number or a pair of numbers, 0 <= least <= greatest, and at most 1 but for a rotation.
    """
    pair = tuple(value) if isinstance(value, list | tuple) else (0, value)
    if len(pair) != 2:
        raise ValueError(
            f"{name}: expected a number or a pair of numbers, got {value!r}; its length must not exceed 2 or fall short"
        )
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in pair):
        raise ValueError(f"{name}: expected a number or a pair of numbers, got {value!r}; they must be int or float")
    low, high = pair
    if not 0 <= low <= high < math.inf or (high > 1 and name != "rotate"):
        limit = "" if name == "rotate" else " <= 1"
        raise ValueError(
            f"{name}: expected 0 <= least <= greatest{limit}, got {value!r}; a number x stands for the pair (0, x)"
        )
    return low, high


def _counts(value: Any) -> tuple[int, int]:
    """Fewest and most layers.

    Raises:
        ValueError: not a whole number of at least 1, or a pair of whole numbers in order.
    """
    pair = tuple(value) if isinstance(value, list | tuple) else (1, value)
    if len(pair) != 2 or not all(isinstance(x, int) for x in pair) or not 0 <= pair[0] <= pair[1]:
        raise ValueError(
            "augment_layers: expected a whole number of at least 1, a pair of whole numbers in order, or 0, got "
            f"{value!r}; layers must be int"
        )
    return int(pair[0]), int(pair[1])
