"""The scikit-learn tuner: scores beside cross_validate's, weights, directions, folds as executions, failures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn import metrics as m
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold, TimeSeriesSplit, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from krigetuner.errors import FatalTypeError, FatalValueError, KrigeTunerWarning, MissingDependency
from krigetuner.trial.objective import Objective
from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.sklearn_tuner import SklearnTuner

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] + RNG.normal(size=60) > 0).astype(int)
WEIGHT = RNG.uniform(0.1, 3.0, 60)
GROUPS = np.arange(60) % 6
SCORE = Objective("score", "max")
Make = Callable[..., SklearnTuner]


def logistic(hp: Any) -> Any:
    return LogisticRegression(C=hp.Float("C", 0.01, 10.0, sampling="log"))


def ridge(hp: Any) -> Any:
    return Ridge(alpha=hp.Float("alpha", 0.01, 10.0, sampling="log"))


def families(hp: Any) -> Any:
    kind = hp.Choice("kind", ["tree", "neighbours", "pipeline"])
    with hp.conditional_scope("kind", ["tree"]):
        tree = DecisionTreeClassifier(max_depth=hp.Int("depth", 1, 5), random_state=0)
    with hp.conditional_scope("kind", ["neighbours"]):
        neighbours = KNeighborsClassifier(hp.Int("k", 1, 5))
    with hp.conditional_scope("kind", ["pipeline"]):
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=hp.Float("C", 0.1, 10.0)))
    return {"tree": tree, "neighbours": neighbours, "pipeline": pipeline}[kind]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes tuners of two trials, and closes them."""
    made: list[SklearnTuner] = []

    def new(build: Any = logistic, *args: Any, kind: Any = SklearnTuner, **kwargs: Any) -> SklearnTuner:
        oracle = kwargs.pop("oracle", None)
        if oracle is None:
            options = {
                "objective": kwargs.pop("objective", SCORE),
                "max_trials": kwargs.pop("max_trials", 2),
                "seed": 1,
            }
            oracle = RandomSearchOracle(**options, max_consecutive_failed_trials=None)
        tuner = kind(oracle, build, *args, **{"directory": tmp_path, **kwargs})
        made.append(tuner)
        return tuner  # type: ignore[no-any-return]

    yield new
    for tuner in made:
        tuner.oracle.close()


def fold_scores(tuner: SklearnTuner, name: str = "score") -> list[list[float]]:
    return [[e.metrics[name] for e in t.executions] for t in tuner.oracle.trials.values()]


@pytest.mark.parametrize(
    ("build", "data", "given", "reference"),
    [
        (logistic, (X, Y), {}, KFold(5, shuffle=True, random_state=1)),
        (logistic, (pd.DataFrame(X), pd.Series(Y)), {"cv": StratifiedKFold(3)}, StratifiedKFold(3)),
        (logistic, (X.tolist(), Y.tolist()), {"cv": 4}, StratifiedKFold(4)),
        (ridge, (X[:, :2], X[:, 2]), {"cv": 4}, KFold(4)),
        (ridge, (X[:, :1], X[:, 1:]), {"cv": TimeSeriesSplit(3)}, TimeSeriesSplit(3)),
    ],
)
def test_fold_scores_are_those_of_cross_validate(
    make: Make, build: Any, data: Any, given: dict[str, Any], reference: Any
) -> None:
    scoring = "neg_mean_squared_error" if build is ridge else "accuracy"
    tuner = make(build, scoring=scoring, metrics=["r2" if build is ridge else m.f1_score], **given)
    tuner.search(*data, verbose=0)
    for trial in tuner.oracle.trials.values():
        known = cross_validate(
            build(trial.hyperparameters), *data, cv=reference, scoring=[scoring, "r2" if build is ridge else "f1"]
        )
        found = {name: [e.metrics[name] for e in trial.executions] for name in trial.executions[0].metrics}
        assert found["score"] == pytest.approx(list(known[f"test_{scoring}"]))
        assert trial.score == pytest.approx(np.mean(known[f"test_{scoring}"]))
        assert trial.variance == pytest.approx(np.var(found["score"], ddof=1) / len(found["score"]))
        other = "r2" if build is ridge else "f1_score"
        assert found[other] == pytest.approx(list(known["test_r2" if build is ridge else "test_f1"]))
    table = tuner.history("0")
    assert list(table["execution"]) == list(range(len(table)))
    assert list(table["score"]) == pytest.approx(fold_scores(tuner)[0])


def test_weights_and_groups_reach_fit_score_and_metrics(make: Make) -> None:
    tuner = make(lambda hp: make_pipeline(StandardScaler(), logistic(hp)), metrics=m.accuracy_score, cv=GroupKFold(3))
    tuner.search(X, Y, WEIGHT, GROUPS, verbose=0)
    for trial, scores, metrics in zip(
        tuner.oracle.trials.values(), fold_scores(tuner), fold_scores(tuner, "accuracy_score"), strict=True
    ):
        for (train, test), score, metric in zip(GroupKFold(3).split(X, Y, GROUPS), scores, metrics, strict=True):
            model = make_pipeline(StandardScaler(), logistic(trial.hyperparameters))
            model.fit(X[train], Y[train], logisticregression__sample_weight=WEIGHT[train])
            assert score == metric == pytest.approx(model.score(X[test], Y[test], sample_weight=WEIGHT[test]))


def test_weights_by_metadata_routing_as_in_cross_validate(make: Make) -> None:
    def build(hp: Any) -> Any:
        model = logistic(hp).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        return make_pipeline(StandardScaler().set_fit_request(sample_weight=True), model)

    with sklearn.config_context(enable_metadata_routing=True):
        tuner = make(build, cv=KFold(3), refit=False)
        tuner.search(X, Y, sample_weight=WEIGHT, verbose=0)
        for trial, scores in zip(tuner.oracle.trials.values(), fold_scores(tuner), strict=True):
            known = cross_validate(build(trial.hyperparameters), X, Y, cv=KFold(3), params={"sample_weight": WEIGHT})
            assert scores == pytest.approx(list(known["test_score"]))


def test_one_warning_for_each_kind_that_takes_no_weights(make: Make) -> None:
    tuner = make(families, max_trials=12)
    with pytest.warns(KrigeTunerWarning) as told:
        tuner.search(X, Y, sample_weight=WEIGHT, verbose=0)
    assert [str(w.message) for w in told] == [
        "sample_weight: expected estimators whose fit takes it, got KNeighborsClassifier; it is fitted without weights"
    ]


@pytest.mark.parametrize("kind", [RandomSearchOracle, GridSearchOracle, BayesianOptimizationOracle])
def test_families_in_one_space_with_every_oracle(make: Make, kind: Any) -> None:
    tuner = make(families, oracle=kind(objective=SCORE, max_trials=8, seed=3))
    assert [p.name for p in tuner.oracle.get_space().space] == ["kind", "depth", "k", "C"]
    tuner.search(X, Y, verbose=0)
    trials = tuner.oracle.get_best_trials(8)
    assert len(trials) == 8
    for trial in trials:
        assert set(trial.hyperparameters.values) < {"kind", "depth", "k", "C"}
        assert len(trial.hyperparameters.values) == 2


def test_all_trials_meet_the_same_folds(make: Make) -> None:
    tuner = make(lambda hp: (hp.Int("unused", 1, 99), LogisticRegression())[1], cv=ShuffleSplit(3), max_trials=3)
    tuner.search(X, Y, verbose=0)
    first, *others = fold_scores(tuner)
    assert all(scores == first for scores in others)


def test_an_objective_among_the_metrics_and_the_directions_of_all(make: Make) -> None:
    mean_error = m.make_scorer(m.mean_absolute_error, greater_is_better=False)
    tuner = make(ridge, metrics=[m.mean_squared_error, mean_error], objective=Objective("mean_squared_error", "min"))
    tuner.search(X[:, :2], X[:, 2], verbose=0)
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.score == min(t.score or np.inf for t in tuner.oracle.trials.values())
    directions = {"mean_squared_error": "min", "score": "max", "neg_mean_absolute_error": "max"}
    assert {name: best.metrics.get_direction(name) for name in best.metrics.metrics} == directions
    again = make(ridge, metrics=[m.mean_squared_error, mean_error], objective=Objective("mean_squared_error", "min"))
    assert {n: again.oracle.trials["0"].metrics.get_direction(n) for n in directions} == directions


def test_several_objectives(make: Make) -> None:
    tuner = make(metrics=m.f1_score, objective=[SCORE, Objective("f1_score", "max")])
    tuner.search(X, Y, verbose=0)
    for trial, scores, f1 in zip(
        tuner.oracle.trials.values(), fold_scores(tuner), fold_scores(tuner, "f1_score"), strict=True
    ):
        assert trial.score == pytest.approx(-np.mean(scores) - np.mean(f1))


def test_a_seed_repeats_the_training(make: Make, tmp_path: Path) -> None:
    def build(hp: Any) -> Any:
        return DecisionTreeClassifier(max_depth=hp.Int("depth", 2, 5), splitter="random")

    found = []
    for name in ("a", "b"):
        tuner = make(build, directory=tmp_path / name)
        tuner.search(X, Y, verbose=0)
        found.append((fold_scores(tuner), tuner.get_best_models()[0].predict(X).tolist()))
    assert found[0] == found[1]


def test_a_hypermodel_object_and_estimators_without_a_target(make: Make) -> None:
    from sklearn.mixture import GaussianMixture

    class Mixture(HyperModel):
        def build(self, hp: Any) -> Any:
            return GaussianMixture(hp.Int("components", 1, 3), random_state=0)

    tuner = make(Mixture())
    tuner.search(X, None, verbose=0)
    assert tuner.get_best_models()[0].n_components == tuner.get_best_hyperparameters()[0].get("components")


# --- what is refused, and what fails


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"cv": 1}, ValueError, "cv: expected a number of folds"),
        ({"scoring": "no"}, ValueError, "scoring: expected the name"),
        ({"metrics": [1]}, ValueError, "metrics: expected functions"),
        ({"model_format": "pickle"}, ValueError, "model_format: expected"),
        ({"objective": Objective("val_loss", "min")}, FatalValueError, r"objective: expected one of \['score'\], got"),
        ({"objective": None}, FatalTypeError, r"objective: expected Objective\('score', 'max'\)"),
        ({"executions_per_trial": 2}, ValueError, "Unrecognized arguments"),
        ({"build": None}, ValueError, "Received `hypermodel=None`: SklearnTuner expected a function"),
        ({"oracle": "random"}, ValueError, "Expected `oracle` argument"),
    ],
)
def test_bad_arguments(make: Make, given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(**given)


def test_directions_that_point_the_wrong_way_are_told(make: Make) -> None:
    with pytest.warns(KrigeTunerWarning, match="by which greater is better for 'score', got 'min'"):
        make(objective=Objective("score", "min"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # whatever a function of the user measures
        make(scoring=lambda model, x, y: 1.0, objective=Objective("score", "min"))


@pytest.mark.parametrize(
    ("arguments", "kwargs", "error", "message"),
    [
        ((X, Y[:10]), {}, ValueError, "inconsistent numbers of samples"),
        ((X, Y, WEIGHT[:5]), {}, ValueError, "inconsistent numbers of samples"),
        ((X[:3], Y[:3]), {}, ValueError, "n_splits=5"),
        ((X, Y), {"epochs": 3}, TypeError, r"search: expected X, y, .* got \['epochs'\]"),
    ],
)
def test_bad_data_end_the_search_before_its_first_trial(
    make: Make, arguments: Any, kwargs: Any, error: type[Exception], message: str
) -> None:
    tuner = make()
    with pytest.raises(error, match=message):
        tuner.search(*arguments, verbose=0, **kwargs)
    assert tuner.oracle.trials == {}


def test_folds_that_only_a_model_decides_fail_at_once(make: Make) -> None:
    tuner = make(cv=50)
    with pytest.raises(FatalValueError, match="n_splits=50"):
        tuner.search(X, Y, verbose=0)


@pytest.mark.parametrize("built", [None, LogisticRegression, "model"])
def test_a_build_that_returns_no_estimator(make: Make, built: Any) -> None:
    tuner = make(lambda hp: (hp.Int("a", 1, 9), built)[1])
    with pytest.raises(FatalTypeError, match="hypermodel: expected a scikit-learn estimator"):
        tuner.search(X, Y, verbose=0)


def broken(hp: Any, folds: list[int]) -> Any:
    """A model whose third fit raises."""
    hp.Int("a", 1, 9)

    class Broken(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            folds.append(len(X))
            if len(folds) == 3:
                raise ArithmeticError("the third fold")
            return super().fit(X, y, sample_weight)

    return Broken()


def test_an_error_in_a_fold_fails_the_trial_and_is_told(make: Make) -> None:
    folds: list[int] = []
    tuner = make(partial(broken, folds=folds))
    tuner.search(X, Y, verbose=0)
    assert [t.status for t in tuner.oracle.trials.values()] == ["FAILED", "COMPLETED"]
    message = tuner.oracle.trials["0"].message or ""
    assert "Traceback" in message
    assert "ArithmeticError: the third fold" in message
    assert "fold 2 of 5" in message or not hasattr(ArithmeticError(), "add_note")
    assert tuner.history("0").shape[0] == 2  # the folds before it are on record
    assert len(folds) == 3 + 5 + 1


def test_a_score_that_is_no_number_is_invalid(make: Make) -> None:
    tuner = make(scoring=lambda model, x, y: float("nan"))
    with pytest.warns(KrigeTunerWarning, match="expected a finite number, got nan"):
        tuner.search(X, Y, verbose=0)
    assert {t.status for t in tuner.oracle.trials.values()} == {"FAILED"}


def test_metrics_with_several_values_are_left_out(make: Make) -> None:
    tuner = make(metrics={"each": partial(m.f1_score, average=None), "all": m.f1_score})
    tuner.search(X, Y, verbose=0)
    assert set(tuner.oracle.trials["0"].metrics.metrics) == {"score", "all"}
    other = make(
        metrics={"each": partial(m.f1_score, average=None)}, objective=Objective("each", "max"), overwrite=True
    )
    with pytest.raises(FatalValueError, match="expected one number for each"):
        other.search(X, Y, verbose=0)


def test_without_scikit_learn(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(MissingDependency, match=r"Please install sklearn.*pip install 'krigetuner\[sklearn\]'"):
        make()
