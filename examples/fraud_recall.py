"""Finds a network that misses few frauds: Bayesian optimization, grid search and random search on imbalanced data.

    python examples/fraud_recall.py [--trials 20] [--seed 0] [--directory runs/fraud] [--overwrite]

One transaction in ten is a fraud. The objective is the recall on validation data; the class weight is below the odds,
so that a network which calls everything fraud, or nothing, does not win, and precision is shown beside recall because
the one is bought with the other.
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
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

import krigetuner as kt

CLASS_WEIGHT = {0: 1.0, 1: 4.0}
METRICS = ("recall", "precision", "auc", "accuracy")


class FraudModel(kt.HyperModel):
    """Two dense layers with dropout; optimizer, batch size and epochs are tuned with them."""

    def __init__(self, fraud_share: float) -> None:
        super().__init__()
        self.initial_bias = float(np.log(fraud_share / (1 - fraud_share)))

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((20,))])
        for i in (1, 2):
            model.add(keras.layers.Dense(self.neurons(hp, i), activation="relu"))
            model.add(keras.layers.Dropout(self.dropout(hp, i)))
        bias = keras.initializers.Constant(self.initial_bias)
        model.add(keras.layers.Dense(1, activation="sigmoid", bias_initializer=bias))
        model.compile(
            optimizer=self.optimizer(hp),
            loss="binary_crossentropy",
            metrics=[
                "accuracy",
                keras.metrics.Precision(name="precision"),
                keras.metrics.Recall(name="recall"),
                keras.metrics.AUC(name="auc"),
            ],
            jit_compile=False,  # compiling would take longer than training these small networks
            steps_per_execution=8,  # halves the time of an epoch
        )
        return model

    def fit(self, hp: kt.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        batch_size, epochs = self.batch_size(hp), self.epochs(hp)
        kwargs["verbose"] = 0  # the tuner's own display is enough
        return model.fit(*args, batch_size=batch_size, epochs=epochs, class_weight=CLASS_WEIGHT, **kwargs)

    def neurons(self, hp: kt.HyperParameters, layer: int) -> int:
        return hp.Int(f"neurons{layer}", 20, 60, step=10)

    def dropout(self, hp: kt.HyperParameters, layer: int) -> float:
        return hp.Float(f"dropout_rate{layer}", 0.0, 0.5, step=0.1)

    def batch_size(self, hp: kt.HyperParameters) -> int:
        return hp.Choice("batch_size", [16, 32, 64])

    def epochs(self, hp: kt.HyperParameters) -> int:
        return hp.Int("epochs", 50, 200, step=50)

    def optimizer(self, hp: kt.HyperParameters) -> keras.optimizers.Optimizer:
        name = hp.Choice("optimizer", ["adam", "rmsprop", "lion"])
        rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
        with hp.conditional_scope("optimizer", ["lion"]):
            beta_1 = hp.Choice("beta_1_lion", [0.85, 0.9, 0.95])
            beta_2 = hp.Choice("beta_2_lion", [0.98, 0.99, 0.999])
        if name == "lion":
            return keras.optimizers.Lion(rate, beta_1=beta_1, beta_2=beta_2)
        return keras.optimizers.Adam(rate) if name == "adam" else keras.optimizers.RMSprop(rate)


class ArticleGrid(FraudModel):
    """The same network over a grid for Adam, three values for most hyperparameters: 1,458 configurations."""

    def neurons(self, hp: kt.HyperParameters, layer: int) -> int:
        return hp.Choice(f"neurons{layer}", [20, 30, 40])

    def dropout(self, hp: kt.HyperParameters, layer: int) -> float:
        return hp.Choice(f"dropout_rate{layer}", [0.1, 0.15, 0.2])

    def epochs(self, hp: kt.HyperParameters) -> int:
        return hp.Choice("epochs", [50, 100])

    def optimizer(self, hp: kt.HyperParameters) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(hp.Choice("learning_rate", [0.001, 0.0005, 0.0001]))


def transactions() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Training, validation and held-back test sets: 2,400, 800 and 800 transactions."""
    x, y = make_classification(
        n_samples=4000,
        n_features=20,
        n_informative=8,
        n_redundant=4,
        n_clusters_per_class=3,
        weights=[0.9],
        flip_y=0.02,
        random_state=0,
    )
    x = x.astype("float32")
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    return (x, y), (x_val, y_val), (x_test, y_test)


def row(name: str, tuner: kt.Tuner) -> dict[str, Any]:
    """One line of the table: validation recall, then the best model's metrics on the held-back set."""
    _, _, (x_test, y_test) = transactions()
    table = tuner.results()
    done = table.loc[table["status"] == "COMPLETED", "score"]
    test = tuner.get_best_models()[0].evaluate(x_test, y_test, verbose=0, return_dict=True)
    return {
        "search": name,
        "trials": len(done),
        "val recall": float(done.max()),
        **{f"test {metric}": float(test[metric]) for metric in METRICS},
    }


def main() -> None:
    """Searches three times and compares on the held-back set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="trainings of each search (default 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", default="runs/fraud")
    parser.add_argument("--overwrite", action="store_true", help="forget earlier runs")
    parser.add_argument("--json", help="write the table to this file too")
    options = parser.parse_args()
    (x, y), validation, _ = transactions()
    share = float(y.mean())
    searches = {
        "Bayesian optimization": (kt.BayesianOptimization, FraudModel(share)),
        "grid search": (kt.GridSearch, ArticleGrid(share)),
        "random search": (kt.RandomSearch, FraudModel(share)),
    }
    console, rows = Console(), []
    for name, (tuner_class, hypermodel) in searches.items():
        console.rule(name)
        tuner = tuner_class(
            hypermodel,
            objective=kt.Objective("val_recall", "max"),
            max_trials=options.trials,
            seed=options.seed,
            directory=options.directory,
            project_name=name.replace(" ", "_").lower(),
            overwrite=options.overwrite,
        )
        stop = keras.callbacks.EarlyStopping("val_loss", patience=5)
        tuner.search(x, y, validation_data=validation, callbacks=[stop])
        rows.append(row(name, tuner))
        console.print(name, "chose", tuner.get_best_hyperparameters()[0].values)
    table = Table(title="Frauds found: three searches at equal trainings")
    for column in rows[0]:
        table.add_column(column, justify="left" if column == "search" else "right", no_wrap=column == "search")
    for cells in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells.values()))
    console.print(table)
    if options.json:
        Path(options.json).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
