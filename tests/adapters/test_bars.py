"""Keras' progress bars during a search: muted in every thread that draws them, and back again behind it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import pytest

from krigetuner.adapters.keras import bars_off

SEARCHES = """
import sys
import keras
import numpy as np
import krigetuner as kt

X = np.ones((64, 4))
DATA = {"x": X, "y": X[:, :1], "epochs": 2}

class Model(kt.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(hp.Int("units", 1, 8))])
        model.compile("sgd", "mse")
        return model

class Own(Model):
    def fit(self, hp, model, **kwargs):
        model.fit(**DATA)
        return model.evaluate(X, X[:, :1])

def search(name, model, objective, **kwargs):
    print("::", name, flush=True)
    tuner = kt.RandomSearch(model, objective, max_trials=1, directory=sys.argv[1], project_name=name)
    tuner.search(**kwargs)

search("default", Model(), "val_loss", validation_split=0.5, **DATA)
search("own", Own(), None)
search("loud", Model(), "val_loss", validation_split=0.5, verbose=1, **DATA)
print(":: behind", flush=True)
Model().build(kt.HyperParameters()).fit(**DATA)
"""


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")
def test_bars_that_other_threads_draw_are_muted_and_whole_where_asked_for(tmp_path: Path) -> None:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SEARCHES, str(tmp_path)]
    made = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600, check=True, env=environment)
    shown = dict(part.split("\n", 1) for part in made.stdout.split(":: ")[1:])
    assert list(shown) == ["default", "own", "loud", "behind"]
    for name in ("default", "own"):
        assert shown[name].startswith("Search ended"), name
        assert shown[name].count("\n") == 1, name
    for name in ("loud", "behind"):
        assert "Epoch 2/2" in shown[name], name
        assert "step" in shown[name], name


def level(verbose: Any = "auto") -> int:
    """What the bars of a fit that begins here will show."""
    fit = keras.callbacks.CallbackList([], add_progbar=True, verbose=verbose, epochs=1, steps=1)
    (bars,) = (c for c in fit.callbacks if isinstance(c, keras.callbacks.ProgbarLogger))
    return int(bars.verbose)


def test_each_thread_has_its_own_trial() -> None:
    found: list[int] = []
    with bars_off(True):
        assert (level(), level(1), level(2)) == (0, 1, 2)
        other = threading.Thread(target=lambda: found.append(level()))
        other.start()
        other.join()
        with bars_off(False):  # a search inside a trial, with verbose=1
            assert level(1) == 1
        assert level() == 0
    assert found == [1]
    assert level() == 1


def test_bars_are_back_after_a_trial_that_failed_or_forgot_the_setting() -> None:
    def failing() -> None:
        with bars_off(True):
            keras.utils.clear_session()  # Keras forgets there that its messages were off
            assert level() == 0
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert level() == 1
    assert keras.config.is_interactive_logging_enabled()
