"""The exceptions and the warning that are KrigeTuner's own.

The `Fatal*` and `FailedTrialError` classes keep KerasTuner's names and meaning; the others are ours. An error says
which argument was wrong, what it was, what is allowed, and what to do.
"""

from __future__ import annotations


class FailedTrialError(Exception):
    """Raise it in `build`, `fit` or `run_trial` to mark the trial as failed at once, without retries."""


class FatalError(Exception):
    """Raise it in user code to end the whole search; every other exception only ends the trial."""


class FatalValueError(FatalError, ValueError):
    """A `ValueError` that ends the search."""


class FatalTypeError(FatalError, TypeError):
    """A `TypeError` that ends the search."""


class FatalRuntimeError(FatalError, RuntimeError):
    """A `RuntimeError` that ends the search."""


class KrigeTunerWarning(UserWarning):
    """The class of every warning that KrigeTuner gives."""


class BackendUnavailable(RuntimeError):
    """A backend that was asked for by name cannot be used here; the message says why and what to install."""


class NotPositiveDefinite(ArithmeticError):
    """A kernel matrix could not be factored.

    Attributes:
        pivot: index of the first row whose pivot was not positive.
    """

    def __init__(self, message: str, pivot: int) -> None:
        super().__init__(message)
        self.pivot = pivot


class StudyMismatch(ValueError):
    """The project directory holds an unrelated search; the message names the differences and the ways on."""


class StoreError(RuntimeError):
    """The record of a study could not be opened, read or written; nothing that was recorded before is lost."""


class StudyLocked(StoreError):
    """Another live process conducts this study; the message names its host and process."""


class SearchEnded(StoreError):
    """The chief of a search of several processes has ended it for all of them; the message has the reason."""


class TrialTaken(StoreError):
    """A worker's trial was given to another one; what it still says of that trial is not recorded."""


class MissingDependency(ImportError):
    """An optional package is needed; the message holds the `pip install` line."""
