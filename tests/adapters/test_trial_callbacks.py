"""Tuners that train by themselves with the callbacks and functions of `engine.tuner_utils`."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import krigetuner as kt
from krigetuner.engine.tuner import maybe_distribute
from krigetuner.engine.tuner_utils import (
    SaveBestEpoch,
    TunerCallback,
    average_histories,
    average_metrics_dicts,
    convert_hyperparams_to_hparams,
    convert_to_metrics_dict,
    get_best_step,
    validate_trial_results,
)
from krigetuner.errors import FatalTypeError, FatalValueError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.linspace(-1.0, 1.0, 16).reshape(-1, 1)
Y = 2.0 * X


def build(hp: kt.HyperParameters) -> Any:
    """One weight."""
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.4])), "mse")
    return model


class Folds(kt.RandomSearch):
    """Trains on two halves, with a checkpoint of the best epoch of both, as tuners of dependents do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.heard: list[Any] = []
        super().__init__(*args, **kwargs)

    def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
        self.heard.append(("epoch", trial.trial_id, epoch, sorted(logs)))

    def on_batch_begin(self, trial: Any, model: Any, batch: int, logs: Any) -> None:
        self.heard.append(("batch", trial.trial_id, batch))

    def run_trial(self, trial: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        checkpoint = SaveBestEpoch(self.oracle.objective, self._get_checkpoint_fname(trial.trial_id))
        histories = []
        for half in (slice(0, 8), slice(8, 16)):
            callbacks = [*self._deepcopy_callbacks(kwargs.get("callbacks", [])), TunerCallback(self, trial), checkpoint]
            model = self._try_build(trial.hyperparameters)
            fold = {"validation_data": (x[half], y[half]), "callbacks": callbacks, "epochs": 2, "verbose": 0}
            histories.append(self.hypermodel.fit(trial.hyperparameters, model, x, y, **fold))
        return histories


class Holder(TunerCallback):  # type: ignore[misc,valid-type]
    """Holds the tuner, as trackers do; every execution gets a copy of it."""

    def __init__(self, tuner: Any) -> None:
        keras.callbacks.Callback.__init__(self)
        self.tuner = tuner
        self.trial = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        running = next(iter(self.tuner.oracle.ongoing_trials.values()))
        self.tuner.heard.append(("held", running.trial_id, running.hyperparameters.values["rate"]))

    on_batch_begin = on_batch_end = on_epoch_end = lambda self, number, logs=None: None


def test_a_tuner_that_trains_by_itself(tmp_path: Path) -> None:
    tuner = Folds(build, "val_loss", max_trials=2, seed=1, directory=tmp_path)
    tuner.search(X, Y, callbacks=[Holder(tuner)])
    trials = tuner.oracle.trials
    assert [t.status for t in trials.values()] == ["COMPLETED"] * 2
    assert [len(t.executions) for t in trials.values()] == [2, 2]
    epochs = [heard[1:3] for heard in tuner.heard if heard[0] == "epoch"]
    assert epochs == [("0", 0), ("0", 1)] * 2 + [("1", 0), ("1", 1)] * 2
    assert ("batch", "0", 0) in tuner.heard
    held = [heard[1:] for heard in tuner.heard if heard[0] == "held"]
    assert held == [(i, t.hyperparameters.values["rate"]) for i, t in trials.items() for _ in range(4)]
    best = tuner.get_best_models()[0]
    assert isinstance(best, keras.Model)
    assert best.evaluate(X, Y, verbose=0) < 1.0


def test_the_callbacks_can_be_copied_and_pickled(tmp_path: Path) -> None:
    saver = SaveBestEpoch(kt.Objective("val_loss", "min"), tmp_path / "new" / "best.weights.h5")
    for again in (copy.deepcopy(saver), pickle.loads(pickle.dumps(saver))):
        assert type(again) is type(saver) is SaveBestEpoch
        assert again.best_value == np.inf
    model = build(kt.HyperParameters())
    saver.set_model(model)
    path = tmp_path / "new" / "best.weights.h5"
    saver.on_epoch_end(0, {"val_loss": 2.0})
    first = path.read_bytes()
    model.set_weights([w + 1 for w in model.get_weights()])
    saver.on_epoch_end(1, {"val_loss": 3.0})
    assert path.read_bytes() == first
    saver.on_epoch_end(2, {"other": 3.0})  # nothing to judge by: the last one is kept
    assert path.read_bytes() != first


def history(**columns: list[float]) -> Any:
    made = keras.callbacks.History()
    made.history = columns
    made.epoch = list(range(len(next(iter(columns.values())))))
    return made


def test_what_results_stand_for() -> None:
    objective = kt.Objective("val_loss", "min")
    one = history(val_loss=[3.0, 1.0, 2.0], loss=[5.0, 6.0, 7.0])
    two = history(val_loss=[4.0, 4.0, 2.0], loss=[1.0, 2.0, 3.0])
    assert convert_to_metrics_dict(one, objective) == {"val_loss": 1.0, "loss": 6.0}
    assert convert_to_metrics_dict([one, two], objective) == {"val_loss": 1.5, "loss": 4.5}
    assert convert_to_metrics_dict(3, objective) == {"val_loss": 3.0}
    assert convert_to_metrics_dict([{"val_loss": 1.0}, {"val_loss": 2.0}], objective) == {"val_loss": 1.5}
    assert (get_best_step(one, objective), get_best_step([one, two], objective)) == (1, 1)
    assert get_best_step(0.5, objective) == 0
    several = kt.engine.objective.create_objective(["val_loss", kt.Objective("acc", "max")])
    both = history(val_loss=[3.0, 1.0, 2.0], acc=[0.0, 0.0, 5.0])
    assert convert_to_metrics_dict(both, several) == {"val_loss": 2.0, "acc": 5.0, "multi_objective": -3.0}
    validate_trial_results([one, {"val_loss": 1.0}, 2.0], objective, "f")
    with pytest.raises(FatalTypeError, match=r"return value of Own\.fit is None"):
        validate_trial_results(None, objective, "Own.fit")
    with pytest.raises(FatalValueError, match="have the specified objective, val_loss"):
        validate_trial_results({"loss": 1.0}, objective, "Own.fit")


def test_averages() -> None:
    assert average_metrics_dicts([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0, "b": 2.0}
    assert average_metrics_dicts([]) == {}
    averaged = average_histories([{"a": [1.0, 2.0], "b": [0.0, np.nan]}, {"a": [3.0], "b": [4.0]}])
    assert averaged[0] == {"a": 2.0, "b": 2.0}
    assert averaged[1]["a"] == 2.0
    assert np.isnan(averaged[1]["b"])
    assert average_histories([]) == []
    assert average_metrics_dicts([{"a": 1e308}, {"a": 1e308}]) == {"a": 1e308}
    assert np.isnan(average_metrics_dicts([{"a": np.inf}, {"a": -np.inf}])["a"])


def test_hparams_of_tensorboard() -> None:
    from tensorboard.plugins.hparams import api

    hp = kt.HyperParameters()
    hp.Int("units", 1, 9, step=4)
    hp.Choice("act", ["relu", "tanh"])
    with hp.conditional_scope("act", ["tanh"]):
        hp.Float("drop", 0.0, 0.5)
    found = {key.name: (key.domain, value) for key, value in convert_hyperparams_to_hparams(hp, api).items()}
    assert set(found) == {"units", "act"}
    assert found["units"][0].values == [1, 5, 9]
    assert found["units"][1] == 1


def test_a_scope() -> None:
    class Strategy:
        entered = 0

        def scope(self) -> Any:
            Strategy.entered += 1
            return maybe_distribute(None)

    with maybe_distribute(Strategy()), maybe_distribute(None):
        pass
    assert Strategy.entered == 1
