"""Scikit-learn's estimators and data: which take weights and under which names, rows of every kind of data, folds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from krigetuner.adapters import sklearn as adapter
from krigetuner.adapters.sklearn_samples import Samples, digest, samples, splits, splitter_of
from krigetuner.errors import FatalTypeError

X = np.arange(24.0).reshape(12, 2)
Y = np.array([0, 1, 1] * 4)


class Recorder(LogisticRegression):
    """Remembers the weights that it was fitted with."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        self.seen_ = sample_weight
        return super().fit(X, y, sample_weight)


@pytest.fixture
def routing() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (LogisticRegression(), ["sample_weight"]),
        (KNeighborsClassifier(), []),
        (make_pipeline(StandardScaler(), Ridge()), ["ridge__sample_weight"]),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), []),
        (Pipeline([("a", StandardScaler()), ("b", make_pipeline(Ridge()))]), ["b__ridge__sample_weight"]),
        (GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=2), ["sample_weight"]),
        (GridSearchCV(make_pipeline(Ridge()), {"ridge__alpha": [1.0]}, cv=2), ["ridge__sample_weight"]),
        (GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1]}, cv=2), []),
        (TransformedTargetRegressor(Ridge()), ["sample_weight"]),
        (VotingClassifier([("a", LogisticRegression()), ("b", KNeighborsClassifier())]), []),
        (VotingClassifier([("a", LogisticRegression()), ("b", "drop")]), ["sample_weight"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_names_under_which_weights_are_taken(model: Any, names: list[str]) -> None:
    assert adapter.weight_keywords(model) == names
    data = Samples(X, Y, np.linspace(0.1, 1.0, 12))
    assert adapter.fit(model, data) is bool(names)
    assert adapter.fit(model, Samples(X, Y))


def test_weights_reach_the_last_step() -> None:
    weight = np.linspace(0.1, 1.0, 12)
    model = make_pipeline(StandardScaler(), Recorder())
    assert adapter.fit(model, Samples(X, Y, weight))
    assert model[-1].seen_ is weight


def test_where_only_routing_helps_scikit_learn_says_so() -> None:
    with pytest.raises(ValueError, match="only supported if enable_metadata_routing=True"):
        adapter.fit(OneVsRestClassifier(LogisticRegression()), Samples(X, Y, np.ones(12)))


@pytest.mark.usefixtures("routing")
def test_metadata_routing_decides() -> None:
    weight = np.linspace(0.1, 1.0, 12)
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    recorder = Recorder().set_fit_request(sample_weight=False).set_score_request(sample_weight=False)
    model = make_pipeline(scaler, recorder)
    assert adapter.fit(model, Samples(X, Y, weight))
    assert model[-1].seen_ is None
    np.testing.assert_allclose(model[0].mean_, np.average(X, axis=0, weights=weight))
    for method in ("fit", "score"):
        assert adapter.refused(model, method) is (method == "score")
    asked = make_pipeline(StandardScaler(), Recorder())
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="sample_weight"):
        adapter.fit(asked, Samples(X, Y, weight))
    alone = Recorder().set_fit_request(sample_weight=False)
    assert adapter.fit(alone, Samples(X, Y, weight))  # as it was told: nothing is dropped
    assert alone.seen_ is None


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        (Ridge(), True),
        (make_pipeline(StandardScaler(), Ridge()), True),
        (GridSearchCV(Ridge(), {"alpha": [1.0]}), False),
        (make_pipeline(StandardScaler()), False),
    ],
)
def test_whether_the_own_score_takes_weights(model: Any, takes: bool) -> None:
    assert adapter.score_takes_weight(model) is takes


@pytest.mark.parametrize("wrong", [None, 3, Ridge, object()])
def test_what_is_no_estimator(wrong: Any) -> None:
    with pytest.raises(FatalTypeError, match=r"hypermodel: expected a scikit-learn estimator, .* got"):
        adapter.checked_estimator(wrong, "hypermodel")


def test_seeds_are_put_back() -> None:
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    drawn = []
    for seed, fold in [(3, 0), (3, 0), (3, 1), (None, 0)]:
        with adapter.seeded(seed, fold):
            drawn.append(np.random.rand())  # noqa: NPY002
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[3] == expected  # None left the generator alone, and the others put it back


# --- data


@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        np.ndarray.tolist,
        pd.DataFrame,
        lambda x: pd.DataFrame(x, index=range(100, 112)),
        scipy.sparse.csr_matrix,
        scipy.sparse.csc_matrix,
        scipy.sparse.coo_matrix,
        scipy.sparse.csr_array,
    ],
)
def test_rows(make: Any) -> None:
    rows = samples(make(X), make(X), Y.tolist()).rows(np.array([5, 0, 2]))
    for part in (rows.x, rows.y):
        dense = part.toarray() if scipy.sparse.issparse(part) else np.asarray(part)
        np.testing.assert_array_equal(dense, X[[5, 0, 2]])
        assert (type(part) is list) is (make is np.ndarray.tolist)
    assert rows.weight is not None
    np.testing.assert_array_equal(rows.weight, [1.0, 0.0, 1.0])


def test_a_series_is_taken_by_position() -> None:
    y = pd.Series(Y, index=range(11, -1, -1))
    np.testing.assert_array_equal(samples(X, y).rows(np.array([0, 2])).y, Y[[0, 2]])
    assert samples(X, None).rows(np.array([1])).y is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, Y[:5]), r"inconsistent numbers of samples: \[12, 5\]"),
        ((X, Y, [1.0]), r"X, y, sample_weight, groups: expected one row"),
        ((X, Y, None, [1]), r"inconsistent numbers of samples: \[12, 12, 1\]"),
        ((X, Y, np.ones((12, 1))), r"sample_weight: expected one number per sample, got an array of shape \(12, 1\)"),
        ((None, Y), r"X: expected an array, a table, .* got None"),
    ],
)
def test_data_that_do_not_fit(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        samples(*arguments)


# --- folds


def listed(folds: Any) -> list[tuple[list[int], list[int]]]:
    return [(list(map(int, train)), list(map(int, test))) for train, test in folds]


@pytest.mark.parametrize(
    ("cv", "groups", "reference"),
    [
        (None, None, KFold(5, shuffle=True, random_state=1)),
        (KFold(3), None, KFold(3)),
        (KFold(3, shuffle=True), None, KFold(3, shuffle=True, random_state=1)),
        (KFold(3, shuffle=True, random_state=7), None, KFold(3, shuffle=True, random_state=7)),
        (TimeSeriesSplit(3), None, TimeSeriesSplit(3)),
        (GroupKFold(3), np.arange(12) % 4, GroupKFold(3)),
        (4, None, StratifiedKFold(4)),
        (np.int64(2), None, StratifiedKFold(2)),
    ],
)
def test_folds_are_scikit_learns(cv: Any, groups: Any, reference: Any) -> None:
    found = splits(splitter_of(cv), samples(X, Y, None, groups), classifier=True)
    assert listed(found) == listed(reference.split(X, Y, groups))
    if isinstance(cv, int):
        assert listed(splits(cv, samples(X, Y), classifier=False)) == listed(KFold(cv).split(X, Y))


def test_folds_given_as_numbers_or_masks() -> None:
    given = (([0, 1, 2], [3, 4]), (np.arange(12) < 3, np.arange(12) > 9))
    cv = splitter_of(pair for pair in given)  # a generator can be read once, a search reads it for every trial
    for _ in range(2):
        assert listed(splits(cv, samples(X, Y), False)) == [([0, 1, 2], [3, 4]), ([0, 1, 2], [10, 11])]


@pytest.mark.parametrize("cv", [0, 1, -3, True, "5", 2.5, KFold, [], [1, 2], [[0, 1, 2]]])
def test_what_is_no_splitter(cv: Any) -> None:
    with pytest.raises(ValueError, match="cv: expected"):
        splitter_of(cv)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (KFold(13), "n_splits=13"),
        (GroupKFold(2), "groups"),
        ([([0, 1], [12])], "within 12 samples, got rows up to 12 in fold 0"),
        ([([0, 1], [2]), ([0], [])], "expected test rows within 12 samples, got no row in fold 1"),
    ],
)
def test_data_that_cannot_be_split(cv: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        splits(splitter_of(cv), samples(X, Y), False)


def test_the_digest_tells_folds_and_names_apart() -> None:
    folds = splits(KFold(3), samples(X, Y), False)
    other = splits(KFold(3, shuffle=True, random_state=0), samples(X, Y), False)
    keys = [digest(folds, ["score"]), digest(other, ["score"]), digest(folds[:2], ["score"]), digest(folds, ["a"])]
    assert len(set(keys)) == 4
    assert digest(list(folds), ["score"]) == keys[0]
