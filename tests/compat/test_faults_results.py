"""Results that KerasTuner 1.4.8 misreads, and errors that it raises late or loses: B5 ... B21 of the list of faults."""

from __future__ import annotations

import gc
import math
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.compat.fault_driver import LOSS, Plain, driven, random_oracle, searched, statuses

import krigetuner as kt

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras beside numpy 2

X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
Y = X[:, :1]


def build(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(hp.Int("units", 1, 9)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=True)
    return model


def history(**metrics: list[float]) -> Any:
    """What `model.fit` returns."""
    made = keras.callbacks.History()
    made.history, made.epoch = metrics, list(range(len(next(iter(metrics.values())))))
    return made


def x_of(trial: Any) -> float:
    return float(trial.hyperparameters.Float("x", 0.0, 1.0))


def test_b5_nan_three_times_is_recorded_and_locks_nothing(tmp_path: Path) -> None:
    def diverging(trial: Any) -> float:
        return x_of(trial) * math.nan

    tuner = Plain(diverging, random_oracle(9), directory=tmp_path)
    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 3"):
        tuner.search(verbose=0)
    answers: list[Any] = []
    other = threading.Thread(target=lambda: answers.append(tuner.oracle.create_trial("other").status), daemon=True)
    other.start()
    other.join(timeout=60)
    assert answers == ["RUNNING"]
    tuner.oracle.close()
    again = Plain(x_of, random_oracle(9), directory=tmp_path)
    assert statuses(again)[:3] == ["FAILED"] * 3
    again.oracle.close()


def test_b5_the_result_of_a_retry_counts(tmp_path: Path) -> None:
    oracle = random_oracle(3, max_retries_per_trial=1)
    tuner = searched(lambda trial: math.nan if trial.attempt == 0 else x_of(trial), oracle, tmp_path)
    assert statuses(tuner) == ["COMPLETED"] * 3
    assert all(trial.score == trial.hyperparameters.values["x"] for trial in tuner.oracle.trials.values())


def test_b5_nan_in_one_epoch_is_not_nan_in_all(tmp_path: Path) -> None:
    for losses in ([math.nan, 3.0, 2.0], [3.0, 2.0, math.nan]):
        tuner = searched(lambda trial, losses=losses: history(loss=losses), random_oracle(1), tmp_path, overwrite=True)
        assert tuner.oracle.get_best_trials()[0].score == 2.0


def test_b6_infinite_losses_are_the_worst() -> None:
    hp = kt.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    oracle = kt.oracles.BayesianOptimizationOracle(objective=LOSS, max_trials=20, hyperparameters=hp, seed=0)
    seen = driven(oracle, lambda v: math.inf if v["x"] > 0.6 else (v["x"] - 0.2) ** 2 + 1)
    assert sum(v["x"] > 0.6 for v in seen[6:]) <= 4  # of 14; KerasTuner's: all 14
    assert oracle.get_best_trials()[0].score == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_f1_score", "max"),
        ("val_r2_score", "max"),
        ("val_cosine_similarity", "max"),
        ("val_precision_1", "max"),
        ("val_mean_io_u", "max"),
        ("val_iou", "max"),
        ("score", "max"),
        ("val_auc", "max"),
        ("val_mean_absolute_error", "min"),
        ("val_loss", "min"),
    ],
)
def test_b9_directions(name: str, direction: str) -> None:
    assert kt.oracles.RandomSearchOracle(objective=name).objective.direction == direction


def test_b11_a_search_that_is_over_is_not_kept_in_memory(tmp_path: Path) -> None:
    models: list[Any] = []

    def kept(hp: Any) -> Any:
        model = build(hp)
        models.append(weakref.ref(model))
        return model

    tuner = kt.RandomSearch(kept, "val_loss", max_trials=3, directory=tmp_path)
    tuner.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    oracle = weakref.ref(tuner.oracle)
    tuner.oracle.close()
    del tuner
    for _ in range(600):
        gc.collect()
        if oracle() is None:
            break
        time.sleep(0.1)  # a thread of the framework's may be on its way out
    assert oracle() is None
    assert sum(model() is not None for model in models) <= 1


def test_b16_missing_validation_data_cost_no_training(tmp_path: Path) -> None:
    tuner = kt.RandomSearch(build, "val_loss", max_trials=3, directory=tmp_path)
    with pytest.raises(ValueError, match=r"objective: expected validation data for val_loss"):
        tuner.search(X, Y, epochs=1, verbose=0)
    tuner.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    assert statuses(tuner) == ["COMPLETED"] * 3
    tuner.oracle.close()


def test_b16_a_typo_in_build_costs_no_trial(tmp_path: Path) -> None:
    def typo(hp: Any) -> Any:
        return hp.Integer("units", 1, 9)

    with pytest.raises(AttributeError, match="Integer"):
        kt.RandomSearch(typo, "val_loss", max_trials=1, directory=tmp_path)
    tuner = kt.RandomSearch(build, "val_loss", max_trials=1, directory=tmp_path)
    tuner.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    assert statuses(tuner) == ["COMPLETED"]
    tuner.oracle.close()


def test_b18_several_objectives_from_a_dict_and_from_a_history(tmp_path: Path) -> None:
    for result in ({"val_loss": 0.25, "val_accuracy": 0.5}, history(val_loss=[2.0, 0.25], val_accuracy=[0.5, 0.5])):
        oracle = random_oracle(1, objective=["val_loss", "val_accuracy"])
        tuner = searched(lambda trial, result=result: result, oracle, tmp_path, overwrite=True)
        assert tuner.oracle.get_best_trials()[0].score == -0.25  # the sum to minimise less the sum to maximise


def test_b18_one_number_for_several_objectives_is_refused_clearly(tmp_path: Path) -> None:
    oracle = random_oracle(1, objective=["val_loss", "val_accuracy"])
    with pytest.raises(kt.errors.FatalError, match=r"(?s)val_loss.*val_accuracy"):
        searched(lambda trial: 0.5, oracle, tmp_path)


def test_b20_image_augmentation_trains_and_predicts_with_every_factor() -> None:
    strengths = {"rotate": (0.1, 0.5), "translate_x": (0.2, 0.4), "translate_y": (0.2, 0.4), "contrast": (0.2, 0.3)}
    augment = kt.applications.HyperImageAugment(input_shape=(8, 8, 3), **strengths).build(kt.HyperParameters())
    model = keras.Sequential([keras.Input((8, 8, 3)), augment, keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    images = np.random.default_rng(0).uniform(0, 1, (4, 8, 8, 3)).astype("float32")
    assert np.isfinite(model.fit(images, np.ones(4), verbose=0).history["loss"][0])
    np.testing.assert_array_equal(augment.predict(images, verbose=0), images)


@pytest.mark.filterwarnings("ignore:run_trial")
def test_b21_the_subclass_of_the_old_page(tmp_path: Path) -> None:
    """It reports and saves by hand, and returns nothing."""

    class Old(kt.Tuner):
        def run_trial(self, trial: Any, x: Any, y: Any) -> None:  # type: ignore[override]
            model = self.hypermodel.build(trial.hyperparameters)
            model.fit(x, y, verbose=0)
            self.oracle.update_trial(
                trial.trial_id, {"loss": model.evaluate(x, y, verbose=0, return_dict=True)["loss"]}
            )
            self.save_model(trial.trial_id, model)

    tuner = Old(random_oracle(2), build, directory=tmp_path)
    tuner.search(X, Y)
    assert statuses(tuner) == ["COMPLETED"] * 2
    assert tuner.get_best_models()[0].predict(X, verbose=0).shape == (8, 1)
    tuner.oracle.close()
