"""Tunes a tiny Keras model; killed and run again by test_resume_keras.py.

python keras_script.py DIRECTORY LOG HELD
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
from krigetuner.tuners.classes import RandomSearch

LOG = Path(sys.argv[2])
checkpoints.SHARE = 1e9  # every epoch is saved, however quick it was


class Log(keras.callbacks.Callback):
    """One line per epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        note(LOG, epoch, int(self.model.optimizer.iterations), int(sys.argv[3]))


def build(hp: HyperParameters) -> Any:
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 8)), keras.layers.Dense(1)])
    model.compile("adam", "mse", run_eagerly=True)
    return model


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype("float32")
    tuner = RandomSearch(build, "val_loss", max_trials=2, seed=5, directory=sys.argv[1])
    tuner.search(x, x[:, :1], validation_split=0.25, epochs=4, callbacks=[Log()], verbose=0)
    loss = tuner.get_best_models()[0].evaluate(x[48:], x[48:, :1], verbose=0)
    trials = {
        t.trial_id: {"status": t.status, "score": t.score, "attempt": t.attempt, "values": t.hyperparameters.values}
        for t in tuner.oracle.trials.values()
    }
    epochs = [(m.number, m.step, m.metrics["val_loss"]) for m in tuner.oracle._ledger.measurements()]
    sys.stdout.write(json.dumps({"trials": trials, "epochs": epochs, "best_loss": loss}))
    tuner.oracle.close()


main()
