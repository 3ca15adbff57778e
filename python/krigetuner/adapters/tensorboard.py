"""TensorBoard: a directory of its own for each execution, and the hyperparameters in the HParams tab."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from krigetuner.space.parameters import Boolean, Choice, Fixed, Float, HyperParameter, Int
from krigetuner.space.recorder import HyperParameters


def separate_logs(callbacks: Sequence[Any], trial_id: str, execution: int, hp: HyperParameters) -> list[Any]:
    """Sends each TensorBoard callback to `log_dir/<trial_id>/execution<k>`.

    Returns:
        Callbacks to add: one that logs the hyperparameters, for each of them, where tensorboard and TensorFlow are
        there; Keras' own callback needs them too, whatever the backend.
    """
    added: list[Any] = []
    for callback in callbacks:
        if type(callback).__name__ == "TensorBoard" and hasattr(callback, "log_dir"):
            callback.log_dir = str(Path(str(callback.log_dir)) / str(trial_id) / f"execution{execution}")
            added += _hparams_callback(callback.log_dir, trial_id, hp)
    return added


def _hparams_callback(log_dir: str, trial_id: str, hp: HyperParameters) -> list[Any]:
    try:
        from tensorboard.plugins.hparams import api
    except ModuleNotFoundError:
        return []
    return [api.KerasCallback(writer=log_dir, hparams=hparams(hp, api), trial_id=trial_id)]


def hparams(hyperparams: HyperParameters, hparams_api: Any) -> dict[Any, Any]:
    """The active hyperparameters with their ranges, and their values, in the terms of TensorBoard's HParams API."""
    values = hyperparams._values
    active = (p for p in hyperparams.space if p.name in values)
    return {hparams_api.HParam(p.name, _domain(p, hparams_api)): values[p.name] for p in active}


def _domain(parameter: HyperParameter, api: Any) -> Any:
    """The range of a parameter in TensorBoard's terms."""
    if isinstance(parameter, Boolean):
        return api.Discrete([True, False])
    if isinstance(parameter, Fixed):
        return api.Discrete([parameter.value])
    if isinstance(parameter, Choice) or getattr(parameter, "step", None) is not None:
        values = list(parameter.values)
        return api.Discrete(values, dtype=type(values[0]))
    if isinstance(parameter, Int):
        return api.IntInterval(parameter.min_value, parameter.max_value)
    if isinstance(parameter, Float):
        return api.RealInterval(float(parameter.min_value), float(parameter.max_value))
    return None
