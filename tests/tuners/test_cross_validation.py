"""Cross-validation of Keras models: scores against trainings by hand, executions, interruptions, refusals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn import model_selection as ms

from krigetuner.adapters import checkpoints
from krigetuner.errors import FatalValueError
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.classes import BayesianOptimization, RandomSearch
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.trial import Trial
from krigetuner.tuners.tuner import Tuner

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(3)
X = RNG.normal(size=(18, 2)).astype("float32")
Y = (X @ [1.0, -0.5] + 0.3 * RNG.normal(size=18)).astype("float32")
Make = Callable[..., Any]


def build(hp: HyperParameters) -> Any:
    """A linear model whose training has nothing random in it."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 0.01, 0.3)), "mse", run_eagerly=True)
    return model


def losses(rate: float, train: Any, validation: Any, epochs: int = 2) -> list[float]:
    """Validation losses of its training, by hand: one step down the gradient of the mean square per epoch."""
    weights = np.zeros(3)
    rows = np.column_stack([X, np.ones(len(X))])
    found = []
    for _ in range(epochs):
        error = rows[train] @ weights - Y[train]
        weights -= rate * 2 * rows[train].T @ error / len(train)
        found.append(float(np.mean((rows[validation] @ weights - Y[validation]) ** 2)))
    return found


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    tuners: list[Tuner] = []

    def maker(hypermodel: Any = build, cls: Any = RandomSearch, **kwargs: Any) -> Any:
        for tuner in tuners:
            tuner.oracle.close()
        kwargs = {"objective": "val_loss", "max_trials": 1, "directory": tmp_path, "seed": 1, **kwargs}
        tuners.append(cls(hypermodel, **kwargs))
        return tuners[-1]

    yield maker
    for tuner in tuners:
        tuner.oracle.close()


class Seen(HyperModel):
    """Keeps what every fit is given."""

    def __init__(self) -> None:
        super().__init__()
        self.fits: list[dict[str, Any]] = []

    def build(self, hp: HyperParameters) -> Any:
        return build(hp)

    def fit(self, hp: HyperParameters, model: Any, x: Any, y: Any, validation_data: Any = None, **kwargs: Any) -> Any:
        self.fits.append({"model": model, "x": x, "y": y, "validation": validation_data, **kwargs})
        return model.fit(x, y, validation_data=validation_data, **kwargs)


def test_the_score_is_the_mean_of_trainings_by_hand(make: Make) -> None:
    splitter = ms.KFold(3, shuffle=True, random_state=4)
    tuner = make(cv=splitter, max_trials=2)
    tuner.search(X, Y, epochs=2, verbose=0)
    for trial in tuner.oracle.trials.values():
        rate = trial.hyperparameters["rate"]
        expected = np.array([losses(rate, *fold) for fold in splitter.split(X)])
        best = expected.min(axis=1)
        assert [e.metrics["val_loss"] for e in trial.executions] == pytest.approx(best, rel=1e-5)
        assert trial.score == pytest.approx(best.mean(), rel=1e-5)
        assert trial.variance == pytest.approx(best.var(ddof=1) / 3, rel=1e-5)
        table = tuner.history(trial.trial_id)
        assert table["execution"].tolist() == [0, 0, 1, 1, 2, 2]
        assert table["val_loss"].tolist() == pytest.approx(expected.ravel().tolist(), rel=1e-5)
    row = tuner.results().iloc[0]
    assert row["executions"] == 3
    assert row["score_std"] == pytest.approx(np.sqrt(3 * tuner.oracle.trials["0"].variance))


def test_the_best_folds_weights_are_kept(make: Make) -> None:
    splitter = ms.TimeSeriesSplit(2)
    tuner = make(cv=splitter)
    tuner.search(X, Y, epochs=2, verbose=0)
    (trial,) = tuner.oracle.get_best_trials()
    folds = list(splitter.split(X))
    scores = [e.metrics["val_loss"] for e in trial.executions]
    validation = folds[int(np.argmin(scores))][1]
    (model,) = tuner.get_best_models()
    assert model.evaluate(X[validation], Y[validation], verbose=0) == pytest.approx(min(scores), rel=1e-5)


def test_the_models_search_learns_how_uncertain_a_score_is(make: Make) -> None:
    tuner = make(cls=BayesianOptimization, cv=2, max_trials=2, num_initial_points=1)
    tuner.search(X, Y, epochs=1, verbose=0)
    history = tuner.oracle._ledger.history(tuner.oracle._definitions.space())
    assert [o.variance for o in history] == [t.variance for t in tuner.oracle.trials.values()]
    assert all(o.variance > 0 for o in history)


def test_folds_times_executions_with_a_fit_of_ones_own(make: Make) -> None:
    hypermodel = Seen()
    tuner = make(hypermodel, cv=ms.GroupKFold(2), executions_per_trial=2)
    stopper = keras.callbacks.EarlyStopping("val_loss", patience=1)
    weight = np.linspace(1, 2, 18)
    tuner.search(X, Y, groups=np.arange(18) // 6, sample_weight=weight, epochs=1, callbacks=[stopper], verbose=0)
    assert [len(fit["x"]) for fit in hypermodel.fits] == [6, 12, 6, 12]
    assert "groups" not in hypermodel.fits[0]
    assert len({id(fit["model"]) for fit in hypermodel.fits}) == 4
    first, third = hypermodel.fits[0], hypermodel.fits[2]
    assert np.array_equal(first["y"], third["y"])
    assert [len(part) for part in first["validation"]] == [12, 12, 12]
    rows = [np.flatnonzero((row == X).all(axis=1))[0] for row in first["x"]]
    assert np.array_equal(first["sample_weight"], weight[rows])
    assert stopper not in first["callbacks"]
    assert len(tuner.oracle.trials["0"].executions) == 4


def test_each_fold_is_seeded_by_itself(make: Make) -> None:
    def random(hp: HyperParameters) -> Any:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Fixed("units", 2)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    same = [(np.arange(9), np.arange(9, 18))] * 2
    first = make(random, cv=same, project_name="a", seed=0)
    first.search(X, Y, epochs=1, verbose=0)
    again = make(random, cv=same, project_name="b", seed=0)
    again.search(X, Y, epochs=1, verbose=0)
    scores = [[e.metrics["val_loss"] for e in t.oracle.trials["0"].executions] for t in (first, again)]
    assert scores[0] == scores[1]
    assert scores[0][0] != scores[0][1]


class Cut(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
    """Counts epochs in all copies, and ends the process' search at the n-th."""

    begun: list[int] = []  # noqa: RUF012
    end_at: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if len(Cut.begun) == Cut.end_at:
            raise KeyboardInterrupt
        Cut.begun.append(epoch)


@pytest.mark.parametrize("changed", [False, True])
def test_an_interrupted_trial_goes_on_in_its_fold(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, changed: bool
) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)  # every epoch is saved, however quick it was
    monkeypatch.setattr(Cut, "begun", [])
    monkeypatch.setattr(Cut, "end_at", 3)
    tuner = make(cv=ms.KFold(3))
    with pytest.raises(KeyboardInterrupt):
        tuner.search(X, Y, epochs=2, callbacks=[Cut()], verbose=0)
    assert Cut.begun == [0, 1, 0]
    monkeypatch.setattr(Cut, "begun", [])
    monkeypatch.setattr(Cut, "end_at", None)
    splitter = ms.KFold(2 if changed else 3)
    tuner = make(cv=splitter)
    with caplog.at_level(logging.WARNING):
        tuner.search(X, Y, epochs=2, callbacks=[Cut()], verbose=0)
    assert Cut.begun == ([0, 1, 0, 1] if changed else [1, 0, 1])
    assert ("its trainings had other data" in caplog.text) == changed
    (trial,) = tuner.oracle.get_best_trials()
    expected = [min(losses(trial.hyperparameters["rate"], *fold)) for fold in splitter.split(X)]
    assert [e.metrics["val_loss"] for e in trial.executions] == pytest.approx(expected, rel=1e-5)


def test_several_inputs_and_outputs_with_weights(make: Make) -> None:
    def two(hp: HyperParameters) -> Any:
        a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
        joined = keras.layers.Concatenate()([a, b])
        outputs = {
            name: keras.layers.Dense(1, kernel_initializer="zeros", name=name)(joined) for name in ("one", "two")
        }
        model = keras.Model({"a": a, "b": b}, outputs)
        model.compile(keras.optimizers.SGD(hp.Fixed("rate", 0.1)), {"one": "mse", "two": "mae"}, run_eagerly=True)
        return model

    data = {"a": X, "b": X[:, ::-1].copy()}
    targets, weights = {"one": Y, "two": -Y}, {"one": np.linspace(0, 1, 18), "two": np.ones(18)}
    tuner = make(two, cv=ms.KFold(2))
    tuner.search(data, targets, sample_weight=weights, epochs=1, verbose=0)
    (train, validation), _ = ms.KFold(2).split(X)

    def rows(nested: dict[str, Any], index: Any) -> dict[str, Any]:
        return {name: part[index] for name, part in nested.items()}

    model = two(HyperParameters())
    model.fit(rows(data, train), rows(targets, train), sample_weight=rows(weights, train), epochs=1, verbose=0)
    held = rows(data, validation), rows(targets, validation)
    expected = model.evaluate(*held, sample_weight=rows(weights, validation), verbose=0, return_dict=True)["loss"]
    assert tuner.oracle.trials["0"].executions[0].metrics["val_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((X, Y), {"validation_data": (X, Y)}, "neither validation_data nor validation_split"),
        ((X, Y), {"validation_split": 0.5}, "neither validation_data nor validation_split"),
        ((X, Y[:3]), {}, "as many rows in each array"),
        ((iter([X]),), {}, "whose rows cannot be chosen"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused_before_a_trial(
    make: Make, args: Any, kwargs: Any, message: str
) -> None:
    tuner = make(cv=3)
    with pytest.raises(FatalValueError, match=message):
        tuner.search(*args, epochs=1, verbose=0, **kwargs)
    assert not tuner.oracle.trials


def test_a_run_of_ones_own_may_bring_the_data(make: Make) -> None:
    class Own(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return super().run_trial(trial, X, Y, epochs=trial.hyperparameters.Int("epochs", 1, 2), **kwargs)

    tuner = make(cls=Own, cv=3)
    tuner.search(iter([]), verbose=0)
    assert len(tuner.oracle.trials["0"].executions) == 3


def test_the_argument_is_checked_by_the_constructor(make: Make) -> None:
    with pytest.raises(ValueError, match=r"cv: expected a number of folds of at least 2.*write KFold\(\.\.\.\)"):
        make(cv=ms.KFold)
    assert make(cv=None)._folding is None


def test_a_cross_validation_by_hand_keeps_its_parts_apart(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class ByHand(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            found = []
            for train, validation in ms.KFold(2).split(X):
                held = (X[validation], Y[validation])
                found += super().run_trial(trial, X[train], Y[train], validation_data=held, **kwargs)
            return found

    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    monkeypatch.setattr(Cut, "begun", [])
    monkeypatch.setattr(Cut, "end_at", 3)
    tuner = make(cls=ByHand)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(epochs=2, callbacks=[Cut()], verbose=0)  # in the second part
    monkeypatch.setattr(Cut, "end_at", None)
    tuner = make(cls=ByHand)
    tuner.search(epochs=2, callbacks=[Cut()], verbose=0)
    (trial,) = tuner.oracle.get_best_trials()
    rate = trial.hyperparameters["rate"]
    expected = [losses(rate, *fold) for fold in ms.KFold(2).split(X)]
    assert [e.metrics["val_loss"] for e in trial.executions] == pytest.approx([min(e) for e in expected], rel=1e-5)
    table = tuner.history()
    last = table[table["attempt"] == 1]
    assert last["val_loss"].tolist() == pytest.approx(np.ravel(expected).tolist(), rel=1e-5)
    assert last["execution"].tolist() == [0, 0, 1, 1]
