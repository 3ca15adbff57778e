"""Memory of the searching process over many small Keras models, with and without a fresh process for each.

    python bench/scale/memory.py --trials 200
    python bench/scale/memory.py --trials 200 --here

Prints, every ten trials, what the searching process has of its own (USS), and what it had when the search began.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import numpy as np
import psutil

import krigetuner as kt

X = np.linspace(-1, 1, 64, dtype="float32")[:, None]
EVERY = 10


def build(hp: Any) -> Any:
    import keras

    layers = [keras.layers.Dense(hp.Int("units", 4, 64), activation="relu") for _ in range(3)]
    model = keras.Sequential([keras.Input((1,)), *layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-4, 1e-1, sampling="log")), "mse")
    return model


def own_memory() -> float:
    """MB that nobody else uses."""
    return float(psutil.Process().memory_full_info().uss) / 1e6


class Weighed(kt.RandomSearch):
    """Prints how much memory its process has."""

    begun = 0.0

    def on_trial_end(self, trial: kt.Trial) -> None:
        super().on_trial_end(trial)
        ended = len(self.oracle.end_order)
        self.begun = self.begun or own_memory()
        if ended % EVERY == 0:
            print(f"{ended} trials: {own_memory():.0f} MB, {self.begun:.0f} MB after the first", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--here", action="store_true", help="all trials in the searching process")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        tuner = Weighed(build, "loss", max_trials=given.trials, seed=1, directory=directory)
        tuner.search(X, X, epochs=1, verbose=0, isolate_trials=not given.here)


if __name__ == "__main__":
    main()
