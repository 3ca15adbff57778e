"""Keras trials, with real models of a few weights: callbacks, objectives, overrides, seeds."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import keras
import pytest
from tests.adapters.keras_model import FIT, Count, Make, X, Y, build

from krigetuner.errors import FatalTypeError, FatalValueError
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.trial import Trial

pytestmark = pytest.mark.filterwarnings("ignore")


def test_callbacks_are_copied_and_arguments_reach_fit(make: Make) -> None:
    mine = Count()
    tuner = make(max_trials=2)
    tuner.search(X, Y, epochs=2, callbacks=[mine], class_weight={0: 1.0, 1: 3.0}, batch_size=16, **FIT)
    assert mine.own == []
    assert Count.epochs == [0, 1, 0, 1]

    class Locked(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    tuner = make(max_trials=3)
    with pytest.raises(FatalValueError, match=r"(?s)callbacks used during a search should be deep-copyable.*Locked"):
        tuner.search(X, Y, callbacks=[Locked()], **FIT)


@pytest.mark.parametrize(
    ("objective", "kwargs", "text"),
    [
        ("val_loss", {}, "expected validation data for val_loss, got neither validation_data nor validation_split"),
        (
            Objective("val_f1", "max"),
            FIT,
            r"expected val_f1 among the metrics that the model is compiled with, got \['accuracy', 'loss'",
        ),
        (["val_loss", Objective("auc", "max")], FIT, "expected auc among the metrics"),
    ],
)
def test_an_objective_that_cannot_come_is_refused_before_the_first_epoch(
    make: Make, objective: Any, kwargs: Any, text: str
) -> None:
    tuner = make(objective=objective)
    with pytest.raises(FatalValueError, match=text):
        tuner.search(X, Y, epochs=1, callbacks=[keras.callbacks.EarlyStopping("loss")], **{"verbose": 0, **kwargs})
    assert not list(tuner.oracle._ledger.measurements(0))
    make(objective="loss").search(X, Y, epochs=1, verbose=0)  # the correction needs no overwrite


def test_an_overridden_fit_that_returns_the_history_is_seen_through(make: Make) -> None:
    class Tuned(HyperModel):
        build = staticmethod(build)

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)

    tuner = make(Tuned(), objective=Objective("val_f1", "max"))
    with pytest.raises(FatalValueError, match="expected val_f1 among the metrics"):
        tuner.search(X, Y, epochs=1, callbacks=[keras.callbacks.EarlyStopping("loss")], **FIT)
    assert not list(tuner.oracle._ledger.measurements(0))


def test_a_callback_of_the_users_may_add_the_objective(make: Make) -> None:
    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["mine"] = 10.0 - epoch

    objective = Objective("mine", "min")
    tuner = make(objective=objective)
    tuner.search(X, Y, epochs=2, callbacks=[Adds()], verbose=0)
    assert tuner.oracle.get_best_trials()[0].score == 9.0
    tuner = make(objective=objective, project_name="without")
    with pytest.raises(FatalValueError, match=r"expected mine in the logs of an epoch, got \['accuracy', 'loss'\]"):
        tuner.search(X, Y, epochs=2, callbacks=[Count()], verbose=0)
    assert Count.epochs == [0]


def test_a_build_that_returns_nothing_is_a_clear_error(make: Make) -> None:
    def forgetful(hp: HyperParameters) -> None:
        build(hp)

    with pytest.raises(
        FatalTypeError, match=r"to return a valid Keras Model instance, got None.*forget `return model`"
    ):
        make(forgetful).search(X, Y, **FIT)


def test_too_large_models_fail_without_a_retry(make: Make) -> None:
    def with_input(hp: HyperParameters) -> Any:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 3))])
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    tuner = make(with_input, max_model_size=9, max_retries_per_trial=2)
    tuner.search(X, Y, **FIT)
    assert tuner.oracle.trials["0"].status == "FAILED"
    assert tuner.oracle.trials["0"].attempt == 0
    assert "Oversized model" in tuner.oracle.trials["0"].message


def test_what_the_tuner_is_given_replaces_what_was_compiled(make: Make) -> None:
    def plain(hp: HyperParameters) -> Any:
        hp.Int("units", 1, 4)
        return keras.Sequential([keras.layers.Dense(1)])

    optimizer = keras.optimizers.SGD(0.5)
    tuner = make(plain, optimizer=optimizer, loss="mse", metrics=["mae"], objective="val_mae", max_trials=2)
    tuner.search(X, Y, epochs=1, **FIT)
    model = tuner.get_best_models()[0]
    assert model.loss == "mse"
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert model.optimizer is not optimizer
    tuner = make(optimizer="rmsprop", project_name="partly")
    tuner.search(X, Y, epochs=1, **FIT)
    model = tuner.get_best_models()[0]
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)
    assert model.loss == "binary_crossentropy"


def test_hooks(make: Make) -> None:
    calls: list[Any] = []

    class Hooked(RandomSearch):
        def on_epoch_begin(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            calls.append(("begin", trial.trial_id, epoch))

        def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            calls.append(("end", isinstance(model, keras.Model), sorted(logs)))

        def on_batch_end(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
            calls.append(batch)

    make(cls=Hooked).search(X, Y, epochs=1, **FIT)
    assert calls == [("begin", "0", 0), 0, 1, ("end", True, ["accuracy", "loss", "val_accuracy", "val_loss"])]


def test_training_is_repeatable_with_a_seed(make: Make) -> None:
    def losses(name: str, seed: int) -> list[float]:
        tuner = make(project_name=name, seed=seed, max_trials=1, executions_per_trial=2, hyperparameters=fixed())
        tuner.search(X, Y, epochs=1, **FIT)
        return [e.metrics["val_loss"] for e in tuner.oracle.get_best_trials()[0].executions]

    def fixed() -> HyperParameters:
        hp = HyperParameters()
        hp.Fixed("units", 4)
        return hp

    first = losses("a", 0)
    assert losses("b", 0) == first
    assert losses("c", 1) != first
    assert first[0] != first[1]


def test_a_diverged_trial_is_retried_with_another_seed_and_counts_then(make: Make) -> None:
    class Diverges(HyperModel):
        build = staticmethod(build)
        runs = 0

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            Diverges.runs += 1
            return float("nan") if Diverges.runs == 1 else 0.5

    tuner = make(Diverges(), max_retries_per_trial=1)
    tuner.search(X, Y)
    assert tuner.oracle.trials["0"].score == 0.5


def test_the_old_documented_subclass_works(make: Make) -> None:
    class Old(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            model = self.hypermodel.build(trial.hyperparameters)
            history = model.fit(*args, **kwargs)
            self.oracle.update_trial(trial.trial_id, {"val_loss": history.history["val_loss"][-1]})
            self.save_model(trial.trial_id, model)

    tuner = make(cls=Old)
    with pytest.warns(DeprecationWarning, match="update_trial"):
        tuner.search(X, Y, epochs=1, **FIT)
    loss = tuner.get_best_models()[0].evaluate(*FIT["validation_data"], verbose=0)[0]
    assert loss == pytest.approx(tuner.oracle.get_best_trials()[0].score, rel=1e-5)


def test_tensorboard_gets_a_directory_per_execution_and_the_hyperparameters(make: Make, tmp_path: Path) -> None:
    board = keras.callbacks.TensorBoard(str(tmp_path / "logs"), write_graph=False)
    tuner = make(executions_per_trial=2)
    tuner.search(X, Y, epochs=1, callbacks=[board], **FIT)
    assert board.log_dir == str(tmp_path / "logs")
    folders = sorted(p.relative_to(tmp_path / "logs").as_posix() for p in (tmp_path / "logs").glob("*/*"))
    assert folders == ["0/execution0", "0/execution1"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags = EventAccumulator(str(tmp_path / "logs" / "0" / "execution0"))
    tags.Reload()
    assert "_hparams_/session_start_info" in tags.summary_metadata


def test_bars_are_muted_unless_asked_for(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make().search(X, Y, epochs=1, validation_data=FIT["validation_data"])
    assert "━" not in capsys.readouterr().out
    assert keras.config.is_interactive_logging_enabled()
    make(project_name="loud").search(X, Y, epochs=1, validation_data=FIT["validation_data"], verbose=1)
    assert "━" in capsys.readouterr().out


def test_what_a_fit_of_ones_own_asks_for_is_shown(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    class Own(HyperModel):
        build = staticmethod(build)

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            kwargs.pop("verbose", None)
            model.summary()
            model.evaluate(X, Y)
            model.fit(X, Y, epochs=2, verbose=2)
            return model.fit(*args, **kwargs)

    for name, given in (("told nothing", {}), ("quiet", {"verbose": 0})):
        make(Own(), project_name=name).search(X, Y, epochs=1, validation_data=FIT["validation_data"], **given)
        shown = capsys.readouterr().out
        assert "Trainable params" in shown, name
        assert "Epoch 2/2" in shown, name
        assert "\x1b[1m" not in shown.split("Non-trainable")[1], name
