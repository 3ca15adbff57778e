"""A Keras tuner's hooks and options beside keras_tuner 1.4.8: the order of calls, what they are given, model sizes."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")

import keras

import krigetuner as kt

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore")]
X = np.linspace(-1, 1, 8, dtype="float32")[:, None]
HOOKS = (
    "pre_create_trial", "on_search_begin", "on_search_end", "on_trial_begin", "on_trial_end", "on_epoch_begin",
    "on_epoch_end", "on_batch_begin", "on_batch_end",
)  # fmt: skip


@pytest.fixture
def both(tmp_path: Path) -> list[tuple[Any, Path]]:
    import keras_tuner

    return [(keras_tuner, tmp_path / "theirs"), (kt, tmp_path / "ours")]


def build(hp: Any) -> Any:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(hp.Int("units", 1, 3)), keras.layers.Dense(1)])
    model.compile("sgd", "mae", metrics=["mse"], run_eagerly=True)
    return model


def listening(base: Any, calls: list[Any]) -> Any:
    """A subclass that writes down its hooks' calls."""

    def hook(name: str) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            plain = [a for a in args if isinstance(a, int)]
            logs = kwargs.get("logs") or (args[-1] if isinstance(args[-1:], tuple) and args else None)
            named = sorted(logs) if isinstance(logs, dict) else None
            ids = [a.trial_id for a in args if hasattr(a, "trial_id")]
            models = [type(a).__name__ for a in args if isinstance(a, keras.Model)]
            calls.append((name, ids, models, plain, named))
            return getattr(base, name)(self, *args, **kwargs)

        return method

    return type("Listening", (base,), {name: hook(name) for name in HOOKS})


def test_the_same_hooks_are_called_with_the_same_in_the_same_order(both: Any) -> None:
    heard = []
    for module, directory in both:
        calls: list[Any] = []
        tuner = listening(module.RandomSearch, calls)(
            build, "val_loss", max_trials=2, executions_per_trial=2, directory=directory, seed=1
        )
        tuner.search(X, X, validation_data=(X, X), epochs=1, batch_size=4, verbose=0)
        heard.append(calls)
    assert len(heard[0]) == 2 + 3 + 2 * 2 + 2 * 2 * (2 + 2 * 2)
    assert heard[1] == heard[0]


def test_the_same_end_of_oversized_models(both: Any) -> None:
    found = []
    for module, directory in both:
        tuner = module.RandomSearch(build, "loss", max_trials=2, max_model_size=3, directory=directory)
        tuner.search(X, X, epochs=1, verbose=0)
        found.append([(t.status, "Oversized model" in t.message) for t in tuner.oracle.trials.values()])
    assert found[1] == found[0] == [("FAILED", True)] * 2


def test_the_same_compilation_when_the_tuner_overrides_it(both: Any) -> None:
    found = []
    for module, directory in both:
        tuner = module.RandomSearch(
            build, "loss", max_trials=1, directory=directory, loss="mse", optimizer="adam", metrics=["mae"]
        )
        tuner.search(X, X, epochs=1, verbose=0)
        model = tuner.hypermodel.build(tuner.get_best_hyperparameters()[0])
        assert model.loss == "mae"  # what the hypermodel says by itself
        model = tuner.get_best_models()[0]
        logs = model.evaluate(X, X, verbose=0, return_dict=True)
        found.append((model.loss, type(model.optimizer).__name__, sorted(logs)))
    assert found[1] == found[0] == ("mse", "Adam", ["loss", "mae"])


def test_a_logger_gives_the_same_warning(both: Any) -> None:
    for module, directory in both:
        with pytest.warns(DeprecationWarning, match="`logger` argument.* no longer supported"):
            module.RandomSearch(build, "loss", directory=directory, logger=object())
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            module.RandomSearch(build, "loss", directory=directory / "none", logger=None)
