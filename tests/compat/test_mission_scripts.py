"""Scripts as users have them from the manuals of KerasTuner and from tutorials: only the import is changed.

Each is run small: fewer trials, fewer epochs and less data than printed.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import krigetuner

IRIS = """
import kerastuner as kt
from sklearn import ensemble
from sklearn import datasets
from sklearn import linear_model
from sklearn import metrics
from sklearn import model_selection

def build_model(hp):
  model_type = hp.Choice('model_type', ['random_forest', 'ridge'])
  if model_type == 'random_forest':
    model = ensemble.RandomForestClassifier(
        n_estimators=hp.Int('n_estimators', 10, 50, step=10),
        max_depth=hp.Int('max_depth', 3, 10))
  else:
    model = linear_model.RidgeClassifier(
        alpha=hp.Float('alpha', 1e-3, 1, sampling='log'))
  return model

tuner = kt.tuners.Sklearn(
    oracle=kt.oracles.BayesianOptimization(
        objective=kt.Objective('score', 'max'),
        max_trials=3),
    hypermodel=build_model,
    scoring=metrics.make_scorer(metrics.accuracy_score),
    cv=model_selection.StratifiedKFold(5),
    directory='.',
    project_name='my_project')

X, y = datasets.load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = model_selection.train_test_split(
    X, y, test_size=0.2)

tuner.search(X_train, y_train)

best_model = tuner.get_best_models(num_models=1)[0]
"""

FRAUD = """
import keras_tuner as kt
import numpy as np
from keras import Sequential, initializers, metrics
from keras.callbacks import EarlyStopping
from keras.layers import Dense, Dropout, Input


class CustomHyperModel(kt.HyperModel):
    def __init__(self, input_shape, initial_bias_value, class_weights_dict):
        super().__init__()
        self.input_shape = input_shape
        self.initial_bias_value = initial_bias_value
        self.class_weights_dict = class_weights_dict

    def build(self, hp):
        model = Sequential([
            Input(shape=(self.input_shape,)),
            Dense(units=hp.Int('neurons1', min_value=20, max_value=60, step=10), activation='relu'),
            Dropout(hp.Float('dropout_rate1', min_value=0.0, max_value=0.5, step=0.1)),
            Dense(1, activation='sigmoid', bias_initializer=initializers.Constant(self.initial_bias_value)),
        ])
        model.compile(
            optimizer=hp.Choice('optimizer_name', ['adam', 'lion']),
            loss='binary_crossentropy',
            metrics=['accuracy', metrics.Precision(name='precision'), metrics.Recall(name='recall'),
                     metrics.AUC(name='auc')],
        )
        return model

    def fit(self, hp, model=None, *args, **kwargs):
        model = self.build(hp=hp) if not model else model
        batch_size = hp.Choice('batch_size', values=[16, 32, 64])
        epochs = hp.Int('epochs', min_value=1, max_value=2, step=1)
        return model.fit(
            batch_size=batch_size,
            epochs=epochs,
            class_weight=self.class_weights_dict,
            *args,
            **kwargs
        )


rng = np.random.default_rng(0)
X_train, X_val = rng.normal(size=(64, 3)), rng.normal(size=(32, 3))
y_train, y_val = (X_train[:, 0] > 0.5).astype(int), (X_val[:, 0] > 0.5).astype(int)
custom_hypermodel = CustomHyperModel(3, np.log(0.5), {0: 1.0, 1: 2.0})
early_stopping_callback = EarlyStopping(monitor='val_loss', patience=1)
tuner = kt.BayesianOptimization(
    hypermodel=custom_hypermodel,
    objective=kt.Objective("val_recall", direction="max"),
    max_trials=2,
    executions_per_trial=2,
    directory='tuning',
    project_name='fraud',
    num_initial_points=1,
    overwrite=True,
)
tuner.search(
    X_train, y_train,
    validation_data=(X_val, y_val),
    callbacks=[early_stopping_callback]
)
best_hp = tuner.get_best_hyperparameters(num_trials=1)[0]
best_keras_model_from_tuner = tuner.get_best_models(num_models=1)[0]
"""

LEGACY = """
from kerastuner.tuners.bayesian import BayesianOptimization
from kerastuner.tuners.hyperband import Hyperband
from kerastuner.tuners.randomsearch import RandomSearch
from kerastuner.tuners.sklearn import Sklearn
from kerastuner.engine.tuner import Tuner
from kerastuner.engine.base_tuner import BaseTuner
import kerastuner
"""


def changed(script: str) -> str:
    """The script with our name in its imports."""
    return script.replace("keras_tuner", "krigetuner").replace("kerastuner", "krigetuner")


def execute(script: str) -> dict[str, Any]:
    """The names that a script leaves behind."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(script, "script.py", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts write beside themselves."""
    monkeypatch.chdir(tmp_path)


def test_the_scikit_learn_example() -> None:
    np.random.seed(0)  # noqa: NPY002 - of the split and of the forests
    names = execute(changed(IRIS))
    assert names["best_model"].predict(names["X_test"]).shape == names["y_test"].shape
    assert names["best_model"].score(names["X_test"], names["y_test"]) > 0.6
    assert len(names["tuner"].oracle.trials) == 3
    assert Path("my_project").is_dir()


@pytest.mark.slow
def test_the_scikit_learn_example_as_printed(tmp_path: Path) -> None:
    script = tmp_path / "iris.py"
    script.write_text(IRIS + "print(type(tuner).__module__, len(tuner.oracle.trials))\n", encoding="utf-8")
    command = [sys.executable, "-W", "error", "-W", "ignore:`import kerastuner`:DeprecationWarning"]
    done = subprocess.run(
        [*command, "-m", "krigetuner.compat", str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "krigetuner.tuners.sklearn_tuner 3"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_hypermodel_with_fit() -> None:
    names = execute(changed(FRAUD))
    values = names["best_hp"].values
    assert set(values) == {"neurons1", "dropout_rate1", "optimizer_name", "batch_size", "epochs"}
    assert names["best_keras_model_from_tuner"].predict(names["X_val"], verbose=0).shape == (32, 1)
    results = names["tuner"].results()
    assert len(results) == 2
    assert set(results["status"]) == {"COMPLETED"}


def test_the_printed_signature_of_bayesian_optimization() -> None:
    tuner = krigetuner.BayesianOptimization(
        hypermodel=lambda hp: hp.Int("n", 1, 2),
        objective=None,
        max_trials=10,
        num_initial_points=None,
        alpha=0.0001,
        beta=2.6,
        seed=None,
        hyperparameters=None,
        tune_new_entries=True,
        allow_new_entries=True,
        max_retries_per_trial=0,
        max_consecutive_failed_trials=3,
    )
    assert (tuner.oracle.max_trials, tuner.oracle.objective.direction) == (10, "min")
    printed = "hypermodel objective max_trials num_initial_points alpha beta seed hyperparameters tune_new_entries"
    taken = list(inspect.signature(krigetuner.BayesianOptimization).parameters)
    assert taken[:9] == printed.split()


class Lines(krigetuner.HyperModel):
    """Slopes of a line; what it builds is no Keras model."""

    def build(self, hp: krigetuner.HyperParameters) -> float:
        return float(hp.Float("slope", 0.0, 2.0))


def loss_of(slope: float) -> float:
    """Lowest at 1."""
    return (slope - 1.0) ** 2


def test_the_imports_of_version_1_0() -> None:
    names = execute(changed(LEGACY))
    assert names["krigetuner"].tuners.Sklearn is names["Sklearn"]
    assert names["krigetuner"].tuners.bayesian.BayesianOptimization is krigetuner.BayesianOptimization

    class Own(names["RandomSearch"]):  # type: ignore[misc,name-defined]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return loss_of(self.hypermodel.build(trial.hyperparameters))

    for kind, limit in (("RandomSearch", 3), ("BayesianOptimization", 3), ("Hyperband", 3)):
        tuner_class = type(kind, (names[kind],), {"run_trial": Own.run_trial})
        tuner = tuner_class(Lines(), "loss", limit, directory="old", project_name=kind)
        tuner.search(verbose=0)
        assert tuner.get_best_hyperparameters()[0].values["slope"] >= 0.0
    first = names["BayesianOptimization"]
    assert first(Lines(), "loss", 5, 2, directory="old", project_name="p").oracle.num_initial_points == 2


class Simplest(krigetuner.engine.base_tuner.BaseTuner):
    """The example of the 1.0 manual: reports through the oracle, saves the model, returns nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.saved: list[tuple[str, float, int]] = []
        super().__init__(*args, **kwargs)

    def run_trial(self, trial: Any, x: Any, y: Any, val_x: Any, val_y: Any) -> None:
        model = self.hypermodel.build(trial.hyperparameters)
        loss = float(np.mean((model * val_x - val_y) ** 2))
        self.oracle.update_trial(trial.trial_id, {"loss": loss})
        self.save_model(trial.trial_id, model)

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        self.saved.append((trial_id, model, step))

    def load_model(self, trial: Any) -> Any:
        return {i: model for i, model, _ in self.saved}[trial.trial_id]


def test_the_simplest_example_of_a_tuner() -> None:
    oracle = krigetuner.oracles.RandomSearch(objective=krigetuner.Objective("loss", "min"), max_trials=4)
    tuner = Simplest(oracle, Lines(), directory="simple")
    x = np.linspace(0, 1, 5)
    with pytest.warns(DeprecationWarning, match="expected the metrics to be returned"):
        tuner.search(x, x, x, x)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 4
    assert len(tuner.saved) == 4
    best = tuner.get_best_models()[0]
    assert loss_of(best) == min(loss_of(model) for _, model, _ in tuner.saved)
