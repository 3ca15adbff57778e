"""Weights and epochs of Keras trials: what is kept, what comes back, where a training goes on."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.adapters.keras_model import FIT, Count, Make, X, Y, build

from krigetuner.adapters import checkpoints
from krigetuner.errors import FatalRuntimeError
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners import tuner as tuner_module
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.trial import Trial

pytestmark = pytest.mark.filterwarnings("ignore")


def test_epochs_are_recorded_and_the_best_weights_come_back(make: Make) -> None:
    tuner = make(executions_per_trial=2, max_trials=2)
    tuner.search(X, Y, epochs=3, **FIT)
    trial = tuner.oracle.get_best_trials()[0]
    recorded = list(tuner.oracle._ledger.measurements(trial.number))
    assert [(m.execution, m.step) for m in recorded] == [(e, s) for e in range(2) for s in range(3)]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} == set(recorded[0].metrics)
    assert len(trial.executions) == 2
    assert trial.score == pytest.approx(np.mean([e.metrics["val_loss"] for e in trial.executions]))
    loss, _ = tuner.get_best_models()[0].evaluate(*FIT["validation_data"], verbose=0)
    assert loss == pytest.approx(min(m.metrics["val_loss"] for m in recorded), rel=1e-5)
    files = sorted(p.name for p in Path(tuner.get_trial_dir(trial.trial_id)).iterdir())
    assert files == ["build_config.json", "checkpoint.weights.h5"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "Can't synchronously write data"),
        RuntimeError(f"Unable to decrement id ref count (errno = 28, error message = '{os.strerror(errno.ENOSPC)}')"),
    ],
)
def test_a_full_disk_ends_the_search_and_fails_no_trial(
    error: Exception, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise error

    tuner = make(max_trials=2)
    with monkeypatch.context() as patched:
        patched.setattr(keras.Model, "save_weights", full)
        with pytest.raises(FatalRuntimeError, match="expected room for a file of a trial, got a full disk"):
            tuner.search(X, Y, epochs=1, **FIT)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["INTERRUPTED"]
    tuner.search(X, Y, epochs=1, **FIT)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 2


def test_an_interrupted_trial_goes_on_from_its_last_epoch(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)  # every epoch is saved, however quick it was
    histories: list[Any] = []

    class Model(HyperModel):
        build = staticmethod(build)

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            histories.append(model.fit(*args, **kwargs))
            return histories[-1]

    stopper = keras.callbacks.EarlyStopping("loss", patience=50)
    tuner = make(Model(), executions_per_trial=2)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(X, Y, epochs=4, callbacks=[stopper, Count(), InSecond(2)], **FIT)
    assert Count.epochs == [0, 1, 2, 3, 0, 1]
    files = list(Path(tuner.get_trial_dir("0")).glob("training*"))
    assert len(files) == 2
    iterations = int(histories[0].model.optimizer.iterations)
    Count.epochs = []
    tuner = make(Model(), executions_per_trial=2)
    tuner.search(X, Y, epochs=4, callbacks=[stopper, Count()], **FIT)
    assert Count.epochs == [2, 3]
    assert histories[-1].epoch == [0, 1, 2, 3]
    assert len(histories[-1].history["val_loss"]) == 4
    assert int(histories[-1].model.optimizer.iterations) == iterations
    (trial,) = tuner.oracle.get_best_trials()
    assert len(trial.executions) == 2
    recorded = {(m.execution, m.step): m.metrics["val_loss"] for m in tuner.oracle._ledger.measurements(0)}
    assert sorted(recorded) == [(e, s) for e in range(2) for s in range(4)]
    assert trial.executions[0].metrics["val_loss"] == pytest.approx(min(recorded[0, s] for s in range(4)))
    loss, _ = tuner.get_best_models()[0].evaluate(*FIT["validation_data"], verbose=0)
    assert loss == pytest.approx(min(recorded.values()), rel=1e-5)
    assert not list(Path(tuner.get_trial_dir("0")).glob("training*"))


class InSecond(keras.callbacks.Callback):
    """Interrupts at an epoch of the second fit."""

    fits = 0

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_train_begin(self, logs: Any = None) -> None:
        InSecond.fits += 1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if InSecond.fits == 2 and epoch == self.epoch:
            raise KeyboardInterrupt


class Place(keras.callbacks.Callback):
    """Logs the epoch as "place", and keeps the weights after the first one."""

    first: list[Any] = []  # noqa: RUF012

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["place"] = float(epoch)
        if epoch == 0:
            Place.first = self.model.get_weights()


@pytest.mark.parametrize("patience", [2, 9], ids=["stopped", "cut short"])
def test_early_stopping_restores_the_best_weights_from_before_an_interruption(
    make: Make, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    final: list[Any] = []

    class Model(HyperModel):
        build = staticmethod(build)

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            history = model.fit(*args, **kwargs)
            if len(history.epoch) == 3 and patience == 2 and not final:
                final.append(None)
                raise KeyboardInterrupt
            final.append(model.get_weights())
            return history

    stopper = keras.callbacks.EarlyStopping("place", mode="min", patience=patience, restore_best_weights=True)
    with pytest.raises(KeyboardInterrupt):
        make(Model()).search(X, Y, epochs=4, callbacks=[Place(), stopper, Count(stop_at=3)], **FIT)
    tuner = make(Model())
    tuner.search(X, Y, epochs=4, callbacks=[Place(), stopper], **FIT)
    for found, expected in zip(final[-1], Place.first, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not list(Path(tuner.get_trial_dir("0")).glob("training*"))


@pytest.mark.parametrize("suffix", [".weights.h5", ".weights.npz", ".json"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut"], ids=["empty", "cut"])
def test_a_training_whose_files_are_damaged_begins_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, suffix: str, content: bytes
) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    stopper = keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
    with pytest.raises(KeyboardInterrupt):
        make().search(X, Y, epochs=3, callbacks=[stopper, Count(stop_at=1)], **FIT)
    tuner = make()
    (file,) = Path(tuner.get_trial_dir("0")).glob(f"training*{suffix}")
    file.write_bytes(content)
    Count.epochs.clear()
    tuner.search(X, Y, epochs=3, callbacks=[stopper, Count()], **FIT)
    assert Count.epochs == [0, 1, 2]
    assert tuner.oracle.get_best_trials()[0].status == "COMPLETED"


def test_averaged_weights_that_are_in_the_model_at_an_interruption_go_out_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    optimizer = keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.9)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    whole = make(optimizer=optimizer, project_name="whole")
    whole.search(X, Y, epochs=3, shuffle=False, callbacks=[swap, Count()], **FIT)
    expected = whole.history()["loss"].to_list()
    with pytest.raises(KeyboardInterrupt):
        make(optimizer=optimizer).search(X, Y, epochs=3, shuffle=False, callbacks=[swap, Count(stop_at=1)], **FIT)
    tuner = make(optimizer=optimizer)
    tuner.search(X, Y, epochs=3, shuffle=False, callbacks=[swap, Count()], **FIT)
    assert Count.epochs[-2:] == [1, 2]
    assert tuner.history()["loss"].to_list() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("killed_at", ["weights", "state"])
def test_a_second_process_of_the_same_pid_keeps_what_the_state_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    model = build(HyperParameters())
    model.build((None, 4))
    checkpoints.Checkpoints(tmp_path).save_state(model, {"epoch": 0}, best=True)
    first = model.get_weights()
    model.set_weights([w + 1 for w in first])
    whole = checkpoints._save_weights if killed_at == "weights" else checkpoints._write

    def killed(*args: Any, **kwargs: Any) -> None:
        whole(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, whole.__name__, killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.Checkpoints(tmp_path).save_state(model, {"epoch": 1}, best=True)
    state = checkpoints.Checkpoints(tmp_path).load_state()
    assert state is not None
    checkpoints.Checkpoints(tmp_path).restore(model, state)
    added = 1 if state["epoch"] else 0
    for found, expected in zip(model.get_weights(), first, strict=True):
        np.testing.assert_allclose(found, expected + added)
    checkpoints.Checkpoints(tmp_path).save_state(model, {"epoch": 2}, best=False)
    (kept,) = tmp_path.glob("training-*")
    assert kept.name == checkpoints.Checkpoints(tmp_path).load_state()["weights"]  # type: ignore[index]


def test_a_trial_goes_on_after_its_first_epoch_in_the_same_process(make: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        make().search(X, Y, epochs=3, callbacks=[Count(stop_at=1)], **FIT)
    tuner = make()
    tuner.search(X, Y, epochs=3, callbacks=[Count()], **FIT)
    (trial,) = tuner.oracle.trials.values()
    assert (trial.status, trial.message) == ("COMPLETED", None)
    assert Count.epochs == [0, 1, 2]


def test_a_training_that_had_stopped_early_does_not_go_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)

    class Cut(RandomSearch):
        def _build_and_fit_model(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            result = super()._build_and_fit_model(trial, *args, **kwargs)
            if trial.attempt == 0:
                raise KeyboardInterrupt
            return result

    stopper = keras.callbacks.EarlyStopping("loss", min_delta=100.0, patience=1)
    with pytest.raises(KeyboardInterrupt):
        make(cls=Cut).search(X, Y, epochs=9, callbacks=[stopper, Count()], **FIT)
    assert Count.epochs == [0, 1]
    tuner = make(cls=Cut)
    tuner.search(X, Y, epochs=9, callbacks=[stopper, Count()], **FIT)
    assert Count.epochs == [0, 1]
    assert tuner.oracle.get_best_trials()[0].status == "COMPLETED"


@pytest.mark.parametrize(("keep", "kept"), [("best", 2), ("all", 4)])
def test_checkpoints_that_are_kept(
    make: Make, monkeypatch: pytest.MonkeyPatch, keep: str, kept: int, tmp_path: Path
) -> None:
    monkeypatch.setattr(tuner_module, "KEPT", 2)
    tuner = make(max_trials=4, keep_checkpoints=keep)
    tuner.search(X, Y, epochs=1, **FIT)
    files = {p.parent.name.removeprefix("trial_") for p in tmp_path.rglob("checkpoint.weights.h5")}
    assert len(files) == kept
    assert files >= {t.trial_id for t in tuner.oracle.get_best_trials(2)}
    if keep == "best":
        with pytest.raises(FileNotFoundError, match=r'(?s)expected the weights of trial.*keep_checkpoints="best"'):
            tuner.get_best_models(4)
    else:
        assert len(tuner.get_best_models(4)) == 4


def test_epochs_without_validation_are_not_the_best_where_others_were_validated(make: Make) -> None:
    tuner = make()
    tuner.search(X, Y, epochs=5, validation_freq=2, **FIT)
    (trial,) = tuner.oracle.get_best_trials()
    loss, _ = tuner.get_best_models()[0].evaluate(*FIT["validation_data"], verbose=0)
    assert loss == pytest.approx(trial.score, rel=1e-5)


def test_fits_of_their_own(make: Make) -> None:
    class Own(HyperModel):
        build = staticmethod(build)

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs.pop("callbacks")
            model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)
            return {"score": model.evaluate(X, Y, verbose=0)[0]}

    tuner = make(Own(), objective=Objective("score", "min"), executions_per_trial=2)
    tuner.search(X, Y, epochs=1, **FIT)
    (trial,) = tuner.oracle.get_best_trials()
    assert "batch_size" in trial.hyperparameters.values
    loss = tuner.get_best_models()[0].evaluate(X, Y, verbose=0)[0]
    assert loss == pytest.approx(min(e.metrics["score"] for e in trial.executions), rel=1e-5)


def test_two_fits_in_one_execution_are_one_sequence_of_epochs(make: Make) -> None:
    class Twice(HyperModel):
        build = staticmethod(build)

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            model.fit(*args, **kwargs)
            return model.fit(*args, **kwargs)

    tuner = make(Twice())
    tuner.search(X, Y, epochs=2, **FIT)
    assert [m.step for m in tuner.oracle._ledger.measurements(0)] == [0, 1, 2, 3]


def test_before_any_trial_there_is_no_best_model(make: Make) -> None:
    assert make().get_best_models() == []


def test_subclassed_models_with_functions_as_metrics_under_a_strategy_come_back(make: Make) -> None:
    import tensorflow as tf

    def distance(y: Any, p: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(y - p))

    class Two(keras.Model):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.first, self.second = keras.layers.Dense(units), keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.second(self.first(x))

    def subclassed(hp: HyperParameters) -> Any:
        model = Two(hp.Int("units", 1, 4))
        model.compile("adam", "mse", metrics=[distance])
        return model

    for number, kwargs in enumerate(({"optimizer": "sgd"}, {"distribution_strategy": tf.distribute.get_strategy()})):
        tuner = make(subclassed, objective=Objective("val_distance", "min"), project_name=str(number), **kwargs)
        tuner.search(X, Y, epochs=2, **FIT)
        found = tuner.get_best_models()[0].evaluate(*FIT["validation_data"], verbose=0, return_dict=True)["distance"]
        assert found == pytest.approx(tuner.oracle.get_best_trials()[0].score, rel=1e-5)


def test_weights_of_another_search_are_never_taken_for_ours(make: Make) -> None:
    class Silent(HyperModel):
        build = staticmethod(build)

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            return 0.5

    make(storage="memory").search(X, Y, epochs=1, **FIT)
    tuner = make(Silent(), storage="memory")
    assert Path(tuner.get_trial_dir("0"), "checkpoint.weights.h5").exists()
    tuner.search(X, Y)
    with pytest.raises(FileNotFoundError, match="expected the weights of trial 0"):
        tuner.get_best_models()
