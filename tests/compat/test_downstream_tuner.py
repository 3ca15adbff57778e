"""A library on top of the tuner, written as AutoKeras is: the same code on KerasTuner and on ours.

It relies on what such libraries use beside the documented names: `_populate_initial_space`, `_try_build`,
`_build_and_fit_model`, `_deepcopy_callbacks`, `_build_wrapper`, an oracle's `_seed_state`, `_tried_so_far`,
`_max_collisions` and `_compute_values_hash`, and tuners that inherit from a ready one and from an own one.
"""

from __future__ import annotations

import importlib
import json
import random
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore")]  # KerasTuner's own warnings

X = np.random.default_rng(0).random((16, 4))
Y = X.sum(axis=1, keepdims=True)
FIRST = {"body/units": 3, "body/kind": "tanh", "rate": 0.1}


@pytest.fixture(params=["keras_tuner", "krigetuner"])
def library(request: pytest.FixtureRequest) -> SimpleNamespace:
    return made_from(importlib.import_module(request.param))


def made_from(kt: ModuleType) -> SimpleNamespace:
    """The library's classes, on one of the two packages."""
    running, stopped = kt.engine.trial.TrialStatus.RUNNING, kt.engine.trial.TrialStatus.STOPPED
    fixed: type = kt.engine.hyperparameters.Fixed

    class Block(kt.HyperModel):  # type: ignore[misc,name-defined]
        def _build_wrapper(self, hp: Any, *args: Any, **kwargs: Any) -> Any:
            with hp.name_scope(self.name):
                return super()._build_wrapper(hp, *args, **kwargs)

    class Body(Block):
        def build(self, hp: Any, node: Any) -> Any:
            return keras.layers.Dense(hp.Int("units", 2, 8), hp.Choice("kind", ["relu", "tanh"]))(node)

    class Graph(kt.HyperModel):  # type: ignore[misc,name-defined]
        columns = 0

        def build(self, hp: Any) -> Any:
            assert self.columns, "built before the data were seen"
            source = keras.Input((self.columns,))
            model = keras.Model(source, keras.layers.Dense(1)(Body(name="body").build(hp, source)))
            hp.Fixed("version", 1)
            model.compile(keras.optimizers.SGD(hp.Float("rate", 0.01, 0.2)), "mse")
            return model

    class AutoTuner(kt.engine.tuner.Tuner):  # type: ignore[misc,name-defined]
        def __init__(self, oracle: Any, hypermodel: Any, **kwargs: Any) -> None:
            self._finished = False  # before super(), which may reload
            super().__init__(oracle, hypermodel, **kwargs)
            Path(self.project_dir, "graph.json").write_text("{}", encoding="utf-8")

        def _populate_initial_space(self) -> None:
            return

        def _see(self, x: Any) -> float:
            self.hypermodel.columns = x.shape[1]
            return float(x.max())

        def _build_and_fit_model(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            model = self._try_build(trial.hyperparameters)
            scale = self._see(kwargs["x"])
            Path(self.get_trial_dir(trial.trial_id), "scale.json").write_text(json.dumps(scale), encoding="utf-8")
            return model.fit(**{**kwargs, "x": kwargs["x"] / scale})

        def search(self, x: Any, y: Any, callbacks: Any = (), **kwargs: Any) -> None:
            if self._finished:
                return
            callbacks = self._deepcopy_callbacks(list(callbacks))
            callbacks.append(keras.callbacks.EarlyStopping("loss", patience=3))
            hp = self.oracle.get_space()
            self._see(x)
            self._try_build(hp)
            self.oracle.update_space(hp)
            super().search(x=x, y=y, callbacks=callbacks, **kwargs)
            best = self.oracle.get_best_trials(1)[0]
            model = self._try_build(best.hyperparameters)
            model.fit(x, y, epochs=self.oracle.get_trial(best.trial_id).best_step + 1, verbose=0)
            model.save(Path(self.project_dir, "best.keras"))
            self._finished = True
            self.save()

        def get_state(self) -> dict[str, Any]:
            return {**super().get_state(), "finished": self._finished}

        def set_state(self, state: Any) -> None:
            super().set_state(state)
            self._finished = state.get("finished")

    class GreedyOracle(kt.Oracle):  # type: ignore[misc,name-defined]
        def __init__(self, initial: Any = (), **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.initial, self.used = list(initial), 0

        def get_state(self) -> dict[str, Any]:
            return {**super().get_state(), "used": self.used}

        def set_state(self, state: Any) -> None:
            super().set_state(state)
            self.used = state["used"]

        def populate_space(self, trial_id: str) -> dict[str, Any]:
            if self.used < len(self.initial):
                self.used += 1
                return {"status": running, "values": self.initial[self.used - 1]}
            for _ in range(self._max_collisions):
                values = self._changed_best()
                if values is not None:
                    return {"status": running, "values": values}
            return {"status": stopped, "values": None}

        def _changed_best(self) -> Any:
            trials = self.get_best_trials()
            best = trials[0].hyperparameters.copy() if trials else self.hyperparameters.copy()
            names = [hp.name for hp in best.space if best.is_active(hp) and not isinstance(hp, fixed)]
            chosen = random.Random(self._seed_state).choice(names)
            made = kt.HyperParameters()
            for hp in self.hyperparameters.space:
                made.merge([hp])
                if made.is_active(hp):
                    keep = best.is_active(hp.name) and hp.name != chosen
                    made.values[hp.name] = best.values[hp.name] if keep else hp.random_sample(self._seed_state)
                    self._seed_state += 1
            identity = self._compute_values_hash(made.values)
            if identity in self._tried_so_far:
                return None
            self._tried_so_far.add(identity)
            return made.values

    class Greedy(AutoTuner):
        def __init__(self, hypermodel: Any, max_trials: int = 3, seed: Any = None, **kwargs: Any) -> None:
            oracle = GreedyOracle(initial=[FIRST], objective="loss", max_trials=max_trials, seed=seed)
            super().__init__(oracle, hypermodel, **kwargs)

    class Random(kt.RandomSearch, AutoTuner):  # type: ignore[misc,name-defined]
        pass

    class Bayesian(kt.BayesianOptimization, AutoTuner):  # type: ignore[misc,name-defined]
        pass

    class Hyperband(kt.Hyperband, AutoTuner):  # type: ignore[misc,name-defined]
        def __init__(self, *args: Any, max_trials: int = 2, **kwargs: Any) -> None:
            super().__init__(*args, max_epochs=9, **kwargs)
            self.oracle.max_trials = max_trials

    return SimpleNamespace(**{c.__name__: c for c in (Graph, GreedyOracle, Greedy, Random, Bayesian, Hyperband)})


FIT: dict[str, Any] = {"epochs": 1, "batch_size": 16, "verbose": 0}


def test_a_greedy_search_and_its_second_process(library: SimpleNamespace, tmp_path: Path) -> None:
    tuner = library.Greedy(library.Graph(), seed=3, directory=tmp_path, project_name="auto")
    tuner.search(X, Y, **FIT)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 3
    assert {p.name for p in tuner.oracle.get_space().space} == {"body/units", "body/kind", "version", "rate"}
    assert FIRST.items() <= trials[0].hyperparameters.values.items()
    assert len({json.dumps(trial.hyperparameters.values, sort_keys=True) for trial in trials}) == 3
    best = min(trials[:2], key=lambda trial: trial.score)
    changed = [n for n, v in trials[2].hyperparameters.values.items() if best.hyperparameters.values.get(n) != v]
    assert len(changed) == 1, "the third changes one value of the better one of the first two"
    for trial in trials:
        assert json.loads((tmp_path / "auto" / f"trial_{trial.trial_id}" / "scale.json").read_text()) == X.max()
    assert (tmp_path / "auto" / "best.keras").exists()
    weights = tuner.get_best_models()[0].get_weights()

    again = library.Greedy(library.Graph(), seed=3, directory=tmp_path, project_name="auto")
    assert (again._finished, again.oracle.used) == (True, 1)
    again.search(X, Y, **FIT)
    assert sorted(again.oracle.trials) == [trial.trial_id for trial in trials]
    again._see(X)
    assert all(np.array_equal(a, b) for a, b in zip(again.get_best_models()[0].get_weights(), weights, strict=True))


@pytest.mark.parametrize(
    ("package", "name"),
    [("keras_tuner", "Random"), ("krigetuner", "Random"), ("krigetuner", "Bayesian"), ("krigetuner", "Hyperband")],
)
def test_a_ready_tuner_and_an_own_one_as_bases(package: str, name: str, tmp_path: Path) -> None:
    library = made_from(importlib.import_module(package))
    tuner = getattr(library, name)(library.Graph(), objective="loss", max_trials=2, directory=tmp_path, seed=1)
    tuner.search(X, Y, **FIT)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 2
    assert tuner._finished
    assert Path(tuner.project_dir, "best.keras").exists()


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    library = made_from(importlib.import_module("krigetuner"))

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_end(self, logs: Any = None) -> None:
            raise KeyboardInterrupt

    tuner = library.Greedy(library.Graph(), seed=3, directory=tmp_path)
    tuner.oracle.max_trials = 1
    tuner.search(X, Y, **FIT)
    second = library.Greedy(library.Graph(), seed=3, directory=tmp_path)
    second._finished = False
    with pytest.raises(KeyboardInterrupt):
        second.search(X, Y, callbacks=[Stop()], **FIT)
    third = library.Greedy(library.Graph(), seed=3, directory=tmp_path)
    third._finished = False
    third.search(X, Y, **FIT)
    values = [trial.hyperparameters.values for trial in third.oracle.trials.values()]
    assert [trial.status for trial in third.oracle.trials.values()] == ["COMPLETED"] * 3
    assert sum(FIRST.items() <= v.items() for v in values) == 1, "the initial configuration was tried once"
