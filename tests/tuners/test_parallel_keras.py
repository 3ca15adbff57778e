"""Keras models that worker processes train: the same as here, with their weights and the script's settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from tests.tuners.keras_line import EPSILON, build
from tests.tuners.odd_trials import story

from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.classes import RandomSearch

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with numpy 2

X = np.linspace(-1, 1, 32, dtype="float32")[:, None]
Y = 2 * X


@pytest.fixture
def epsilon() -> Iterator[None]:
    former = keras.config.epsilon()
    keras.config.set_epsilon(EPSILON)
    yield
    keras.config.set_epsilon(former)


@pytest.mark.slow
@pytest.mark.usefixtures("epsilon")
def test_a_worker_trains_what_this_process_would(tmp_path: Path, opened: list[BaseTuner]) -> None:
    for workers in (None, 1):
        opened.append(RandomSearch(build, "val_loss", max_trials=3, seed=2, directory=tmp_path / str(workers)))
        stopping = keras.callbacks.EarlyStopping(patience=1)
        opened[-1].search(X, Y, epochs=2, validation_data=(X, Y), verbose=0, workers=workers, callbacks=[stopping])
    here, there = opened
    assert story(here) == story(there)
    (model,) = there.get_best_models()
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(there.oracle.get_best_trials()[0].score, rel=1e-5)
