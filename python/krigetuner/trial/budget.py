"""The values by which a search tells a trial how long to train, with KerasTuner's names.

They stand among a trial's hyperparameter values, and in none of its space: what is tuned does not know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EPOCHS = "tuner/epochs"
INITIAL_EPOCH = "tuner/initial_epoch"
BRACKET = "tuner/bracket"
ROUND = "tuner/round"
TRIAL_ID = "tuner/trial_id"

CONTROL = frozenset({EPOCHS, INITIAL_EPOCH, BRACKET, ROUND, TRIAL_ID})
"""All of them: the epoch to train to, the one to begin with, where the trial stands in Hyperband's schedule, and the
trial whose training it goes on with."""


def parent_of(values: Mapping[str, Any]) -> str | None:
    """The id of the trial that one with these values goes on from."""
    parent = values.get(TRIAL_ID)
    return None if parent is None else str(parent)
