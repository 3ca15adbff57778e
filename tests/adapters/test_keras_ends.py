"""Keras trials whose search ends at a bad moment: what they go on from, and what they do not."""

from __future__ import annotations

import errno
import math
from pathlib import Path
from typing import Any

import keras
import pytest
from tests.adapters.keras_model import FIT, Count, Make, X, Y, build

from krigetuner.adapters import checkpoints
from krigetuner.errors import FatalRuntimeError, FatalValueError, StoreError
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.trial import Trial

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def every_epoch_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    monkeypatch.setattr(Count, "epochs", [])


def test_a_training_that_met_a_full_disk_goes_on_from_its_last_epoch(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = keras.Model.save_weights

    def full(model: Any, path: str) -> None:
        if Count.epochs[-1] == 2:
            raise OSError(errno.ENOSPC, "Can't synchronously write data")
        save(model, path)

    with monkeypatch.context() as patched:
        patched.setattr(keras.Model, "save_weights", full)
        with pytest.raises(FatalRuntimeError, match="got a full disk"):
            make().search(X, Y, epochs=4, callbacks=[Count()], **FIT)
    Count.epochs = []
    make().search(X, Y, epochs=4, callbacks=[Count()], **FIT)
    assert Count.epochs == [2, 3]


def test_a_training_whose_result_could_not_be_recorded_is_not_repeated(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    tuner = make()
    with monkeypatch.context() as patched:
        patched.setattr(tuner.oracle._ledger, "finished", refuse)
        with pytest.raises(StoreError, match="the disk is full"):
            tuner.search(X, Y, epochs=2, callbacks=[Count()], **FIT)
    Count.epochs = []
    tuner = make()
    tuner.search(X, Y, epochs=2, callbacks=[Count()], **FIT)
    assert Count.epochs == []
    recorded = [m.metrics["val_loss"] for m in tuner.oracle._ledger.measurements(0)]
    assert tuner.oracle.get_best_trials()[0].score == pytest.approx(min(recorded))
    assert not list(Path(tuner.get_trial_dir("0")).glob("training*"))


class Diverged(keras.callbacks.Callback):
    """The losses of the first three epochs that are trained are no numbers."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if len(Count.epochs) <= 3:
            logs["val_loss"] = math.nan


class EndsItself(RandomSearch):
    def on_trial_end(self, trial: Trial) -> None:
        self.oracle.end_trial(trial)


@pytest.mark.parametrize("kind", [RandomSearch, EndsItself])
def test_a_training_that_gave_no_number_is_not_gone_on_with(kind: Any, make: Make) -> None:
    tuner = make(cls=kind, max_retries_per_trial=1)
    tuner.search(X, Y, epochs=3, callbacks=[Count(), Diverged()], **FIT)
    assert Count.epochs == [0, 1, 2] * 2
    assert [(t.status, t.attempt) for t in tuner.oracle.trials.values()] == [("COMPLETED", 1)]
    assert not list(Path(tuner.get_trial_dir("0")).glob("training*"))


class Opaque(HyperModel):
    """What its `fit` returns may have any metrics, as far as can be read."""

    metrics: tuple[str, ...] = ()

    def build(self, hp: HyperParameters) -> Any:
        model = build(hp)
        model.compile("adam", "binary_crossentropy", metrics=list(self.metrics), run_eagerly=True)
        return model

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        history = model.fit(*args, **kwargs)
        history.history.update({})
        return history


def test_a_training_that_lacked_the_objective_begins_again_with_mended_code(make: Make) -> None:
    with pytest.raises(FatalValueError, match=r"val_accuracy, in it; it has \['loss', 'val_loss'\]"):
        make(Opaque(), objective="val_accuracy").search(X, Y, epochs=2, callbacks=[Count()], **FIT)
    mended = Opaque()
    mended.metrics = ("accuracy",)
    tuner = make(mended, objective="val_accuracy")
    tuner.search(X, Y, epochs=2, callbacks=[Count()], **FIT)
    assert Count.epochs == [0, 1] * 2
    assert [t.status for t in tuner.oracle.trials.values()] == ["COMPLETED"]
