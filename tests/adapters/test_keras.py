"""Keras trials, with real models of a few weights: checkpoints, resume, callbacks, objectives, overrides."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from krigetuner.adapters import checkpoints
from krigetuner.errors import FatalTypeError, FatalValueError
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners import tuner as tuner_module
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.trial import Trial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore")

Make = Callable[..., RandomSearch]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
FIT = {"validation_data": (X[:16], Y[:16]), "verbose": 0}


def build(hp: HyperParameters) -> Any:
    layers = [keras.layers.Dense(hp.Int("units", 1, 8), "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential(layers)  # without an Input: built at the first batch
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)  # no tracing: faster here
    return model


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    tuners: list[RandomSearch] = []

    def maker(
        hypermodel: Any = build, objective: Any = "val_loss", cls: Any = RandomSearch, **kwargs: Any
    ) -> RandomSearch:
        for tuner in tuners:
            tuner.oracle.close()
        kwargs = {"max_trials": 1, "directory": tmp_path, "seed": 1, **kwargs}
        tuners.append(cls(hypermodel, objective, **kwargs))
        return tuners[-1]

    yield maker
    for tuner in tuners:
        tuner.oracle.close()


class Count(keras.callbacks.Callback):
    """Counts what every copy of it sees."""

    epochs: list[int] = []  # noqa: RUF012

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.stop_at = stop_at
        self.own: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        Count.epochs.append(epoch)
        self.own.append(epoch)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _reset() -> None:
    Count.epochs = []


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
    pytest.importorskip("tensorboard")
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


def test_before_any_trial_there_is_no_best_model(make: Make) -> None:
    assert make().get_best_models() == []


def test_subclassed_models_with_functions_as_metrics_under_a_strategy_come_back(make: Make) -> None:
    tf = pytest.importorskip("tensorflow")

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
