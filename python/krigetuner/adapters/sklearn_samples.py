"""The data of a scikit-learn search and its folds: arrays, tables, lists and sparse matrices, taken apart by rows.

n   samples
x   (n, ...): ndarray, DataFrame, list or sparse matrix
y   (n,) or (n, outputs), or None for estimators that have no target
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from krigetuner.adapters.folds import RANDOM_STATE, checked_cv, repeatable
from krigetuner.errors import MissingDependency

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Row numbers of a fold: those to fit on, those to score on."""


def sklearn_module() -> Any:
    """The package.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import sklearn
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "Please install sklearn before using the `SklearnTuner`: expected scikit-learn, which is not installed; "
            "pip install 'krigetuner[sklearn]'"
        ) from error
    return sklearn


@dataclass(frozen=True)
class Samples:
    """Rows of data that belong together.

    Attributes:
        x, y: the data; y may be None.
        weight: (n,) floats, or None.
        groups: (n,) labels for splitters, or None.
    """

    x: Any
    y: Any
    weight: NDArray[np.float64] | None = None
    groups: Any = None

    def rows(self, indices: NDArray[np.intp]) -> Samples:
        """The samples at these positions; what only the splitter needs is left out."""
        weight = None if self.weight is None else self.weight[indices]
        return Samples(_rows(self.x, indices), _rows(self.y, indices), weight)


def _rows(data: Any, indices: NDArray[np.intp]) -> Any:
    if data is None:
        return None
    if hasattr(data, "iloc"):
        return data.iloc[indices]
    if isinstance(data, list | tuple):
        return [data[i] for i in indices]
    return data[indices]


def samples(x: Any, y: Any, weight: Any = None, groups: Any = None) -> Samples:
    """The data of a search, checked.

    Raises:
        ValueError: there is no data, lengths differ, or the weights are not one number per sample.
    """
    if not hasattr(x, "__len__") and not hasattr(x, "shape"):
        raise ValueError(
            f"X: expected an array, a table, a sparse matrix or a list of samples, got {x!r:.200}; "
            "make an array of it (np.asarray)"
        )
    sklearn_module()
    from sklearn.utils import indexable

    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
        if weight.ndim != 1:
            raise ValueError(
                f"sample_weight: expected one number per sample, got an array of shape {weight.shape}; flatten it"
            )
    try:
        x, y, weight, groups = indexable(x, y, weight, groups)
    except ValueError as error:
        raise ValueError(
            f"X, y, sample_weight, groups: expected one row or entry per sample in each: {error}"
        ) from error
    return Samples(x, y, weight, groups)


def splitter_of(cv: Any) -> Any:
    """The splitter that is meant, or a number of folds; five shuffled folds for None, as in KerasTuner.

    Args:
        cv: a scikit-learn splitter, which gets a `random_state` when it shuffles without one; a number of folds of at
            least 2 (stratified for classifiers, in order); or an iterable of pairs of row numbers, which is read here.

    Raises:
        ValueError: it is none of them.
    """
    checked = checked_cv(cv)
    if checked is None:
        from sklearn.model_selection import KFold

        return KFold(5, shuffle=True, random_state=RANDOM_STATE)
    return repeatable(checked) if hasattr(checked, "split") else checked


def splits(cv: Any, data: Samples, classifier: bool) -> list[Split]:
    """The folds of the data.

    Args:
        cv: as `splitter_of` gave it.
        data: of the search; groups are handed to the splitter when there are any.
        classifier: whether a plain number of folds means stratified ones.

    Raises:
        ValueError: the splitter cannot split this data, a fold is empty, or names rows that do not exist.
    """
    from sklearn.model_selection import check_cv

    groups = {} if data.groups is None else {"groups": data.groups}
    splitter = check_cv(cv, data.y, classifier=classifier)
    found = [(_positions(train), _positions(test)) for train, test in splitter.split(data.x, data.y, **groups)]
    count = data.x.shape[0] if hasattr(data.x, "shape") else len(data.x)
    for number, fold in enumerate(found):
        for part, rows in zip(("train", "test"), fold, strict=True):
            if not len(rows) or rows.max() >= count or rows.min() < -count:
                shown = f"rows up to {rows.max()}" if len(rows) else "no row"
                raise ValueError(
                    f"cv: expected {part} rows within {count} samples, got {shown} in fold {number}; make the folds "
                    "from this data"
                )
    if not found:
        raise ValueError(f"cv: expected at least one fold, got none from {cv!r:.200}; take one that splits this data")
    return found


def _positions(rows: Any) -> NDArray[np.intp]:
    """Row numbers from row numbers, or from a mask."""
    array = np.asarray(rows)
    return np.flatnonzero(array) if array.dtype == np.bool_ else array.astype(np.intp)


def digest(folds: Sequence[Split], names: Sequence[str]) -> str:
    """Identity of folds and of what is measured on them."""
    found = hashlib.blake2b(digest_size=16)
    for train, test in folds:
        for rows in (train, test):
            found.update(len(rows).to_bytes(8, "little") + rows.astype(np.int64).tobytes())
    found.update("\0".join(names).encode("utf-8", "backslashreplace"))
    return found.hexdigest()
