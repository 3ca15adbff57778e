"""Keras metrics as objectives: arrays, names that callbacks log, names in the messages, several outputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from krigetuner.errors import FatalValueError, MissingDependency
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.classes import RandomSearch

pytestmark = pytest.mark.filterwarnings("ignore")

Make = Callable[..., RandomSearch]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")
CLASSES = np.eye(3, dtype="float32")[RNG.integers(3, size=32)]
FIT = {"validation_split": 0.5, "epochs": 2, "verbose": 0}


def building(width: int = 1, **compiled: Any) -> Callable[[HyperParameters], Any]:
    def build(hp: HyperParameters) -> Any:
        activation = hp.Choice("activation", ["sigmoid", "softmax"] if width > 1 else ["sigmoid", "linear"])
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(width, activation)])
        made = {name: [m() if callable(m) else m for m in metrics] for name, metrics in compiled.items()}
        model.compile("sgd", "mse", run_eagerly=True, **made)
        return model

    return build


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    tuners: list[RandomSearch] = []

    def maker(build: Any, objective: Any, **kwargs: Any) -> RandomSearch:
        name = str(len(tuners))
        tuners.append(
            RandomSearch(build, objective, max_trials=1, seed=1, directory=tmp_path, project_name=name, **kwargs)
        )
        return tuners[-1]

    yield maker
    for tuner in tuners:
        tuner.oracle.close()


def f1() -> Any:
    return keras.metrics.F1Score(threshold=0.5)


def per_class() -> Any:
    return keras.metrics.F1Score(average=None, name="each")


@pytest.mark.parametrize("objective", ["val_f1_score", "val_loss"])
def test_a_metric_with_an_array_of_one_value_is_a_number(make: Make, objective: str) -> None:
    tuner = make(building(metrics=[f1]), objective, executions_per_trial=2)
    tuner.search(X, Y, **FIT)
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.score == pytest.approx(np.mean([e.metrics[objective] for e in trial.executions]))
    recorded = list(tuner.oracle._ledger.measurements(0))
    assert len(recorded) == 4
    assert all({"f1_score", "val_f1_score"} <= set(m.metrics) for m in recorded)
    found = tuner.get_best_models()[0].evaluate(X[16:], Y[16:], verbose=0, return_dict=True)
    best = [e.metrics["val_f1_score"] for e in trial.executions]
    assert objective == "val_loss" or float(np.ravel(found["f1_score"])[0]) == pytest.approx(max(best), rel=1e-5)


def test_a_metric_with_one_value_per_class_is_left_out(make: Make) -> None:
    tuner = make(building(3, metrics=[per_class]), "val_loss", executions_per_trial=2)
    tuner.search(X, CLASSES, **FIT)
    (trial,) = tuner.oracle.get_best_trials()
    assert set(trial.executions[0].metrics) == {"loss", "val_loss"}


def test_as_the_objective_it_is_refused_after_the_first_epoch(make: Make) -> None:
    tuner = make(building(3, metrics=[per_class]), Objective("val_each", "max"))
    with pytest.raises(
        FatalValueError, match=r'one number for val_each, got values of shape \(3,\); .*F1Score\(average="macro"\)'
    ):
        tuner.search(X, CLASSES, **FIT)
    make(building(3, metrics=[lambda: keras.metrics.F1Score("macro")]), "val_f1_score").search(X, CLASSES, **FIT)


def test_what_keras_callbacks_log_may_be_the_objective(make: Make) -> None:
    objective = Objective("learning_rate", "min")
    tuner = make(building(), objective)
    tuner.search(X, Y, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 - 0.25 * epoch)], **FIT)
    assert tuner.oracle.get_best_trials()[0].score == 0.25
    added = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=float(epoch)))
    tuner = make(building(), Objective("mine", "min"))
    tuner.search(X, Y, callbacks=[added], **FIT)
    assert tuner.oracle.get_best_trials()[0].score == 0.0
    with pytest.raises(FatalValueError, match=r"expected other in the logs of an epoch, got .*'mine'"):
        make(building(), Objective("other", "min")).search(X, Y, callbacks=[added], **FIT)
    stopper = keras.callbacks.EarlyStopping("loss")
    with pytest.raises(FatalValueError, match="expected learning_rate among the metrics that the model is compiled"):
        make(building(), objective).search(X, Y, callbacks=[stopper], **FIT)


@pytest.mark.parametrize(
    ("compiled", "validation", "names"),
    [
        ({"metrics": ["acc"]}, True, "['acc', 'loss', 'val_acc', 'val_loss']"),
        ({"metrics": ["mae"]}, False, "['loss', 'mae']"),
        ({"weighted_metrics": ["mae"]}, False, "['loss', 'mae']"),
        ({"metrics": ["mae"], "weighted_metrics": ["mae", "mse"]}, False, "['loss', 'mae', 'mse', 'weighted_mae']"),
        ({"metrics": ["mae", "mae"]}, False, "['loss', 'mae', 'mae_1']"),
    ],
)
def test_the_message_lists_the_names_that_will_be_logged(
    make: Make, compiled: dict[str, Any], validation: bool, names: str
) -> None:
    objective = "val_accuracy" if validation else "accuracy"
    fit = {"epochs": 1, "verbose": 0, **({"validation_split": 0.5} if validation else {})}
    tuner = make(building(**compiled), objective)
    with pytest.raises(FatalValueError) as raised:
        tuner.search(X, Y, **fit)
    assert f"got {names}; compile the model" in str(raised.value)
    assert ("did you mean 'val_acc'?" in str(raised.value)) == validation
    logged = building(**compiled)(HyperParameters()).fit(X, Y, **fit).history
    assert str(sorted(logged)) == names


def test_the_hint_looks_past_capital_letters(make: Make) -> None:
    tuner = make(building(metrics=["AUC", "accuracy"]), "val_auc")
    with pytest.raises(FatalValueError, match=r"expected val_auc .*; did you mean 'val_AUC'\?"):
        tuner.search(X, Y, epochs=1, verbose=0, validation_split=0.5)


def test_metrics_of_one_output_need_no_direction(make: Make) -> None:
    def build(hp: HyperParameters) -> Any:
        entry = keras.Input((4,))
        outputs = {name: keras.layers.Dense(1, name=name)(entry) for name in ("a", "b")}
        model = keras.Model(entry, outputs)
        hp.Fixed("kind", "two")
        model.compile("sgd", {"a": "mse", "b": "mse"}, metrics={"b": ["mae"]}, run_eagerly=True)
        return model

    tuner = make(build, "val_b_mae")
    tuner.search(X, {"a": Y, "b": Y}, **FIT)
    assert tuner.oracle.objective.direction == "min"
    assert tuner.oracle.get_best_trials()[0].score is not None


def test_without_keras_the_search_ends_and_says_what_to_install(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = make(building(), "val_loss")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingDependency, match=r"pip install 'krigetuner\[tensorflow\]'"):
        tuner.search(X, Y, **FIT)
    monkeypatch.undo()
    assert tuner.oracle.trials["0"].status == "INTERRUPTED"
    tuner.search(X, Y, **FIT)
    assert tuner.oracle.trials["0"].status == "COMPLETED"


class Offset(keras.metrics.MeanAbsoluteError):
    """A metric whose class is not registered, and whose config does not say all that it was made with."""

    def __init__(self, offset: float, name: str = "offset") -> None:
        super().__init__(name)
        self.offset = offset

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_true, y_pred + self.offset, sample_weight)


class Telling(Offset):
    """The same, whose config says it."""

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "offset": self.offset}


class Steps(keras.Model):
    def test_step(self, data: Any) -> Any:
        return {"own": keras.ops.mean(self(data[0]))}


class Results(keras.Model):
    def get_metrics_result(self) -> Any:
        return {**super().get_metrics_result(), "own": 0.5}


class Fits(keras.Model):
    def fit(self, *args: Any, **kwargs: Any) -> Any:
        history = super().fit(*args, **kwargs)
        history.history["val_own"] = history.history["val_loss"]
        return history


class Evaluates(keras.Model):
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        return {**super().evaluate(*args, **kwargs), "own": 0.5}


class Watched(keras.layers.Layer):
    def build(self, shape: Any) -> None:
        self.mean = keras.metrics.Mean("own")
        super().build(shape)

    def call(self, x: Any) -> Any:
        self.mean.update_state(x)
        return x


@pytest.mark.parametrize("kind", [Steps, Results, Fits, Evaluates, Watched])
def test_what_a_model_or_a_layer_logs_by_itself_may_be_the_objective(make: Make, kind: Any) -> None:
    def build(hp: HyperParameters) -> Any:
        units, inputs = hp.Int("units", 1, 4), keras.Input((4,))
        if kind is Watched:
            model = keras.Sequential([keras.layers.Dense(units), Watched(), keras.layers.Dense(1)])
        else:
            model = kind(inputs, keras.layers.Dense(1)(keras.layers.Dense(units)(inputs)))
        model.compile("sgd", "mse", metrics=["mae"], run_eagerly=True)
        return model

    tuner = make(build, Objective("val_own", "min"))
    tuner.search(X, Y, **FIT)
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.score == trial.metrics.get_best_value("val_own")


class AtTheEnd(keras.callbacks.Callback):
    def on_train_end(self, logs: Any = None) -> None:
        self.model.history.history["own"] = [0.2, 0.1]


def test_what_a_callback_adds_to_the_history_at_the_end_may_be_the_objective(make: Make) -> None:
    tuner = make(building(), Objective("own", "min"))
    tuner.search(X, Y, callbacks=[AtTheEnd()], **FIT)
    (trial,) = tuner.oracle.get_best_trials()
    assert (trial.score, trial.best_step) == (0.1, 1)


@pytest.mark.parametrize("kind", [Offset, Telling])
def test_the_tuner_may_be_given_metrics_of_classes_that_are_not_registered(make: Make, kind: type[Offset]) -> None:
    given = kind(100.0)
    tuner = make(building(), Objective("val_offset", "min"), metrics=["mae", given])
    tuner.search(X, Y, **FIT)
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.score > 90
    assert trial.metrics.get_best_value("val_mae") < 10
    compiled = [m for m in tuner.get_best_models()[0]._compile_metrics._user_metrics if isinstance(m, Offset)]
    assert [m is given for m in compiled] == [kind is Offset]
