"""What the image hypermodels share: their arguments and the checks of them, the way in, pooling."""

from __future__ import annotations

import operator
from typing import Any

from krigetuner.adapters.keras import keras_module
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.hypermodel import HyperModel


def checked_input(input_shape: Any, input_tensor: Any) -> tuple[int | None, ...] | None:
    """The shape of one image, or None where only a tensor was given.

    Raises:
        ValueError: neither was given, or the shape has not three entries that are None or positive.
    """
    if input_shape is None and input_tensor is None:
        raise ValueError(
            "You must specify either `input_shape` or `input_tensor`: expected one of them, got neither; pass "
            "input_shape=(height, width, channels)"
        )
    if input_shape is None:
        return None
    try:
        shape = tuple(None if size is None else operator.index(size) for size in input_shape)
    except TypeError:
        shape = ()
    if len(shape) != 3 or any(size is not None and size < 1 for size in shape):
        raise ValueError(
            f"input_shape: expected three positive whole numbers, or None where a size varies, got {input_shape!r}; "
            "pass (height, width, channels), without the batch"
        )
    return shape


def checked_classes(classes: Any, needed: bool, when: str) -> int | None:
    """The number of classes; None is allowed where they are not needed.

    Args:
        classes: what the caller gave.
        needed: whether the model ends in classes.
        when: ends the message, such as "when `include_top=True`".

    Raises:
        ValueError: they are needed and missing, or are no positive whole number.
    """
    if classes is None and not needed:
        return None
    if classes is None:
        raise ValueError(f"You must specify `classes`{when}: expected a whole number, got None")
    try:
        number = operator.index(classes)
    except TypeError:
        number = 0
    if number < 1 or isinstance(classes, bool):
        raise ValueError(f"classes: expected a whole number of at least 1, got {classes!r}; you must specify `classes`")
    return number


def way_in(input_shape: Any, input_tensor: Any) -> tuple[Any, Any]:
    """The inputs of the model, and the tensor on which its first layer acts."""
    keras = keras_module()
    if input_tensor is None:
        inputs = keras.Input(shape=input_shape)
        return inputs, inputs
    if not keras.backend.is_keras_tensor(input_tensor):
        raise ValueError(
            f"input_tensor: expected a Keras tensor, got {type(input_tensor).__name__}; pass what keras.Input() or a "
            "layer returned"
        )
    sources = keras.utils.get_source_inputs(input_tensor)
    return (sources[0] if len(sources) == 1 else sources), input_tensor


def channel_axis() -> int:
    """The axis of the channels in a batch of images: 3, or 1 with `channels_first`."""
    return 3 if keras_module().config.image_data_format() == "channels_last" else 1


def pooled(hp: HyperParameters, features: Any) -> Any:
    """The features of whole images; asks for `pooling`."""
    layers = keras_module().layers
    if hp.Choice("pooling", ["avg", "max"], default="avg") == "max":
        return layers.GlobalMaxPooling2D(name="max_pool")(features)
    return layers.GlobalAveragePooling2D(name="avg_pool")(features)


class ImageNetwork(HyperModel):
    """A network over one image, with a top of classes or without.

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

    def __init__(
        self,
        include_top: bool = True,
        input_shape: Any = None,
        input_tensor: Any = None,
        classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.classes = checked_classes(classes, include_top, " when `include_top=True`")
        self.input_shape = checked_input(input_shape, input_tensor)
        self.include_top = include_top
        self.input_tensor = input_tensor
