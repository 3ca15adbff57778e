"""Hyperband over a tiny Keras model; killed and run again by test_kill_hyperband.py.

python hyperband_script.py DIRECTORY LOG HELD
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from tests.faults.training_process import note

from krigetuner.adapters import checkpoints
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.hyperband import Hyperband


class Log(keras.callbacks.Callback):  # type: ignore[misc]
    """One line per epoch."""

    path: Path | None = None
    held = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if Log.path is not None:
            note(Log.path, epoch, int(self.model.optimizer.iterations), Log.held)


def build(hp: HyperParameters) -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 30)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log")), "mse", run_eagerly=True)
    return model


def search(directory: str | Path, log: Path | None = None, held: int = 0) -> dict[str, Any]:
    """Runs the first bracket, 4 / 2 / 1 trials to the epochs 1, 2 and 4; what came of it as plain data."""
    Log.path, Log.held = log, held
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    tuner = Hyperband(build, "val_loss", max_epochs=4, factor=2, seed=5, directory=directory, max_trials=7)
    tuner.search(x, x[:, :1], validation_data=(x, x[:, :1]), shuffle=False, callbacks=[Log()], verbose=0)
    trials = [[t.status, t.attempt, t.hyperparameters.values] for t in tuner.oracle.trials.values()]
    epochs = {f"{m.number}.{m.step}": m.metrics["val_loss"] for m in tuner.oracle._ledger.measurements()}
    best = tuner.get_best_models()[0].evaluate(x, x[:, :1], verbose=0)
    brackets = tuner.oracle.get_state()["brackets"]
    tuner.oracle.close()
    return {"trials": trials, "epochs": epochs, "best": best, "brackets": brackets}


if __name__ == "__main__":
    checkpoints.SHARE = 1e9  # every epoch is saved, however quick it was
    sys.stdout.write(json.dumps(search(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
