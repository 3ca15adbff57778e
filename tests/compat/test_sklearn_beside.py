"""The scikit-learn tuner beside keras_tuner 1.4.8's: signatures, scores of the same values, errors, what is better."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")

from sklearn import metrics as m
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import krigetuner as kt

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore")]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] + RNG.normal(size=60) > 0).astype(int)
WEIGHT = RNG.uniform(0.1, 3.0, 60)
GROUPS = np.arange(60) % 6


@pytest.fixture
def both(keras_tuner: Any, tmp_path: Path) -> list[tuple[Any, Path]]:
    return [(keras_tuner, tmp_path / "theirs"), (kt, tmp_path / "ours")]


def build(hp: Any) -> Any:
    kind = hp.Choice("kind", ["tree", "pipeline"])
    with hp.conditional_scope("kind", ["tree"]):
        tree = DecisionTreeClassifier(max_depth=hp.Choice("depth", [1, 2]), random_state=0)
    with hp.conditional_scope("kind", ["pipeline"]):
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=hp.Choice("C", [0.1, 1.0])))
    return tree if kind == "tree" else pipeline


def searched(module: Any, directory: Path, data: tuple[Any, ...] = (X, Y), given: Any = None, **kwargs: Any) -> Any:
    oracle = module.oracles.GridSearchOracle(objective=module.Objective("score", "max"), max_trials=8)
    tuner = module.SklearnTuner(oracle, build, directory=directory, **kwargs)
    tuner.search(*data, **(given or {}))
    return tuner


def scores(tuner: Any) -> dict[Any, Any]:
    """Metrics by values."""
    return {
        tuple(sorted(t.hyperparameters.values.items(), key=str)): {
            name: history.get_best_value() for name, history in t.metrics.metrics.items()
        }
        for t in tuner.oracle.trials.values()
    }


@pytest.mark.parametrize(
    ("kwargs", "data", "given"),
    [
        ({}, (X, Y), {}),
        ({}, (pd.DataFrame(X), pd.DataFrame(Y)), {}),
        ({"cv": StratifiedKFold(3), "scoring": m.make_scorer(m.f1_score)}, (X, Y), {}),
        ({"cv": GroupKFold(3), "metrics": [m.accuracy_score, m.recall_score]}, (X, Y), {"groups": GROUPS}),
        ({"metrics": m.log_loss, "scoring": lambda model, X, y, sample_weight: model.score(X, y) ** 2}, (X, Y), {}),
    ],
)
def test_the_same_metrics_for_the_same_values(both: Any, kwargs: Any, data: Any, given: Any) -> None:
    reference, ours = (searched(module, directory, data, given, **kwargs) for module, directory in both)
    assert len(scores(ours)) == 4
    assert scores(ours) == {values: pytest.approx(found) for values, found in scores(reference).items()}
    for tuner in (reference, ours):
        best = tuner.oracle.get_best_trials()[0]
        assert (best.status, best.best_step) == ("COMPLETED", 0)
        assert tuner.get_best_models()[0].score(X, Y) > 0.5


def test_the_same_arguments_in_the_same_order(keras_tuner: Any) -> None:
    for name in ("__init__", "search", "run_trial", "save_model", "load_model"):
        reference = inspect.signature(getattr(keras_tuner.SklearnTuner, name)).parameters
        ours = inspect.signature(getattr(kt.SklearnTuner, name)).parameters
        extra = {p.name for p in ours.values() if p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD)} - set(reference)
        same = [(p.name, p.default) for p in ours.values() if p.name not in extra]
        assert same == [(p.name, p.default) for p in reference.values()], name
    assert kt.tuners.SklearnTuner is kt.tuners.sklearn.Sklearn is kt.SklearnTuner


def test_weights_count_in_both_scores_and_reach_fit_in_ours_only(both: Any) -> None:
    seen: dict[str, list[bool]] = {"keras_tuner": [], "krigetuner": []}
    for module, directory in both:

        class Recorder(LogisticRegression):
            owner = module.__name__

            def score(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
                seen[self.owner].append(self.weighted_ and sample_weight is not None)
                return super().score(X, y, sample_weight)

            def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
                self.weighted_ = sample_weight is not None
                return super().fit(X, y, sample_weight)

        oracle = module.oracles.RandomSearchOracle(objective=module.Objective("score", "max"), max_trials=1)
        made = lambda hp, kind=Recorder: make_pipeline(kind(C=hp.Float("C", 0.1, 1.0)))  # noqa: E731
        module.SklearnTuner(oracle, made, directory=directory).search(X, Y, sample_weight=WEIGHT)
    assert seen == {"keras_tuner": [False] * 5, "krigetuner": [True] * 5}


def test_series_are_taken(both: Any) -> None:
    data = pd.DataFrame(X), pd.Series(Y)
    (reference, theirs_at), (ours, ours_at) = both
    with pytest.raises(RuntimeError, match="Expected the data to be numpy"):
        searched(reference, theirs_at, data)
    assert scores(searched(ours, ours_at, data)) == scores(searched(ours, ours_at / "arrays"))


def test_the_best_model_has_seen_all_of_the_data(both: Any) -> None:
    counts = []
    for module, directory in both:
        oracle = module.oracles.RandomSearchOracle(objective=module.Objective("score", "max"), max_trials=1)
        made = lambda hp: DecisionTreeClassifier(max_depth=hp.Int("depth", 1, 3))  # noqa: E731
        tuner = module.SklearnTuner(oracle, made, directory=directory)
        tuner.search(X, Y)
        counts.append(int(tuner.get_best_models()[0].tree_.n_node_samples[0]))
    assert counts == [48, 60]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"oracle": "none"}, ValueError),
        ({"hypermodel": 3}, ValueError),
        ({"unknown": 3}, ValueError),
        ({"objective": "val_loss"}, ValueError),
        ({"objective": None}, TypeError),
    ],
)
def test_the_same_errors_no_later(both: Any, change: dict[str, Any], error: type[Exception]) -> None:
    raised = []
    for module, directory in both:
        arguments: dict[str, Any] = {"hypermodel": build, "directory": directory, **change}
        name = arguments.pop("objective", "accuracy")
        objective = module.Objective("score", "max") if name == "accuracy" else name
        oracle = module.oracles.RandomSearchOracle(objective=objective, max_trials=2)
        with pytest.raises(error) as info:
            module.SklearnTuner(arguments.pop("oracle", oracle), **arguments).search(X, Y)
        raised.append(type(info.value).__name__)
    assert raised[0] == raised[1]


def test_a_model_that_is_none(both: Any) -> None:
    (reference, theirs_at), (ours, ours_at) = both
    for module, directory, error in ((reference, theirs_at, RuntimeError), (ours, ours_at, TypeError)):
        oracle = module.oracles.RandomSearchOracle(objective=module.Objective("score", "max"), max_trials=5)
        tuner = module.SklearnTuner(oracle, lambda hp: (hp.Int("a", 1, 99), None)[1], directory=directory)
        with pytest.raises(error):
            tuner.search(X, Y)
    assert len(tuner.oracle.trials) == 1
