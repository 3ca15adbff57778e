"""What a `logger=` is: an object that hears of a search, its trials and their ends, as in KerasTuner 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Logger:
    """Base of loggers; a tracker (MLflow, Neptune, ...) defines the four methods. Each does nothing unless overridden.

    Any object with these methods serves as well.
    """

    def register_tuner(self, tuner_state: Mapping[str, Any]) -> None:
        """A search begins."""

    def register_trial(self, trial_id: str, trial_state: Mapping[str, Any]) -> None:
        """A trial begins; its state is that of `Trial.get_state`."""

    def report_trial_state(self, trial_id: str, trial_state: Mapping[str, Any]) -> None:
        """A trial has news: metrics, or its end."""

    def exit(self) -> None:
        """The search has ended."""
