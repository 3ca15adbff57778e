"""One attempt at a Keras trial: what its epochs report, which weights are the best, and where it stands.

A trial that was cut short goes on from its last checkpointed epoch: executions that had finished are not run again, and
the one that ran begins behind that epoch, with the weights, the optimizer and the History that it had.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from zipfile import BadZipFile

import numpy as np

from krigetuner.adapters.checkpoints import Checkpoints
from krigetuner.adapters.context import TrialContext
from krigetuner.adapters.function import executions, is_history, number_of, rank
from krigetuner.errors import FatalError
from krigetuner.run.plain import scalar
from krigetuner.trial.objective import Objective

COUNTERS = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter", "_ema_weights_in_model")
NO_EPOCH_LEFT = 2**31 - 1
logger = logging.getLogger(__name__)


class Training:
    """Follows the executions of one attempt.

    Args:
        objective: of the search.
        files: of the trial.
        context: of the attempt; None outside of a search.
        layout: tells apart trainings whose executions get other data; an attempt of another one is not gone on with.

    Attributes:
        execution: the one that runs.
        epochs: step and metrics of each of its epochs so far, those before an interruption too.
        best: the objective's best value over all executions so far; None before the first.
        fits: how often the present execution has called `model.fit`.
        continued: whether another trial may go on from this one, so that where it ends is saved.
    """

    def __init__(
        self, objective: Objective, files: Checkpoints, context: TrialContext | None, layout: str = ""
    ) -> None:
        self.objective = objective
        self.files = files
        self.context = context
        self.layout = layout
        self.execution = 0
        self.epochs: list[tuple[int, dict[str, float]]] = []
        self.best: float | None = None
        self.fits = 0
        self.continued = False
        self.after_epoch: Callable[[Mapping[str, Any]], None] | None = None
        self._finished: list[Any] = []
        self._callbacks: Sequence[Any] = ()
        self._unfilled = False
        self._from = self._resumable()

    def _resumable(self) -> dict[str, Any] | None:
        """The state of an attempt that was cut short. A first attempt has none: what lies there is another study's."""
        if self.context is None or self.context.attempt == 0:
            self.files.remove_state()
            self.files.remove_best()
            self.files.remove_last()
            return None
        state = self.files.load_state()
        if state is not None and state.get("layout", "") != self.layout:
            logger.warning("trial %s starts again: its trainings had other data before", self.files.directory.name)
            self.files.remove_state()
            self.files.remove_best()
            return None
        if state is not None:
            self.best = state["best"]
            self._finished = state["finished"]
        return state

    def finished(self) -> list[Any]:
        """Results of the executions that had finished before an interruption."""
        return [_restored(r) for r in self._finished]

    def begin(self, execution: int, callbacks: Sequence[Any]) -> None:
        """An execution begins; `callbacks` are the user's, as copied for it."""
        self.execution, self.epochs, self.fits, self._callbacks = execution, [], 0, callbacks
        if self.context is not None:
            self.context.execution = execution

    @property
    def users(self) -> int:
        """How many of an execution's callbacks are the user's; they come first."""
        return len(self._callbacks)

    def save_unwatched(self, model: Any, result: Any) -> None:
        """Saves the weights of a training that kept our callback from `model.fit`, when its result is the best."""
        if not self.fits and model.built and self.continued:
            self.files.save_last(model, self.execution, self.layout)
        if not self.fits and model.built:
            found = executions(result, self.objective, "HyperModel.fit()")
            if self._is_better(found[-1].metrics):
                self.files.save_best(model)

    def end(self, result: Any) -> None:
        """An execution has returned its result.

        Raises:
            FatalError: it lacks the objective; gone on from here, the trial would lack it again.
        """
        try:
            executions(result, self.objective, "HyperModel.fit()")
        except FatalError:
            self.files.remove_state()
            raise
        self._from = None
        self._finished.append(_plain(result))

    # --- what Keras tells --------------------------------------------------------------------------------------

    def train_begin(self, model: Any) -> None:
        """A fit begins; the first one after an interruption goes on where it was cut."""
        self.fits += 1
        if self.fits > 1:
            self._from = None
            self.files.remove_state()
        elif self._from is not None and self._from["execution"] == self.execution:
            self._go_on(model, self._from)
        self._from = None

    def _go_on(self, model: Any, state: Mapping[str, Any]) -> None:
        if not hasattr(model, "_initial_epoch"):  # set by Keras for callbacks that resume, since 3.0
            return
        try:
            kept = self.files.kept(state)
            self.files.restore(model, state)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            logger.warning(
                "the checkpoint of trial %s does not fit, it starts again: %s", self.files.directory.name, error
            )
            return
        self.epochs = [(int(step), dict(metrics)) for step, metrics in state["epochs"]]
        model._initial_epoch = NO_EPOCH_LEFT if state["stopped"] else self.epochs[-1][0] + 1
        for callback, counters in zip(self._callbacks, state["callbacks"], strict=False):
            for name, value in counters.items():
                setattr(callback, name, value)
        for place, callback in enumerate(self._callbacks):
            if place in kept:
                callback.best_weights = kept[place]
        self._unfilled = True

    def epoch_begin(self, model: Any) -> None:
        """Gives the History of a fit that goes on the epochs it had before."""
        if not self._unfilled:
            return
        self._unfilled = False
        history = getattr(model, "history", None)
        if history is not None and not history.history:
            names = list(dict.fromkeys(name for _, metrics in self.epochs for name in metrics))
            history.history = {n: [metrics[n] for _, metrics in self.epochs if n in metrics] for n in names}
            history.epoch = [step for step, _ in self.epochs]

    def epoch_end(self, model: Any, epoch: int, logs: Mapping[str, Any]) -> None:
        """Reports an epoch, and saves what must not be lost."""
        step = epoch if self.fits <= 1 else (self.epochs[-1][0] + 1 if self.epochs else 0)
        numbers = {name: number_of(value) for name, value in logs.items()}
        metrics = {name: value for name, value in numbers.items() if value is not None}
        self.epochs.append((step, metrics))
        if self.after_epoch is not None:
            self.after_epoch(logs)
        better = self._is_better(metrics)
        if self.context is not None:
            self.context.report(step, metrics)
            if self.context.should_stop():
                model.stop_training = True
        if self.fits > 1 or self.context is None:
            if better:
                self.files.save_best(model)
        elif better or self.files.due():
            self.files.save_state(model, self._state(model), better, self._kept())

    def train_end(self, model: Any) -> None:
        """A fit has ended."""
        self.epoch_begin(model)
        if hasattr(model, "_initial_epoch"):
            model._initial_epoch = None
        if self.continued:
            self.files.save_last(model, self.execution, self.layout)

    def _is_better(self, metrics: Mapping[str, float]) -> bool:
        """Whether the epoch is the trial's best; as long as no epoch had the objective, every one is."""
        if not self.objective.has_value(metrics):
            return self.best is None
        value = float(self.objective.get_value(metrics))
        direction = self.objective.direction
        if self.best is not None and rank(value, direction) >= rank(self.best, direction):
            return False
        self.best = value
        return True

    def _state(self, model: Any) -> dict[str, Any]:
        return {
            "layout": self.layout,
            "execution": self.execution,
            "finished": self._finished,
            "epochs": self.epochs,
            "best": self.best,
            "stopped": bool(getattr(model, "stop_training", False)),
            "callbacks": [_counters(c) for c in self._callbacks],
        }

    def _kept(self) -> dict[int, list[Any]]:
        """The weights that EarlyStopping will restore at the end."""
        held: dict[int, Any] = {i: getattr(c, "best_weights", None) for i, c in enumerate(self._callbacks)}
        return {place: weights for place, weights in held.items() if _are_arrays(weights)}


def _are_arrays(weights: Any) -> bool:
    return isinstance(weights, list) and all(isinstance(w, np.ndarray) for w in weights)


def _counters(callback: Any) -> dict[str, Any]:
    """What EarlyStopping and ReduceLROnPlateau count, and which weights SwapEMAWeights has put into the model."""
    counters: dict[str, Any] = {}
    for name in COUNTERS:
        value = getattr(callback, name, None)
        if isinstance(value, bool | int | float) or getattr(value, "ndim", None) == 0:
            counters[name] = value if isinstance(value, bool | int | float) else float(value)  # type: ignore[arg-type]
    return counters


def _plain(result: Any) -> Any:
    """A result as plain data."""
    if is_history(result):
        columns = {name: [number_of(v) for v in column] for name, column in result.history.items()}
        columns = {name: column for name, column in columns.items() if None not in column}
        return {"history": columns, "epoch": [int(e) for e in getattr(result, "epoch", ())]}
    if isinstance(result, Mapping):
        numbers = {str(name): scalar(value) for name, value in result.items()}
        return {"metrics": {name: value for name, value in numbers.items() if value is not None}}
    if isinstance(result, list | tuple):
        return [_plain(r) for r in result]
    return scalar(result)


def _restored(data: Any) -> Any:
    """A result from plain data; a History comes back as an object with `history` and `epoch`."""
    if isinstance(data, list):
        return [_restored(d) for d in data]
    if isinstance(data, Mapping):
        return data["metrics"] if "metrics" in data else SimpleNamespace(history=data["history"], epoch=data["epoch"])
    return data
