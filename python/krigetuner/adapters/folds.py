"""Cross-validation of Keras models: which rows train and which validate, and the arguments of each fold's fit.

The folds of a search are the same for all of its trials and after a resume, or scores could not be compared: a number
of folds, and a splitter that shuffles without a `random_state`, get the random state 1, whatever the search's seed.
"""

from __future__ import annotations

import copy
import hashlib
import numbers
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from krigetuner.adapters.rows import Index, count_rows, labels, parts, take_rows
from krigetuner.errors import FatalValueError, KrigeTunerWarning, MissingDependency

RANDOM_STATE = 1
"""Of splitters that have none: the one of KerasTuner's scikit-learn tuner."""


def checked_cv(cv: Any) -> Any:
    """A `cv` argument as it is kept: None, a number of folds, a splitter, or a list of pairs of row indices.

    Raises:
        ValueError: it is none of those.
    """
    if cv is None or (not isinstance(cv, str | bytes | type) and callable(getattr(cv, "split", None))):
        return cv
    if isinstance(cv, numbers.Integral) and not isinstance(cv, bool) and int(cv) >= 2:
        return int(cv)
    if isinstance(cv, Iterable) and not isinstance(cv, str | bytes | Mapping):
        pairs = list(cv)  # a generator would be used up by the first trial
        if pairs and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            return pairs
        cv = pairs
    hint = f"{cv.__name__}(...)" if isinstance(cv, type) else "cv=5, for example"
    raise ValueError(
        "cv: expected a number of folds of at least 2, a splitter of scikit-learn such as StratifiedKFold(5), or an "
        f"iterable of pairs (training rows, validation rows), got {cv!r:.200}; write {hint}"
    )


@dataclass(frozen=True)
class Folds:
    """The folds of one search's data.

    Attributes:
        pairs: for each fold the rows that train, and those that validate.
        args, kwargs: of `search`, without `groups`.
    """

    pairs: tuple[tuple[Index, Index], ...]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def digest(self) -> str:
        """Changes when the folds do."""
        whole = hashlib.sha256()
        for pair in self.pairs:
            for index in pair:
                whole.update(len(index).to_bytes(8, "little"))
                whole.update(index.astype("<i8").tobytes())
        return whole.hexdigest()

    def arguments(self, fold: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of a fold's fit: the rows that train where all rows were given, and `validation_data`."""
        train, validation = self.pairs[fold]
        args, kwargs = list(self.args), dict(self.kwargs)
        held: list[Any] = []
        for position, name in enumerate(("x", "y")):
            data = args[position] if position < len(args) else kwargs.get(name)
            held.append(take_rows(data, validation))
            if position < len(args):
                args[position] = take_rows(data, train)
            elif data is not None:
                kwargs[name] = take_rows(data, train)
        weights = kwargs.get("sample_weight")
        if weights is not None:
            held.append(take_rows(weights, validation))
            kwargs["sample_weight"] = take_rows(weights, train)
        while held[-1] is None:
            held.pop()
        return tuple(args), {**kwargs, "validation_data": tuple(held)}


@dataclass(frozen=True)
class Undivided:
    """The data of a search without cross-validation: one fit with all that `search` was given."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    digest = ""

    def __len__(self) -> int:
        return 1

    def arguments(self, fold: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments of the fit."""
        return self.args, dict(self.kwargs)


def split_folds(cv: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Folds | Undivided:
    """The folds of the data that `search` was given.

    Args:
        cv: as `checked_cv` returned it; None for one fit with all of the data.
        args: of `search`: x, y and whatever the fit takes after them.
        kwargs: of `search`; `groups` is for the splitter.

    Raises:
        FatalValueError: there are validation data beside `cv`, no x, something that cannot be indexed by rows, or the
            splitter refuses the data.
        MissingDependency: a number of folds needs scikit-learn.
    """
    if cv is None:
        return Undivided(args, kwargs)
    if kwargs.get("validation_data") is not None or kwargs.get("validation_split"):
        raise FatalValueError(
            "cv: expected neither validation_data nor validation_split beside it, got "
            f"{'validation_data' if kwargs.get('validation_data') is not None else 'validation_split'}; each fold "
            "brings its own validation rows, so leave one of them out"
        )
    x = args[0] if args else kwargs.get("x")
    if x is None:
        raise FatalValueError("cv: expected the data as search(x, y) or search(x=..., y=...), got no x; pass it")
    y = args[1] if len(args) > 1 else kwargs.get("y")
    groups = kwargs.get("groups")
    data = {"x": x, "y": y, "sample_weight": kwargs.get("sample_weight")}
    n = count_rows({name: value for name, value in data.items() if value is not None})
    pairs = _pairs(cv, x, y, groups, n)
    checked = tuple((_rows(t, n, i, "training"), _rows(v, n, i, "validation")) for i, (t, v) in enumerate(pairs))
    if not checked:
        raise FatalValueError(f"cv: expected at least one fold, got none from {cv!r}; take one that splits these data")
    shared = next((i for i, (train, validation) in enumerate(checked) if np.isin(train, validation).any()), None)
    if shared is not None:
        warnings.warn(
            f"cv: expected other rows for training than for validation, got common ones in fold {shared}; its score "
            "says less about new data",
            KrigeTunerWarning,
            stacklevel=2,
        )
    return Folds(checked, args, {name: value for name, value in kwargs.items() if name != "groups"})


def check_folds(cv: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuses what cannot be cross-validated, at the begin of a search.

    Raises:
        FatalValueError: as `split_folds`; or the splitter gives other folds at each call.
    """
    if split_folds(cv, args, kwargs).digest != split_folds(cv, args, kwargs).digest:
        raise FatalValueError(
            f"cv: expected the same folds at each call, got others from {cv!r} the second time; give it a fixed seed, "
            "or hand over list(cv.split(x, y)), else neither trials nor a resumed search can be compared"
        )


def _pairs(cv: Any, x: Any, y: Any, groups: Any, n: int) -> list[tuple[Any, Any]]:
    """What the splitter gives for the data."""
    if isinstance(cv, list):
        return cv
    splitter = _k_fold(cv) if isinstance(cv, int) else repeatable(cv)
    single = [part for _, part in parts(x, "x")]
    plain = len(single) == 1 and (isinstance(single[0], np.ndarray) or hasattr(single[0], "iloc"))
    rows = single[0] if plain else np.zeros((n, 1))
    try:
        return list(splitter.split(rows, labels(y), groups))
    except (ValueError, TypeError) as error:
        raise FatalValueError(
            f"cv: expected data that {splitter!r} can split, got: {error}; it may need groups= in search(), one array "
            "of class labels as y, or more rows"
        ) from error


def _k_fold(count: int) -> Any:
    try:
        from sklearn.model_selection import KFold
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"cv: expected scikit-learn for cv={count}, got {error}; pip install 'krigetuner[sklearn]'"
        ) from error
    return KFold(count, shuffle=True, random_state=RANDOM_STATE)


def repeatable(splitter: Any) -> Any:
    """A splitter that gives the same folds at each call."""
    own = copy.copy(splitter)
    state = getattr(own, "random_state", 0)
    if not isinstance(state, numbers.Integral):  # a generator moves on with each call
        own.random_state = RANDOM_STATE if state is None else copy.deepcopy(state)
    return own


def _rows(found: Any, n: int, fold: int, what: str) -> Index:
    """The indices of a fold, checked.

    Raises:
        FatalValueError: they are not integers or a mask of n rows, none, or outside of 0 ... n - 1.
    """
    index = np.asarray(found)
    if index.dtype == bool and index.shape == (n,):
        index = np.flatnonzero(index)
    if index.ndim != 1 or not len(index) or index.dtype.kind not in "iu":
        raise FatalValueError(
            f"cv: expected integers, at least one, as the {what} rows of fold {fold}, got {found!r:.100}; take other "
            "folds"
        )
    if index.min() < 0 or index.max() >= n:
        raise FatalValueError(
            f"cv: expected {what} rows from 0 to {n - 1} in fold {fold}, got {index.min()} to {index.max()}; make the "
            "folds from these data"
        )
    return index.astype(np.int64)
