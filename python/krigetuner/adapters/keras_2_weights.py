"""Weights that KerasTuner saved under Keras 2, in TensorFlow's checkpoint format, for models of Keras 3.

Such a checkpoint names the variables of a Sequential or functional model by the count of the layer among those that
have any, and by their name in it: `layer_with_weights-1/kernel`. That is enough to find them again; where it is not
(variables of one name and shape in a layer, a model of another structure), an error says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from krigetuner.errors import MissingDependency

INDEX = "checkpoint.index"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def find(directory: Path, best_step: int) -> Path | None:
    """The path of a trial's checkpoint without its ending; None when there is none.

    Version 1.0 has one for an epoch, in `checkpoints/epoch_<number>`; later ones the best alone.
    """
    if (directory / INDEX).is_file():
        return directory / "checkpoint"
    epochs = sorted(directory.glob(f"checkpoints/epoch_*/{INDEX}"))
    best = [path for path in epochs if path.parent.name == f"epoch_{best_step}"]
    return (best or epochs)[0].with_suffix("") if epochs else None


def load(model: Any, checkpoint: Path) -> None:
    """Puts the weights of a checkpoint into a built model.

    Raises:
        ValueError: the model is not built, or another one.
        MissingDependency: TensorFlow, which reads the format, is not installed.
    """
    stored = _variables(checkpoint)
    layers = [layer for layer in model.layers if layer.weights] if model.built else []
    if not layers:
        raise ValueError(
            f"{checkpoint}: expected a model that is built by its hypermodel, got one that is not; begin it with "
            "keras.Input(shape)"
        )
    found = [_matched(checkpoint, stored, count, layer) for count, layer in enumerate(layers)]
    more = sorted({name.split("/")[0] for name in stored} - {f"layer_with_weights-{n}" for n in range(len(layers))})
    if more:
        raise ValueError(f"{checkpoint}: expected the weights of {len(layers)} layers, got {', '.join(more)} too")
    for pairs in found:
        for variable, value in pairs:
            variable.assign(value)


def _variables(checkpoint: Path) -> dict[str, Any]:
    """The values of the layers' variables by name, without those of the optimizer."""
    try:
        import tensorflow
    except ImportError as error:
        raise MissingDependency(
            f"{checkpoint}: expected TensorFlow, which reads weights of Keras 2; pip install 'krigetuner[tensorflow]'"
        ) from error
    reader = tensorflow.train.load_checkpoint(str(checkpoint))
    names = [n.removesuffix(VALUE) for n in reader.get_variable_to_shape_map() if n.endswith(VALUE)]
    layers = [n for n in names if n.startswith("layer_with_weights-") and "/.OPTIMIZER_SLOT" not in n]
    return {name: reader.get_tensor(name + VALUE) for name in layers}


def _matched(checkpoint: Path, stored: dict[str, Any], count: int, layer: Any) -> list[tuple[Any, Any]]:
    """Each weight of a layer with its stored value."""
    mine = {name: value for name, value in stored.items() if name.split("/")[0] == f"layer_with_weights-{count}"}
    pairs = []
    for weight in layer.weights:
        shape = tuple(weight.shape)
        names = [n for n, value in mine.items() if n.split("/")[-1] == weight.name and value.shape == shape]
        if len(names) != 1:
            held = ", ".join(f"{n} {value.shape}" for n, value in sorted(mine.items())) or "nothing"
            raise ValueError(
                f"{checkpoint}: expected one {weight.name} of shape {shape} for layer {layer.name}, got {held}; the "
                "hypermodel must build the model that was saved"
            )
        pairs.append((weight, mine.pop(names[0])))
    return pairs
