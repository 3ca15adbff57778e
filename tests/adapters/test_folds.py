"""Folds of training data: scikit-learn's own, over every kind of data, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import model_selection as ms

from krigetuner.adapters.folds import Folds, check_folds, checked_cv, split_folds
from krigetuner.adapters.rows import labels, take_rows
from krigetuner.errors import FatalValueError, KrigeTunerWarning, MissingDependency

N = 24
X = np.arange(N * 3, dtype="float32").reshape(N, 3)
Y = (np.arange(N) % 3 == 0).astype("float32")
GROUPS = np.arange(N) // 4


def split(cv: Any, *args: Any, **kwargs: Any) -> Folds:
    found = split_folds(checked_cv(cv), args, kwargs)
    assert isinstance(found, Folds)
    return found


def same(folds: Folds, expected: Iterator[Any]) -> bool:
    pairs = list(expected)
    return len(folds) == len(pairs) and all(
        np.array_equal(t, u) and np.array_equal(v, w) for (t, v), (u, w) in zip(folds.pairs, pairs, strict=True)
    )


SPLITTERS = [
    ms.KFold(4),
    ms.KFold(3, shuffle=True, random_state=7),
    ms.StratifiedKFold(4),
    ms.StratifiedKFold(4, shuffle=True, random_state=0),
    ms.GroupKFold(3),
    ms.LeaveOneGroupOut(),
    ms.TimeSeriesSplit(3),
    ms.ShuffleSplit(2, random_state=3),
    ms.RepeatedKFold(n_splits=2, n_repeats=2, random_state=1),
    ms.PredefinedSplit(np.arange(N) % 2),
]


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: type(s).__name__)
def test_folds_are_the_splitters_own(splitter: Any) -> None:
    assert same(split(splitter, X, Y, groups=GROUPS), splitter.split(X, Y, GROUPS))


def test_a_number_of_folds_is_shuffled_and_the_same_each_time() -> None:
    assert same(split(4, X, Y), ms.KFold(4, shuffle=True, random_state=1).split(X))
    assert split(4, X, Y).digest == split(np.int64(4), X, Y).digest != split(3, X, Y).digest


@pytest.mark.parametrize("state", [None, np.random.RandomState(5)], ids=["none", "generator"])
def test_a_splitter_that_shuffles_repeats_its_folds_and_stays_as_it_was(state: Any) -> None:
    splitter = ms.ShuffleSplit(3, random_state=state)
    assert split(splitter, X, Y).digest == split(splitter, X, Y).digest
    assert splitter.random_state is state


def test_a_splitter_that_cannot_repeat_its_folds_is_refused() -> None:
    class Own:
        generator = np.random.default_rng(0)

        def split(self, x: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
            order = self.generator.permutation(len(x))
            yield order[:5], order[5:]

        def __repr__(self) -> str:
            return "Own()"

    with pytest.raises(FatalValueError, match=r"expected the same folds at each call, got others from Own\(\) the sec"):
        check_folds(Own(), (X, Y), {})
    check_folds(list(Own().split(X)), (X, Y), {})


def test_pairs_of_rows_in_any_iterable() -> None:
    pairs = [([0, 1, 2], [3, 4]), (np.array([3, 4]), np.arange(N) < 3)]
    folds = split(iter(pairs), X, Y)
    assert [t.tolist() for t, _ in folds.pairs] == [[0, 1, 2], [3, 4]]
    assert [v.tolist() for _, v in folds.pairs] == [[3, 4], [0, 1, 2]]
    assert all(index.dtype == np.int64 for pair in folds.pairs for index in pair)


def test_classes_stay_in_proportion_in_one_hot_columns_and_frames() -> None:
    classes = np.repeat([0, 1, 2], [12, 8, 4])
    expected = split(ms.StratifiedKFold(4), X, classes).digest
    for y in (np.eye(3)[classes], classes[:, None], pd.Series(classes), pd.DataFrame({"y": classes}), [classes]):
        assert split(ms.StratifiedKFold(4), X, y).digest == expected
    assert labels({"a": classes, "b": classes}) is None
    assert labels(np.array([[1, 1], [0, 1]])).tolist() == [[1, 1], [0, 1]]  # several labels at once: no classes


def test_a_fold_has_its_rows_of_everything_and_the_rest_as_it_was() -> None:
    weight = np.linspace(0, 1, N)
    folds = split(ms.KFold(3), X, Y, sample_weight=weight, class_weight={0: 1.0, 1: 2.0}, epochs=5)
    args, kwargs = folds.arguments(1)
    train, validation = folds.pairs[1]
    assert np.array_equal(args[0], X[train])
    assert np.array_equal(args[1], Y[train])
    assert np.array_equal(kwargs["sample_weight"], weight[train])
    held = kwargs.pop("validation_data")
    assert [np.array_equal(a, b[validation]) for a, b in zip(held, (X, Y, weight), strict=True)] == [True] * 3
    assert sorted(kwargs) == ["class_weight", "epochs", "sample_weight"]
    assert len(args) == 2


def test_data_by_keyword_without_targets_and_further_arguments() -> None:
    _, kwargs = split(2, x=X, y=Y, groups=None).arguments(0)
    assert sorted(kwargs) == ["validation_data", "x", "y"]
    assert kwargs["x"].shape == (N // 2, 3)
    args, kwargs = split(2, X).arguments(0)
    assert [len(a) for a in args] == [N // 2]
    assert len(kwargs["validation_data"]) == 1
    _, kwargs = split(2, X, sample_weight=Y).arguments(0)
    assert [a is None for a in kwargs["validation_data"]] == [False, True, False]
    args, _ = split(2, X, Y, 16, 3).arguments(0)
    assert args[2:] == (16, 3)


class Two(NamedTuple):
    left: Any
    right: Any


def test_rows_of_nested_data_keep_their_structure_and_kind() -> None:
    index = np.array([3, 0])
    frame = pd.DataFrame(X, index=range(100, 100 + N), columns=list("abc"))
    data = {
        "a": [X, frame],
        "b": (Y, None),
        "c": Two(X, Y),
        "d": sp.coo_matrix(X),
        "e": pd.Series(Y, index=frame.index),
    }
    taken: Any = take_rows(data, index)
    assert taken["a"][1].index.tolist() == [103, 100]
    assert isinstance(taken["b"], tuple)
    assert taken["b"][1] is None
    assert isinstance(taken["c"], Two)
    assert np.array_equal(taken["d"].toarray(), X[index])
    assert taken["e"].tolist() == Y[index].tolist()
    assert np.array_equal(taken["a"][0], X[index])


def test_rows_of_tensors() -> None:
    import tensorflow as tf

    args, kwargs = split(ms.StratifiedKFold(2), tf.constant(X), tf.constant(Y)).arguments(0)
    train, validation = next(ms.StratifiedKFold(2).split(X, Y))
    assert np.array_equal(args[0].numpy(), X[train])
    assert np.array_equal(kwargs["validation_data"][1].numpy(), Y[validation])


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (1, "got 1"),
        (True, "got True"),
        (2.5, "got 2.5"),
        ("5", "got '5'"),
        ([], r"got \[\]"),
        ([1, 2], r"got \[1, 2\]"),
        ({"a": 1}, "got {'a': 1}"),
        (ms.KFold, r"write KFold\(...\)"),
    ],
)
def test_what_is_no_cv(cv: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"cv: expected a number of folds of at least 2, a splitter.*" + message):
        checked_cv(cv)


@pytest.mark.parametrize(
    ("cv", "args", "kwargs", "message"),
    [
        (2, (X, Y), {"validation_data": (X, Y)}, "neither validation_data nor validation_split beside it, got valid"),
        (2, (X, Y), {"validation_split": 0.2}, "got validation_split; each fold"),
        (2, (), {"train_x": X}, r"expected the data as search\(x, y\)"),
        (2, (X, Y[:5]), {}, "expected as many rows in each array, got 24 of x, 5 of y"),
        (2, ([X, X[:3]], Y), {}, r"24 of x\[0\], 3 of x\[1\], 24 of y"),
        (2, (X, Y), {"sample_weight": Y[:3]}, "3 of sample_weight"),
        (2, (X[:0], Y[:0]), {}, "expected rows in x and y, got none"),
        (2, (np.float32(1), Y), {}, "expected rows in x, got a single value"),
        (2, ([[1.0, 2.0]] * 3, Y), {}, r"expected x\[0\]\[0\] to be an array.*float.*np.asarray"),
        (2, ((row for row in X),), {}, "got builtins.generator, whose rows cannot be chosen; make arrays"),
        (30, (X, Y), {}, r"expected data that KFold.* can split, got: .*30"),
        (ms.StratifiedKFold(2), (X, {"a": Y, "b": Y}), {}, "one array of class labels as y"),
        (ms.GroupKFold(2), (X, Y), {}, "it may need groups= in search"),
        ([([0], [])], (X, Y), {}, "at least one, as the validation rows of fold 0"),
        ([([0.5], [1])], (X, Y), {}, "expected integers.* training rows of fold 0"),
        ([([0], [1]), ([0], [N])], (X, Y), {}, "expected validation rows from 0 to 23 in fold 1, got 24 to 24"),
        ([([-1], [0])], (X, Y), {}, "got -1 to -1"),
    ],
)
def test_what_cannot_be_split(cv: Any, args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(FatalValueError, match=f"cv: .*{message}"):
        split(cv, *args, **kwargs)


def test_datasets_are_refused_by_name() -> None:
    import tensorflow as tf

    with pytest.raises(FatalValueError, match=r"got tensorflow.*Dataset, whose rows cannot be chosen.*validation_data"):
        split(2, tf.data.Dataset.from_tensor_slices((X, Y)).batch(4))


def test_rows_on_both_sides_give_a_warning() -> None:
    with pytest.warns(KrigeTunerWarning, match="got common ones in fold 1"):
        split([([0, 1], [2]), ([0, 1], [1])], X, Y)


def test_a_number_of_folds_needs_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(MissingDependency, match=r"cv=3.*pip install 'krigetuner\[sklearn\]'"):
        split(3, X, Y)
    assert len(split([([0], [1])], X, Y)) == 1
