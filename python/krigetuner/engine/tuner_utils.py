"""Callbacks of a trial's training, and what its results may be. Names of `keras_tuner.engine.tuner_utils`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from krigetuner.adapters.results import (
    average_histories,
    average_metrics_dicts,
    convert_to_metrics_dict,
    get_best_step,
    validate_trial_results,
)

if TYPE_CHECKING:
    from krigetuner.adapters.tensorboard import hparams as convert_hyperparams_to_hparams

    TunerCallback: Any
    SaveBestEpoch: Any

__all__ = [
    "SaveBestEpoch",
    "TunerCallback",
    "average_histories",
    "average_metrics_dicts",
    "convert_hyperparams_to_hparams",
    "convert_to_metrics_dict",
    "get_best_step",
    "validate_trial_results",
]


def __getattr__(name: str) -> Any:
    """Imports what needs Keras when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "convert_hyperparams_to_hparams":
        from krigetuner.adapters.tensorboard import hparams

        return hparams
    from krigetuner.adapters import trial_callbacks

    return trial_callbacks.tuner_callback() if name == "TunerCallback" else trial_callbacks.save_best_epoch()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
