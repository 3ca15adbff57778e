"""Tunes a Keras network on 1,797 handwritten digits by Bayesian optimization, grid search and random search.

    python examples/digits.py [--trials 20] [--seed 0] [--directory runs/digits] [--overwrite]

Run it again and it goes on where it stopped; a search that had ended gets `--trials` more trainings. At the end one
table compares the three at equal trainings, and the best model that was saved predicts digits it has never seen.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import krigetuner as kt

EPOCHS = 10


class DigitsModel(kt.HyperModel):
    """One to three dense layers with an optimizer whose own parameters hang below it; `fit` tunes the batch size."""

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        layers = hp.Int("layers", 1, 3)
        activation = hp.Choice("activation", ["relu", "tanh", "gelu"])
        dropout = hp.Float("dropout", 0.0, 0.5, step=0.1)
        model = keras.Sequential([keras.Input((64,))])
        for i in range(1, 4):
            with hp.conditional_scope("layers", list(range(i, 4))):
                units = hp.Int(f"units_{i}", 16, 128, step=16)
            if i <= layers:
                model.add(keras.layers.Dense(units, activation=activation))
                model.add(keras.layers.Dropout(dropout))
        model.add(keras.layers.Dense(10, activation="softmax"))
        model.compile(
            optimizer=self._optimizer(hp),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=False,  # compiling would take longer than training these small networks
        )
        return model

    def _optimizer(self, hp: kt.HyperParameters) -> keras.optimizers.Optimizer:
        name = hp.Choice("optimizer", ["adam", "rmsprop", "sgd", "lion"])
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        with hp.conditional_scope("optimizer", ["adam"]):
            adam = hp.Float("beta_1_adam", 0.8, 0.99)
        with hp.conditional_scope("optimizer", ["rmsprop"]):
            rho = hp.Float("rho_rmsprop", 0.8, 0.99)
        with hp.conditional_scope("optimizer", ["sgd"]):
            momentum = hp.Float("momentum_sgd", 0.0, 0.95)
        with hp.conditional_scope("optimizer", ["lion"]):
            lion = hp.Float("beta_1_lion", 0.8, 0.99)
        if name == "adam":
            return keras.optimizers.Adam(rate, beta_1=adam)
        if name == "rmsprop":
            return keras.optimizers.RMSprop(rate, rho=rho)
        if name == "sgd":
            return keras.optimizers.SGD(rate, momentum=momentum)
        return keras.optimizers.Lion(rate, beta_1=lion)

    def fit(self, hp: kt.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        kwargs["verbose"] = 0  # the tuner's own display is enough
        return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32, 64, 128]), **kwargs)


def digits() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Training, validation and held-back test sets: 1,077, 360 and 360 digits."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32")
    x, x_test, y, y_test = train_test_split(x, y, test_size=360, random_state=0, stratify=y)
    x, x_val, y, y_val = train_test_split(x, y, test_size=360, random_state=0, stratify=y)
    return (x, y), (x_val, y_val), (x_test, y_test)


def search(tuner: kt.Tuner, trials: int) -> kt.Tuner:
    """Runs a search to its end; one that had ended before gets `trials` more trainings."""
    (x, y), validation, _ = digits()
    if tuner.remaining_trials == 0:
        tuner.oracle.max_trials = len(tuner.oracle.trials) + trials
    tuner.search(x, y, validation_data=validation, epochs=EPOCHS)
    return tuner


def scores(tuner: kt.Tuner) -> list[float]:
    """The objective of each completed training, in the order in which they ran."""
    table = tuner.results()
    return [float(s) for s in table.loc[table["status"] == "COMPLETED", "score"]]


def compare(tuners: dict[str, kt.Tuner]) -> list[dict[str, Any]]:
    """One row for each search, at equal trainings."""
    _, _, (x_test, y_test) = digits()
    goal = max(scores(tuners["random search"]))
    rows = []
    for name, tuner in tuners.items():
        seen = scores(tuner)
        best = tuner.get_best_models()[0]
        rows.append(
            {
                "search": name,
                "trials": len(seen),
                "val accuracy": max(seen),
                "test accuracy": best.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"],
                "suggest, s": float(tuner.results()["suggestion_seconds"].sum()),
                "at random's best after": next((i for i, s in enumerate(seen, 1) if s >= goal), "not reached"),
            }
        )
    return rows


def as_table(rows: list[dict[str, Any]]) -> Table:
    """The rows for the terminal."""
    table = Table(title="Handwritten digits: three searches at equal trainings")
    for column in rows[0]:
        table.add_column(column, justify="left" if column == "search" else "right", no_wrap=column == "search")
    for cells in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells.values()))
    return table


def main() -> None:
    """Searches three times, compares, and predicts with the best model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="trainings of each search (default 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", default="runs/digits")
    parser.add_argument("--overwrite", action="store_true", help="forget earlier runs")
    parser.add_argument("--json", help="write the table to this file too")
    options = parser.parse_args()
    classes = {
        "Bayesian optimization": kt.BayesianOptimization,
        "grid search": kt.GridSearch,
        "random search": kt.RandomSearch,
    }
    console = Console()
    tuners = {}
    for name, tuner_class in classes.items():
        console.rule(name)
        tuner = tuner_class(
            DigitsModel(),
            objective="val_accuracy",
            max_trials=options.trials,
            seed=options.seed,
            directory=options.directory,
            project_name=name.replace(" ", "_").lower(),
            overwrite=options.overwrite,
        )
        tuners[name] = search(tuner, options.trials)
    rows = compare(tuners)
    console.print(as_table(rows))
    if options.json:
        Path(options.json).write_text(json.dumps(rows))
    best = tuners["Bayesian optimization"]
    console.print("best hyperparameters:", best.get_best_hyperparameters()[0].values)
    _, _, (x_test, y_test) = digits()
    guesses = best.get_best_models()[0].predict(x_test[:10], verbose=0).argmax(axis=1)
    console.print("ten unseen digits:", y_test[:10].tolist(), " the best model says:", guesses.tolist())


if __name__ == "__main__":
    main()
