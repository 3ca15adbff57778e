"""Hyperband with Keras: promoted trainings go on as if there had been no break, and files stay as long as needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest

from krigetuner.errors import KrigeTunerWarning
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.hyperband import Hyperband, HyperbandOracle
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.tuner import Tuner

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras beside numpy 2

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
Y = X[:, :1] - X[:, 1:2]
DATA: dict[str, Any] = {"validation_data": (X, Y), "shuffle": False, "batch_size": 8, "verbose": 0}


def network(units: int = 4, rate: float = 0.05, inputs: bool = True) -> Any:
    """The same weights whenever it is made."""
    keras.utils.set_random_seed(0)
    first = [keras.layers.Input((3,))] if inputs else []
    model = keras.Sequential([*first, keras.layers.Dense(units, activation="tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate), "mse", run_eagerly=True)
    return model


def build_one(hp: HyperParameters) -> Any:
    return network(hp.Fixed("units", 4))


def build_many(hp: HyperParameters) -> Any:
    return network(hp.Int("units", 1, 40))


class Log(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
    """Notes what all copies see: epochs, the optimizer's steps before each, and the weights before and after it."""

    seen: ClassVar[list[tuple[int, int]]] = []
    begun: ClassVar[list[list[Any]]] = []
    ended: ClassVar[list[list[Any]]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        Log.seen.append((epoch, int(self.model.optimizer.iterations)))
        Log.begun.append(self.model.get_weights())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        Log.ended.append(self.model.get_weights())


@pytest.fixture(autouse=True)
def log() -> None:
    Log.seen, Log.begun, Log.ended = [], [], []


def tune(path: Path, hypermodel: Any = build_one, **options: Any) -> Hyperband:
    return Hyperband(hypermodel, "val_loss", **{"max_epochs": 4, "factor": 2, "seed": 1, "directory": path, **options})


def losses(tuner: Hyperband, column: str = "val_loss") -> list[float]:
    """Of all epochs of all trials in order."""
    return [m.metrics[column] for m in tuner.oracle._ledger.measurements()]


def lasts(tuner: Hyperband) -> set[int]:
    """The numbers of the trials whose last weights are there."""
    return {int(p.parent.name.removeprefix("trial_")) for p in Path(tuner.project_dir).rglob("last-*.weights.h5")}


@pytest.fixture(scope="module")
def undisturbed() -> list[float]:
    """The losses of four epochs in one training."""
    found: list[float] = network().fit(X, Y, epochs=4, **DATA).history["val_loss"]
    return found


def test_promoted_trainings_are_one_training(tmp_path: Path, undisturbed: list[float]) -> None:
    tuner = tune(tmp_path)
    tuner.search(X, Y, callbacks=[Log()], **DATA)
    values = [t.hyperparameters.values for t in tuner.oracle.trials.values()]
    assert [(v["tuner/initial_epoch"], v["tuner/epochs"]) for v in values] == [(0, 1), (1, 2), (2, 4)]
    assert Log.seen == [(0, 0), (1, 2), (2, 4), (3, 6)], "epochs, and the optimizer's steps, count on"
    assert losses(tuner) == pytest.approx(undisturbed, rel=1e-5)
    best = tuner.oracle.get_best_trials()[0]
    assert best.score == pytest.approx(min(undisturbed), rel=1e-5)
    assert best.best_step == int(np.argmin(undisturbed))
    assert tuner.get_best_models()[0].evaluate(X, Y, verbose=0) == pytest.approx(best.score, rel=1e-5)
    assert not lasts(tuner), "nothing is left that no trial needs"
    tuner.oracle.close()


def test_a_model_without_an_input_layer(tmp_path: Path, undisturbed: list[float]) -> None:
    tuner = tune(tmp_path, lambda hp: network(hp.Fixed("units", 4), inputs=False))
    tuner.search(X, Y, **DATA)
    assert losses(tuner) == pytest.approx(undisturbed, rel=1e-5)
    assert tuner.get_best_models()[0].evaluate(X, Y, verbose=0) == pytest.approx(min(undisturbed), rel=1e-5)
    tuner.oracle.close()


class Subclassed(keras.Model):  # type: ignore[misc, name-defined]
    """A model that is built by its first call, from arguments that are no plain data."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(0)
        self.hidden, self.out = keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.out(self.hidden(inputs))

    def get_build_config(self) -> Any:
        return None


def build_subclassed(hp: HyperParameters) -> Any:
    hp.Fixed("units", 4)
    model = Subclassed()
    model.compile(keras.optimizers.Adam(0.05), "mse", run_eagerly=True)
    return model


def test_a_model_that_only_data_can_build_trains_from_the_first_epoch(tmp_path: Path, undisturbed: list[float]) -> None:
    tuner = tune(tmp_path, build_subclassed, max_epochs=2)
    with pytest.warns(KrigeTunerWarning, match="trial 0001: expected weights of trial 0000.*its first epoch"):
        tuner.search(X, Y, callbacks=[Log()], **DATA)
    assert Log.seen == [(0, 0), (0, 0), (1, 2)]
    assert losses(tuner)[1:] == pytest.approx(undisturbed[:2], rel=1e-5)
    tuner.oracle.close()


class Bare(HyperModel):
    """Trains by hand, without our callbacks."""

    seen: ClassVar[list[tuple[int, int]]] = []

    def build(self, hp: HyperParameters) -> Any:
        return network(hp.Fixed("units", 4))

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        Bare.seen.append((kwargs["initial_epoch"], kwargs["epochs"]))
        kwargs.pop("callbacks")
        return min(model.fit(*args, **kwargs).history["val_loss"])


def test_a_fit_of_ones_own_that_keeps_the_callbacks_away(tmp_path: Path, undisturbed: list[float]) -> None:
    Bare.seen = []
    tuner = tune(tmp_path, Bare())
    tuner.search(X, Y, **DATA)
    assert Bare.seen == [(0, 1), (1, 2), (2, 4)]
    assert [t.score for t in tuner.oracle.trials.values()] == pytest.approx(
        [undisturbed[0], undisturbed[1], min(undisturbed[2:])], rel=1e-5
    )
    assert tuner.get_best_models()[0].evaluate(X, Y, verbose=0) == pytest.approx(undisturbed[3], rel=1e-5)
    tuner.oracle.close()


def test_every_execution_goes_on_with_its_own(tmp_path: Path) -> None:
    made: list[float] = []

    def build(hp: HyperParameters) -> Any:
        model = network(hp.Fixed("units", 4))
        made.append(0.0)
        model.layers[0].kernel.assign(model.layers[0].kernel * (1.0 + len(made)))  # no two builds are alike
        return model

    tuner = tune(tmp_path, build, max_epochs=2, executions_per_trial=2)
    tuner.search(X, Y, callbacks=[Log()], **DATA)
    assert [epoch for epoch, _ in Log.seen] == [0, 0, 1, 1]
    begun, ended = ([np.concatenate([w.ravel() for w in at]) for at in moments] for moments in (Log.begun, Log.ended))
    for execution in range(2):
        np.testing.assert_array_equal(begun[2 + execution], ended[execution])
    assert not np.allclose(ended[0], ended[1])
    tuner.oracle.close()


def test_early_stopping_in_a_round(tmp_path: Path) -> None:
    stopper = keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=100.0, restore_best_weights=True)
    tuner = tune(tmp_path, max_epochs=6, factor=2)
    tuner.search(X, Y, callbacks=[stopper, Log()], **DATA)
    # rounds to the epochs 2, 3 and 6: each stops after its second epoch, the next begins where the schedule says
    assert [epoch for epoch, _ in Log.seen] == [0, 1, 2, 3, 4]
    assert {t.status for t in tuner.oracle.trials.values()} == {"COMPLETED"}
    best = tuner.oracle.get_best_trials()[0]
    assert tuner.get_best_models()[0].evaluate(X, Y, verbose=0) == pytest.approx(best.score, rel=1e-5)
    tuner.oracle.close()


def test_epochs_given_to_search_are_told_of_once(tmp_path: Path) -> None:
    tuner = tune(tmp_path, max_epochs=2, hyperband_iterations=1)
    with pytest.warns(KrigeTunerWarning, match="epochs: expected none in search") as told:
        tuner.search(X, Y, epochs=50, callbacks=[Log()], **DATA)
    texts = [str(w.message) for w in told if issubclass(w.category, KrigeTunerWarning)]
    assert len(texts) == 1
    assert "max_epochs=2" in texts[0]
    assert [epoch for epoch, _ in Log.seen] == [0, 1]
    tuner.oracle.close()


def test_files_stay_as_long_as_a_later_round_may_need_them(tmp_path: Path) -> None:
    kept: list[tuple[int, set[int]]] = []

    class Watched(Hyperband):
        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            kept.append((len(self.oracle.end_order), lasts(self)))

    tuner = Watched(build_many, "val_loss", max_epochs=4, factor=2, seed=1, directory=tmp_path, max_trials=7)
    tuner.search(X, Y, **DATA)
    trials = list(tuner.oracle.trials.values())
    order = [t.number for t in sorted(trials[:4], key=lambda t: t.score or 0.0)]
    rounds = dict(kept)
    assert rounds[4] == set(order[:2]), "of four, the two that are promoted"
    assert rounds[5] == {order[1], 4}
    second = min(trials[4:6], key=lambda t: t.score or 0.0).number
    assert rounds[6] == {second}
    assert rounds[7] == set()
    assert all(len(files) <= 2 for files in rounds.values())
    tuner.oracle.close()


def half_way(path: Path, **options: Any) -> Hyperband:
    """A search that ends before its only promotions."""
    tuner = tune(path, max_epochs=2, max_trials=1, **options)
    tuner.search(X, Y, **DATA)
    tuner.oracle.max_trials = None
    assert lasts(tuner) == {0}
    return tuner


def test_the_best_weights_stand_in_for_the_last(tmp_path: Path, undisturbed: list[float]) -> None:
    tuner = half_way(tmp_path)
    tuner._files("0").remove_last()
    with pytest.warns(KrigeTunerWarning, match="trial 0: expected the weights that its training ended with"):
        tuner.search(X, Y, callbacks=[Log()], **DATA)
    assert Log.seen == [(1, 2)]
    assert losses(tuner) == pytest.approx(undisturbed[:2], rel=1e-5)
    tuner.oracle.close()


def test_without_any_weights_it_trains_from_the_first_epoch(tmp_path: Path, undisturbed: list[float]) -> None:
    tuner = half_way(tmp_path)
    tuner._files("0").remove_last()
    tuner._files("0").remove_best()
    with pytest.warns(KrigeTunerWarning, match="trial 0001: expected weights of trial 0,.*its first epoch"):
        tuner.search(X, Y, callbacks=[Log()], **DATA)
    assert Log.seen == [(0, 0), (1, 2)]
    assert losses(tuner)[1:] == pytest.approx(undisturbed[:2], rel=1e-5)
    tuner.oracle.close()


def test_weights_that_do_not_fit_are_told_of(tmp_path: Path) -> None:
    tuner = half_way(tmp_path)
    tuner.hypermodel = tune(tmp_path / "other", lambda hp: network(7)).hypermodel
    tuner.search(X, Y, **DATA)
    failed = tuner.oracle.get_trial("0001")
    assert failed.status == "FAILED"
    assert "expected weights that fit the model of the promoted trial" in str(failed.message)
    tuner.oracle.close()


def test_all_checkpoints_stay_when_asked_for(tmp_path: Path) -> None:
    tuner = tune(tmp_path, keep_checkpoints="all")
    tuner.search(X, Y, **DATA)
    assert len(list(Path(tuner.project_dir).rglob("checkpoint.weights.h5"))) == 3
    assert not lasts(tuner)
    tuner.oracle.close()


def test_folds_go_on_fold_by_fold(tmp_path: Path) -> None:
    tuner = tune(tmp_path, max_epochs=2, cv=2)
    tuner.search(X, Y, shuffle=False, batch_size=8, callbacks=[Log()], verbose=0)
    assert Log.seen == [(0, 0), (0, 0), (1, 1), (1, 1)]
    tuner.oracle.close()


def test_a_tuner_that_does_not_follow_the_schedule_says_so(tmp_path: Path) -> None:
    oracle = HyperbandOracle("val_loss", max_epochs=2, factor=2, seed=1)
    tuner = Tuner(oracle, build_one, directory=tmp_path)
    with pytest.warns(
        KrigeTunerWarning, match="oracle: expected a tuner that trains each trial as long as Hyperband"
    ) as told:
        tuner.search(X, Y, epochs=1, callbacks=[Log()], **DATA)
    assert sum("expected a tuner" in str(w.message) for w in told) == 1
    assert [epoch for epoch, _ in Log.seen] == [0, 0]
    oracle.close()


def test_the_summary_tells_how_many_trials_and_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tune(tmp_path, max_epochs=100, factor=3).search_space_summary()
    assert "Hyperband: 254 trials of together 2672 epochs, once" in capsys.readouterr().out
