"""KerasTuner's `Trial`: what an oracle hands out and takes back, a face on a record of the study."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from krigetuner.protos import conversion
from krigetuner.run.messages import Execution
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.metrics import MetricsTracker
from krigetuner.trial.objective import Objective
from krigetuner.trial.trial import TrialRecord, TrialStatus
from krigetuner.tuners.stateful import Stateful


def generate_trial_id() -> str:
    """A random name for a trial that belongs to no search."""
    return secrets.token_hex(16)


class Trial(Stateful):
    """One set of hyperparameter values and what came of it.

    Args:
        hyperparameters: holds the values; a callable is called when they are first looked at.
        trial_id: a random name when None.
        status: one of `TrialStatus`.
        message: why the trial did not complete, or why none was handed out.

    Attributes:
        metrics: MetricsTracker with the final metrics and whatever was given to `update_trial`.
        score: the objective's value, None until completed.
        best_step: the step that the score belongs to.
        executions: results of the executions of the present attempt; a tuner sets them before `Oracle.end_trial`.
        variance: variance of the score's mean over the executions, None when not known.
        number: count of the trial in its study, None outside of one.
        attempt: how often it was begun, less one; -1 before.
        asked: the names whose values its code asked for; None where that is not known, before it has run and elsewhere.
    """

    def __init__(
        self,
        hyperparameters: HyperParameters | Callable[[], HyperParameters] | None,
        trial_id: str | None = None,
        status: str = TrialStatus.RUNNING,
        message: str | None = None,
    ) -> None:
        self._hyperparameters = hyperparameters
        self.trial_id = generate_trial_id() if trial_id is None else trial_id
        self.metrics = MetricsTracker()
        self.score: float | None = None
        self.best_step: int | float | None = 0
        self.status = status
        self.message = message
        self.executions: list[Execution] = []
        self.variance: float | None = None
        self.number: int | None = None
        self.attempt = -1
        self.asked: tuple[str, ...] | None = None
        self._watched = False

    @property
    def hyperparameters(self) -> HyperParameters:
        """The search space with this trial's values."""
        if not isinstance(self._hyperparameters, HyperParameters):
            make = self._hyperparameters
            self._hyperparameters = HyperParameters() if make is None else make()
            if self._watched:
                self._hyperparameters._watch()
        return self._hyperparameters

    @hyperparameters.setter
    def hyperparameters(self, hyperparameters: HyperParameters) -> None:
        self._hyperparameters = hyperparameters

    @property
    def looked_at(self) -> bool:
        """Whether anybody has seen the hyperparameters, and may have added some."""
        return isinstance(self._hyperparameters, HyperParameters)

    def _watch(self) -> None:
        """Begins to note what the trial's code asks for."""
        self._watched = True
        if isinstance(self._hyperparameters, HyperParameters):
            self._hyperparameters._watch()

    def _note_asked(self) -> None:
        """Takes down what the trial's code has asked for, as far as that was watched."""
        asks = self._hyperparameters._asks if isinstance(self._hyperparameters, HyperParameters) else None
        self.asked = None if asks is None else asks.names

    def begin(self, attempt: int) -> None:
        """Makes the trial a running one, without the results of earlier attempts."""
        self.asked = None
        self.status, self.attempt, self.message = TrialStatus.RUNNING, attempt, None
        self.metrics, self.executions = MetricsTracker(), []
        self.score, self.best_step, self.variance = None, 0, None

    def take(self, other: Trial) -> None:
        """Takes over what a copy of this trial, changed elsewhere, has to say."""
        if other is not self:
            self.status, self.message, self.executions = other.status, other.message, list(other.executions)
            self.asked = other.asked
            if other.looked_at:
                self.hyperparameters = other.hyperparameters

    def summary(self) -> None:
        """Writes what is known of the trial to the standard output."""
        sys.stdout.write(f"Trial {self.trial_id} summary\nHyperparameters:\n")
        self.display_hyperparameters()
        for line in ([] if self.score is None else [f"Score: {self.score}"]) + ([self.message] if self.message else []):
            sys.stdout.write(f"{line}\n")

    def display_hyperparameters(self) -> None:
        """Writes one line per hyperparameter to the standard output."""
        values = self.hyperparameters._values
        lines = [f"{name}: {value}" for name, value in values.items()] or ["default configuration"]
        sys.stdout.write("\n".join(lines) + "\n")

    def get_state(self) -> dict[str, Any]:
        """The trial as plain data, in KerasTuner's layout."""
        return {
            "trial_id": self.trial_id,
            "hyperparameters": self.hyperparameters.get_config(),
            "metrics": self.metrics.get_config(),
            "score": self.score,
            "best_step": self.best_step,
            "status": self.status,
            "message": self.message,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `get_state` gave."""
        self.trial_id = state["trial_id"]
        self.hyperparameters = HyperParameters.from_config(state["hyperparameters"])
        self.metrics = MetricsTracker.from_config(state["metrics"])
        self.score, self.best_step = state["score"], state["best_step"]
        self.status, self.message = state["status"], state.get("message")

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Trial:
        """A trial from what `get_state` gave."""
        trial = cls(None)
        trial.set_state(state)
        return trial

    def to_proto(self) -> Any:
        """The trial as a message of KerasTuner's protocol; `message` has no place in it."""
        return conversion.trial_message(self.get_state())

    @classmethod
    def from_proto(cls, proto: Any) -> Trial:
        """The trial that `to_proto` described."""
        return cls.from_state(conversion.trial_state(proto))

    @classmethod
    def load(cls, fname: str | Path) -> Trial:
        """Reads what `save` wrote, KerasTuner's `trial.json` too."""
        return cls.from_state(json.loads(Path(fname).read_text(encoding="utf-8")))

    def __repr__(self) -> str:
        return f"Trial(trial_id={self.trial_id!r}, status={self.status!r}, score={self.score!r})"


class Definitions(Protocol):
    """What makes the hyperparameters of a trial."""

    def for_trial(self, values: Mapping[str, Any]) -> HyperParameters:
        """The definitions that the code has made, with these values."""

    def for_record(self, values: Mapping[str, Any]) -> HyperParameters:
        """All known definitions with these values."""


def trial_of(record: TrialRecord, definitions: Definitions, objective: Objective) -> Trial:
    """The face of a record of the study."""
    over = record.status in (TrialStatus.COMPLETED, TrialStatus.FAILED)  # then no code asks for anything any more
    give = definitions.for_record if over else definitions.for_trial
    trial = Trial(lambda: give(record.values), record.trial_id, record.status, record.message)
    trial.number, trial.attempt = record.number, record.attempt
    trial.score, trial.best_step, trial.variance = record.score, record.best_step, record.variance
    trial.executions = [Execution(metrics, step) for metrics, step in record.executions]
    if record.metrics:
        track(trial.metrics, record.metrics, record.best_step, objective)
    return trial


def track(metrics: MetricsTracker, values: Mapping[str, float], step: int | float, objective: Objective) -> None:
    """Adds one step's values; metrics of the objective get its directions, others the one that their name tells."""
    for name, value in values.items():
        if not metrics.exists(name):
            metrics.register(name, direction=objective_directions(objective).get(name))
        metrics.update(name, value, step=step)


def objective_directions(objective: Objective) -> Mapping[str, str]:
    """The direction of each metric that the objective is made of, and of the objective itself."""
    directions: Mapping[str, str] = getattr(objective, "name_to_direction", {})
    return {**directions, objective.name: objective.direction}
