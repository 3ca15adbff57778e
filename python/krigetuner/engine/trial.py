"""Trials and their states. Names of `keras_tuner.engine.trial`."""

from __future__ import annotations

from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners.trial import Trial, generate_trial_id

__all__ = ["Trial", "TrialStatus", "generate_trial_id"]
