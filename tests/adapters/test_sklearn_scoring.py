"""What is measured on a fold: own scores, scorers and metrics of every kind, weights and directions."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn import metrics as m
from sklearn.cluster import DBSCAN, KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from krigetuner.adapters.sklearn_samples import Samples
from krigetuner.adapters.sklearn_scoring import Measures
from krigetuner.errors import FatalTypeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] + RNG.normal(size=60) > 0).astype(int)
WEIGHT = RNG.uniform(0.1, 3.0, 60)
MODEL = LogisticRegression().fit(X, Y)


def test_the_same_numbers_as_scikit_learn() -> None:
    metrics = [m.accuracy_score, partial(m.fbeta_score, beta=2.0), "neg_log_loss", m.get_scorer("roc_auc"), "f1_score"]
    measures = Measures("balanced_accuracy", metrics)
    predicted, chances = MODEL.predict(X), MODEL.predict_proba(X)[:, 1]
    for weight in (None, WEIGHT):
        values, unweighted = measures.of(MODEL, Samples(X, Y, weight))
        assert unweighted == []
        assert values == pytest.approx(
            {
                "score": m.balanced_accuracy_score(Y, predicted, sample_weight=weight),
                "accuracy_score": m.accuracy_score(Y, predicted, sample_weight=weight),
                "fbeta_score": m.fbeta_score(Y, predicted, beta=2.0, sample_weight=weight),
                "neg_log_loss": -m.log_loss(Y, chances, sample_weight=weight),
                "roc_auc_score": m.roc_auc_score(Y, chances, sample_weight=weight),
                "f1_score": m.f1_score(Y, predicted, sample_weight=weight),
            }
        )


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_own_score(weight: Any) -> None:
    values, _ = Measures(None, None).of(MODEL, Samples(X, Y, weight))
    assert values == {"score": MODEL.score(X, Y, sample_weight=weight)}
    clusters = KMeans(2, n_init=1, random_state=0).fit(X)
    assert Measures(None, None).of(clusters, Samples(X, None))[0] == {"score": clusters.score(X)}


def test_functions_of_the_user() -> None:
    seen: list[Any] = []

    def score(model: Any, x: Any, y: Any, sample_weight: Any) -> float:
        seen.append(sample_weight)
        return 0.5

    assert Measures(score, None).of(MODEL, Samples(X, Y))[0] == {"score": 0.5}
    assert Measures(score, None).of(MODEL, Samples(X, Y, WEIGHT)) == ({"score": 0.5}, [])
    assert seen[0] is None
    assert seen[1] is WEIGHT
    anything = Measures(lambda model, x, y, **more: float(len(more)), None)
    assert anything.of(MODEL, Samples(X, Y))[0] == {"score": 0.0}
    assert anything.of(MODEL, Samples(X, Y, WEIGHT))[0] == {"score": 1.0}


def test_measures_that_cannot_take_weights_are_named() -> None:
    measures = Measures(lambda model, x, y: 1.0, {"most": m.max_error, "worst": m.make_scorer(m.max_error)})
    values, unweighted = measures.of(MODEL, Samples(X, Y, WEIGHT))
    assert unweighted == ["score", "most", "worst"]
    assert values == {"score": 1.0, "most": 1.0, "worst": 1.0}
    assert measures.of(MODEL, Samples(X, Y))[1] == []
    nested = GridSearchCV(LogisticRegression(), {"C": [1.0]}).fit(X, Y)
    assert Measures(None, None).of(nested, Samples(X, Y, WEIGHT)) == ({"score": nested.score(X, Y)}, ["score"])


def test_a_scorer_that_was_told_to_do_without_weights() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = m.make_scorer(m.accuracy_score).set_score_request(sample_weight=False)
        found = Measures(scorer, "accuracy").of(MODEL, Samples(X, Y, WEIGHT))
    weighted = m.accuracy_score(Y, MODEL.predict(X), sample_weight=WEIGHT)
    assert found == ({"score": MODEL.score(X, Y), "accuracy": pytest.approx(weighted)}, [])


def better(y: Any, predicted: Any) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("metric", "name", "direction"),
    [
        (m.accuracy_score, "accuracy_score", "max"),
        (m.r2_score, "r2_score", "max"),
        (m.matthews_corrcoef, "matthews_corrcoef", "max"),
        (m.d2_pinball_score, "d2_pinball_score", "max"),
        (m.adjusted_rand_score, "adjusted_rand_score", "max"),
        (m.mean_squared_error, "mean_squared_error", "min"),
        (m.median_absolute_error, "median_absolute_error", "min"),
        (m.coverage_error, "coverage_error", "min"),
        (m.mean_tweedie_deviance, "mean_tweedie_deviance", "min"),
        (m.log_loss, "log_loss", "min"),
        (m.brier_score_loss, "brier_score_loss", "min"),
        (m.davies_bouldin_score, "davies_bouldin_score", "min"),
        (partial(m.f1_score, average="macro"), "f1_score", "max"),
        ("roc_auc_ovr", "roc_auc_ovr", "max"),
        ("neg_mean_squared_error", "neg_mean_squared_error", "max"),
        ("mean_squared_error", "mean_squared_error", "min"),
        (m.make_scorer(m.mean_squared_error, greater_is_better=False), "neg_mean_squared_error", "max"),
        (better, "better", None),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_names_and_directions(metric: Any, name: str, direction: str | None) -> None:
    for given in (metric, [metric], (metric,)):
        measures = Measures(None, given)
        assert measures.names == ["score", name]
        assert measures.directions == {"score": "max"} | ({name: direction} if direction else {})
    assert Measures(None, {"mine": metric}).names == ["score", "mine"]


def test_nothing_is_known_of_the_direction_of_a_function() -> None:
    assert Measures(lambda model, x, y: 0.0, None).directions == {}
    assert Measures("accuracy", None).directions == {"score": "max"}


@pytest.mark.parametrize(
    ("scoring", "metrics", "message"),
    [
        ("roc", None, "scoring: expected the name of a scorer .* got 'roc'; did you mean 'roc_auc'"),
        (m.accuracy_score, None, r"scoring: expected a scorer .* write make_scorer\(accuracy_score\)"),
        (["accuracy"], None, r"scoring: expected one scorer, .* got \['accuracy'\]"),
        (None, ["accuracy", 3], "metrics: expected functions .* got 3 of type int"),
        (None, m.ConfusionMatrixDisplay, "metrics: expected functions"),
        (None, "no_such_score", "metrics: expected the name of a scorer"),
        (None, [m.f1_score, partial(m.f1_score, average="macro")], r"got \['f1_score'\] twice; give them as a dict"),
        (None, {"score": m.f1_score}, r"got \['score'\] twice"),
    ],
)
def test_bad_measures(scoring: Any, metrics: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Measures(scoring, metrics)


def test_models_that_lack_a_method() -> None:
    with pytest.raises(FatalTypeError, match="a method score, got a StandardScaler; give a `scoring`"):
        Measures(None, None).of(StandardScaler().fit(X), Samples(X, Y))
    with pytest.raises(FatalTypeError, match="a method predict, got a DBSCAN; leave `metrics` out"):
        Measures(lambda model, x, y: 1.0, m.accuracy_score).of(DBSCAN().fit(X), Samples(X, Y))
