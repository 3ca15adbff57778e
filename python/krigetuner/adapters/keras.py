"""Keras models: built, checked, watched while they train. Keras itself is imported when the first model is built."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np

from krigetuner.adapters.function import advice, names_of, number_of, refuse_several
from krigetuner.errors import FailedTrialError, FatalTypeError, FatalValueError, MissingDependency
from krigetuner.trial.objective import Objective

_MUTED: ContextVar[bool] = ContextVar("_MUTED", default=False)
"""Whether fits that begin here show no progress bars."""

LOGGING = ("fit", "evaluate", "train_step", "test_step", "compute_metrics", "get_metrics_result")
"""Methods of models that decide what is logged."""


def keras_module() -> Any:
    """Keras, with the backend that the user chose.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import keras
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] not in {"keras", "tensorflow", "jax", "torch"}:
            raise
        raise MissingDependency(
            f"keras: expected Keras 3 and one of its backends, got {error}; pip install 'krigetuner[tensorflow]'"
        ) from error
    return keras


class Watcher(Protocol):
    """What is told about a fit."""

    def train_begin(self, model: Any) -> None:
        """A fit begins."""

    def epoch_begin(self, model: Any, epoch: int, logs: Mapping[str, Any]) -> None:
        """An epoch begins; epochs count from 0."""

    def epoch_end(self, model: Any, epoch: int, logs: Mapping[str, Any]) -> None:
        """An epoch has ended with these metrics."""

    def train_end(self, model: Any) -> None:
        """A fit has ended."""


def watching_callback(watcher: Watcher) -> Any:
    """A Keras callback that tells `watcher`."""
    keras = keras_module()

    class Watching(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_train_begin(self, logs: Any = None) -> None:
            watcher.train_begin(self.model)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            watcher.epoch_begin(self.model, epoch, logs or {})

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            watcher.epoch_end(self.model, epoch, logs or {})

        def on_train_end(self, logs: Any = None) -> None:
            watcher.train_end(self.model)

    return Watching()


def batch_callback(begin: Any, end: Any) -> Any:
    """A Keras callback that calls `begin(model, batch, logs)` and `end(model, batch, logs)` around training batches."""
    keras = keras_module()

    class Batches(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            begin(self.model, batch, logs)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            end(self.model, batch, logs)

    return Batches()


def fresh_session() -> None:
    """Frees what earlier models left behind; Keras collects the garbage itself."""
    keras_module().utils.clear_session()


def seed_training(seed: int | None, execution: int) -> None:
    """Seeds Python, numpy and the Keras backend for one execution; does nothing without a seed."""
    if seed is not None:
        keras_module().utils.set_random_seed(int(np.random.SeedSequence([seed, execution]).generate_state(1)[0]))


def checked_model(model: Any, max_model_size: int | None) -> Any:
    """The model itself, when it is one and not too large.

    Raises:
        FatalTypeError: it is no Keras model.
        FailedTrialError: it has more trainable scalars than `max_model_size`.
    """
    if not isinstance(model, keras_module().Model):
        hint = "did you forget `return model`?" if model is None else "return the compiled model"
        raise FatalTypeError(
            "Expected the model-building function, or HyperModel.build(), to return a valid Keras Model instance, got "
            f"{model!r} of type {type(model).__name__}; {hint}"
        )
    size = sum(int(np.prod(v.shape)) for v in model.trainable_variables) if model.built else 0
    if max_model_size is not None and size > max_model_size:
        raise FailedTrialError(
            f"Oversized model: {size} trainable parameters where max_model_size is {max_model_size}; raise it, or "
            "narrow the ranges of what makes models large"
        )
    return model


def compile_again(model: Any, optimizer: Any, loss: Any, metrics: Any) -> None:
    """Compiles the model with what the tuner was given in place of what the hypermodel chose."""
    if optimizer is None and loss is None and metrics is None:
        return
    keras = keras_module()
    if optimizer is not None and not isinstance(optimizer, str):
        optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))  # each model needs its own
    given = {"optimizer": optimizer, "loss": loss, "metrics": _fresh_metrics(metrics)}
    model.compile(**{**_compiled_with(model), **{k: v for k, v in given.items() if v is not None}})


def _fresh_metrics(given: Any) -> Any:
    """The same metrics with a state of their own; `copy.deepcopy` knows only those whose classes are registered."""
    if isinstance(given, list | tuple):
        return [_fresh_metrics(metric) for metric in given]
    if isinstance(given, Mapping):
        return {output: _fresh_metrics(metrics) for output, metrics in given.items()}
    if not isinstance(given, keras_module().Metric):
        return given
    try:
        return given.from_config(given.get_config())
    except (TypeError, ValueError):  # its config lacks arguments or classes: all models share it, as in KerasTuner
        return given


def _compiled_with(model: Any) -> dict[str, Any]:
    """Arguments of the model's `compile`, the objects themselves: it is fresh, so that nothing else uses them."""
    if not getattr(model, "compiled", False):
        return {}
    config = model.get_compile_config() or {}
    kept = {k: config[k] for k in ("loss_weights", "run_eagerly", "steps_per_execution", "jit_compile") if k in config}
    names = {"metrics": "_user_metrics", "weighted_metrics": "_user_weighted_metrics"}
    holder = getattr(model, "_compile_metrics", None)  # None without metrics; the config would need registered classes
    metrics = {k: getattr(holder, own) for k, own in names.items() if getattr(holder, own, None) is not None}
    return {**kept, **metrics, "optimizer": model.optimizer, "loss": model.loss}


def copied_callbacks(callbacks: Any) -> list[Any]:
    """Copies of the user's callbacks for one execution.

    Raises:
        FatalValueError: one of them cannot be copied.
    """
    found = [] if callbacks is None else list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    copies = []
    for callback in found:
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:
            raise FatalValueError(
                "All callbacks used during a search should be deep-copyable, since every execution gets its own; "
                f"{callback!r} gave {type(error).__name__}: {error}; open files and locks in on_train_begin, or define "
                "__deepcopy__"
            ) from error
    return copies


def in_scope(distribution_strategy: Any) -> AbstractContextManager[Any]:
    """The scope of a distribution strategy, or nothing."""
    scope: AbstractContextManager[Any] = (
        nullcontext() if distribution_strategy is None else distribution_strategy.scope()
    )
    return scope


@contextmanager
def bars_off(off: bool) -> Iterator[None]:
    """Keeps the progress bars that Keras draws when it is told nothing out of the block.

    What was asked for is shown: fits with a `verbose` of their own, messages of callbacks, `model.summary()`.
    """
    if off:
        _make_bars_mutable()
    muted = _MUTED.set(off)
    try:
        yield
    finally:
        _MUTED.reset(muted)


def _make_bars_mutable() -> None:
    """Has every bar take `_MUTED` from where its fit begins, unless the fit was told how verbose to be.

    Keras' own setting is of one thread only, and with JAX and PyTorch bars are drawn in other threads than the fit's;
    it would also silence what was asked for.
    """
    bars = keras_module().callbacks.ProgbarLogger
    own = bars.set_params
    if hasattr(own, "mutable"):
        return

    @functools.wraps(own)
    def set_params(self: Any, params: Any) -> None:
        own(self, params)
        if _MUTED.get() and params["verbose"] == "auto":
            self.verbose = 0

    set_params.mutable = True  # type: ignore[attr-defined]
    bars.set_params = set_params


# --- the objective, before an epoch is spent ------------------------------------------------------------------------


def check_validation(objective: Objective, fit_kwargs: Mapping[str, Any]) -> None:
    """Refuses an objective on validation data when there are none.

    Raises:
        FatalValueError: neither validation_data nor validation_split is among the arguments of `fit`.
    """
    wanted = [name for name in names_of(objective) if name.startswith("val_")]
    if wanted and not has_validation(fit_kwargs):
        raise FatalValueError(
            f"objective: expected validation data for {', '.join(wanted)}, got neither validation_data nor "
            f"validation_split in search(){advice(wanted, [])}"
        )


def has_validation(fit_kwargs: Mapping[str, Any]) -> bool:
    """Whether the arguments of a fit bring validation data."""
    return fit_kwargs.get("validation_data") is not None or bool(fit_kwargs.get("validation_split"))


def check_metrics(objective: Objective, model: Any, callbacks: Sequence[Any], validation: bool) -> None:
    """Refuses an objective that the training will not log, where that can be known before the first epoch.

    It cannot for several outputs, for a model with steps or metrics of its own, and when a callback of the user's may
    add to the logs; the first epoch's logs tell then.

    Args:
        objective: of the search.
        model: compiled.
        callbacks: the user's.
        validation: whether there are validation data.

    Raises:
        FatalValueError: the message lists the names that will be in the logs.
    """
    known, added = compiled_names(model), logged_by(callbacks)
    if known is None or added is None:
        return
    logged = known | added | ({f"val_{name}" for name in known} if validation else set())
    missing = [name for name in names_of(objective) if name not in logged]
    if missing:
        folded = {name.lower(): name for name in sorted(logged)}  # val_auc is near val_AUC
        similar = [folded[near] for name in missing for near in difflib.get_close_matches(name.lower(), folded, 1)]
        hint = f"; did you mean {', '.join(map(repr, similar))}?" if similar else ""
        raise FatalValueError(
            f"objective: expected {', '.join(missing)} among the metrics that the model is compiled with, got "
            f"{sorted(logged)}; compile the model with that metric, or name one of these{hint}"
        )


def logged_by(callbacks: Sequence[Any]) -> set[str] | None:
    """What callbacks add to the logs of an epoch; None where one may add anything."""
    names: set[str] = set()
    for callback in callbacks:
        kind = type(callback)
        if not kind.__module__.startswith("keras.") or kind.__name__ == "LambdaCallback":
            return None
        if kind.__name__ in {"LearningRateScheduler", "ReduceLROnPlateau"}:
            names.add("learning_rate")
    return names


def act_at_the_end(callbacks: Sequence[Any]) -> bool:
    """Whether callbacks of the user's may add to the History when a fit ends."""
    plain = keras_module().callbacks.Callback.on_train_end
    own = (c for c in callbacks if logged_by([c]) is None)
    return any("on_train_end" in vars(c) or getattr(type(c), "on_train_end", plain) is not plain for c in own)


def compiled_names(model: Any) -> set[str] | None:
    """Names that a fit of the model logs, without "val_"; None where they cannot be known."""
    if redefines(model, LOGGING) or not getattr(model, "compiled", False) or _may_bring_metrics(model):
        return None
    if len(getattr(model, "outputs", None) or [None]) > 1:
        return None
    try:
        config = model.get_compile_config() or {}
    except (TypeError, ValueError):  # compiled with objects that cannot be serialised
        return None
    names = {"loss", *(m.name for m in model.metrics if m.name not in {"loss", "compile_metrics"})}
    seen: list[str] = []
    for argument, prefix in (("metrics", ""), ("weighted_metrics", "weighted_")):
        for metric in _listed(config.get(argument)):
            name = _metric_name(metric)
            if name is None:
                return None
            name = prefix + name if name in seen else name  # Keras tells the second one of a name apart
            seen.append(name)
            names.add(name if seen.count(name) == 1 else f"{name}_{seen.count(name) - 1}")
    return names


def redefines(model: Any, names: Iterable[str]) -> bool:
    """Whether the model has one of these methods of its own."""
    keras = keras_module()
    return any(n in vars(model) or getattr(type(model), n) is not getattr(keras.Model, n) for n in names)


def _may_bring_metrics(model: Any) -> bool:
    """Whether layers of the user's own are still to be built: they may make metrics then."""
    layers = [] if model.built else [model, *model._flatten_layers()]
    return any(not type(layer).__module__.startswith("keras.") for layer in layers)


def _listed(metrics: Any) -> list[Any]:
    return [] if metrics is None else list(metrics) if isinstance(metrics, list | tuple) else [metrics]


def _metric_name(config: Any) -> str | None:
    """The logged name of one metric of a compile config."""
    if isinstance(config, str):
        return config
    if isinstance(config, Mapping):
        inner = config.get("config")
        name = inner.get("name") if isinstance(inner, Mapping) else inner
        return name if isinstance(name, str) else None
    return None


def check_epoch(objective: Objective, logs: Mapping[str, Any], fit_kwargs: Mapping[str, Any]) -> None:
    """Refuses an objective that is not among the first epoch's metrics, or has several values there.

    Raises:
        FatalValueError: the message lists what is there.
    """
    for name, value in logs.items():
        refuse_several(name, value, objective)
    metrics = [name for name, value in logs.items() if number_of(value) is not None]
    if int(np.size(fit_kwargs.get("validation_freq", 1))) != 1 or fit_kwargs.get("validation_freq", 1) != 1:
        return
    missing = [name for name in names_of(objective) if name not in metrics]
    if missing:
        raise FatalValueError(
            f"objective: expected {', '.join(missing)} in the logs of an epoch, got {sorted(metrics)}"
            f"{advice(missing, metrics)}"
        )
