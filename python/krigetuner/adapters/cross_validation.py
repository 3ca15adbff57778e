"""Cross-validation of scikit-learn models: the same folds for every trial, each fitted and scored anew."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from krigetuner.adapters import sklearn as adapter
from krigetuner.adapters.context import TrialContext
from krigetuner.adapters.fold_means import FoldMeans, numbers
from krigetuner.adapters.kept_folds import KeptFolds
from krigetuner.adapters.sklearn_samples import Samples, Split, digest, samples, splits, splitter_of
from krigetuner.adapters.sklearn_scoring import Measures
from krigetuner.errors import FatalError, FatalValueError, KrigeTunerWarning, StoreError

Build = Callable[[], Any]
REFIT = 2**32 - 1
"""In place of a fold's number, for the seed of the fit on all of the data."""


class CrossValidation:
    """Folds of one data set, and what is measured on them.

    Args:
        cv: see `splitter_of`.
        measures: the score and the metrics.

    Attributes:
        data: the present data, None before the first.
    """

    def __init__(self, cv: Any, measures: Measures) -> None:
        self.cv = splitter_of(cv)
        self.measures = measures
        self.data: Samples | None = None
        self._given: tuple[Any, ...] = ()
        self._folds: dict[bool, list[Split]] = {}
        self._told: set[str] = set()

    def take(self, x: Any, y: Any, weight: Any, groups: Any) -> Samples:
        """Makes this the present data, and splits it when that needs no model.

        Raises:
            ValueError: lengths differ, or the splitter cannot split the data.
        """
        given = (x, y, weight, groups)
        if self.data is None or any(a is not b for a, b in zip(given, self._given, strict=True)):
            data = samples(x, y, weight, groups)
            self._folds = {} if isinstance(self.cv, int) else dict.fromkeys([False, True], splits(self.cv, data, False))
            self.data, self._given = data, given
        return self.data

    def _splits(self, build: Build, data: Samples) -> list[Split]:
        """The folds; a plain number of them is stratified when the model is a classifier.

        Raises:
            FatalValueError: the data cannot be split.
        """
        kind = isinstance(self.cv, int) and adapter.is_classifier(build())
        if kind not in self._folds:
            try:
                self._folds[kind] = splits(self.cv, data, kind)
            except ValueError as error:
                raise FatalValueError(str(error)) from error
        return self._folds[kind]

    def run(self, build: Build, data: Samples, directory: Path, context: TrialContext | None) -> tuple[FoldMeans, Any]:
        """Fits and scores a model on every fold.

        Args:
            build: makes an unfitted model.
            data: as `take` gave it.
            directory: of the trial.
            context: of the attempt; an attempt that was cut short goes on behind its last kept fold.

        Returns:
            The means, and the last fold's model; None when no fold was left to be run.
        """
        folds = self._splits(build, data)
        again = context is not None and context.attempt > 0
        kept = KeptFolds(directory, digest(folds, self.measures.names), again)
        model = None
        try:
            for number in range(len(kept.folds), len(folds)):
                began = time.monotonic()
                model, metrics = self._run_fold(build, data, folds[number], number, context)
                kept.add(metrics, time.monotonic() - began)
        except StoreError:
            raise  # the search's trouble: the trial will go on from here
        except Exception as error:
            if not isinstance(error, FatalError):  # so does one that ended the search
                kept.remove()
            if hasattr(error, "add_note"):  # Python 3.11
                error.add_note(f"in fold {len(kept.folds)} of {len(folds)}, counted from 0")
            raise
        kept.remove()
        return FoldMeans(kept.folds), model

    def _run_fold(
        self, build: Build, data: Samples, fold: Split, number: int, context: TrialContext | None
    ) -> tuple[Any, dict[str, Any]]:
        """A model fitted on one fold, and its metrics on the rows that were held out."""
        train, test = fold
        model = self.fitted(build, data.rows(train), None if context is None else context.seed, number)
        metrics, unweighted = self.measures.of(model, data.rows(test))
        if unweighted:
            names = ", ".join(unweighted)
            self._tell(
                f"a measure that takes it for {adapter.kind_of(model)}, got {names}; its values are not weighted"
            )
        if context is not None:
            context.execution = number
            context.report(0, numbers(metrics))
        return model, metrics

    def fitted(self, build: Build, data: Samples, seed: int | None, number: int) -> Any:
        """A model built and fitted with generators that are seeded for this fold."""
        with adapter.seeded(seed, number):
            model = build()
            if not adapter.fit(model, data):
                self._tell(f"estimators whose fit takes it, got {adapter.kind_of(model)}; it is fitted without weights")
        return model

    def _tell(self, expected: str) -> None:
        """Warns, once of each case."""
        if expected not in self._told:
            self._told.add(expected)
            warnings.warn(f"sample_weight: expected {expected}", KrigeTunerWarning, stacklevel=2)
