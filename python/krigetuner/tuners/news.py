"""What a `logger=` hears of a search: its begin, its trials, and its end."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Mapping
from typing import Any, Protocol

from krigetuner.errors import KrigeTunerWarning
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial

METHODS = ("register_tuner", "register_trial", "report_trial_state", "exit")


class Subject(Protocol):
    """A tuner, as a logger sees it."""

    oracle: Oracle
    tuner_id: str
    logger: Any

    @property
    def project_dir(self) -> str:
        """The project's directory."""

    def get_state(self) -> dict[str, Any]:
        """What the tuner adds to its state."""


def warn_of_logger(logger: Any) -> None:
    """Gives the DeprecationWarning that KerasTuner gives for a logger, and says what becomes of it here."""
    if logger is None:
        return
    known = [name for name in METHODS if callable(getattr(logger, name, None))]
    fate = (
        f"here its {', '.join(known)} are called" if known else f"it has none of {', '.join(METHODS)}, so it is ignored"
    )
    warnings.warn(
        f"The `logger` argument is no longer supported by KerasTuner 1.3 and later; {fate}",
        DeprecationWarning,
        stacklevel=4,
    )


class News:
    """Tells the logger of a tuner, if it has one.

    A logger that raises does not end the search: each of its methods that did is reported in one `KrigeTunerWarning`
    and not called again.
    """

    def __init__(self, tuner: Subject) -> None:
        self._tuner = tuner
        self._silenced: set[str] = set()

    def search_begins(self) -> None:
        """A search begins: `register_tuner(state)`."""
        if self._tuner.logger is not None:
            self._tell("register_tuner", self._tuner_state())

    def trial_begins(self, trial: Trial) -> None:
        """A trial begins: `register_trial(trial_id, state)`."""
        if self._tuner.logger is not None:
            self._tell("register_trial", trial.trial_id, trial.get_state())

    def trial_ended(self, trial: Trial) -> None:
        """A trial has ended, was interrupted, or waits for a retry: `report_trial_state(trial_id, state)`."""
        if self._tuner.logger is not None:
            self._tell("report_trial_state", trial.trial_id, self._tuner.oracle.get_trial(trial.trial_id).get_state())

    def search_ended(self) -> None:
        """The search has ended, in whichever way: `exit()`."""
        if self._tuner.logger is not None:
            self._tell("exit")

    def _tuner_state(self) -> Mapping[str, Any]:
        tuner, oracle = self._tuner, self._tuner.oracle
        return {
            "tuner": type(tuner).__name__,
            "tuner_id": tuner.tuner_id,
            "project_dir": tuner.project_dir,
            "objective": oracle.objective.name,
            "direction": oracle.objective.direction,
            "max_trials": oracle.max_trials,
            "hyperparameters": oracle.get_space().get_config(),
            **tuner.get_state(),
        }

    def _tell(self, method: str, *news: Any) -> None:
        call = getattr(self._tuner.logger, method, None)
        if not callable(call) or method in self._silenced:
            return
        try:
            call(*news)
        except Exception:
            self._silenced.add(method)
            warnings.warn(
                f"logger: expected {method}() to return, got an exception; it is not called again:\n"
                f"{traceback.format_exc()}",
                KrigeTunerWarning,
                stacklevel=2,
            )
