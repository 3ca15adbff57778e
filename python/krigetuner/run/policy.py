"""Decisions about trials: what a result is worth, what follows a failure, when to give up, when to ask ahead.

A score that is NaN, or infinite in the good direction, makes its trial INVALID; one that is infinite in the bad
direction is a completed trial, the worst there is: its loss is +inf.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from krigetuner.errors import FatalValueError
from krigetuner.run.messages import Execution, FailureKind
from krigetuner.trial.trial import TrialStatus


class Goal(Protocol):
    """What this module needs of an objective."""

    @property
    def name(self) -> str:
        """The metric's name."""

    @property
    def direction(self) -> str | None:
        """Either "min" or "max"."""

    def has_value(self, logs: Mapping[str, float]) -> bool:
        """Whether the metrics hold the objective."""

    def get_value(self, logs: Mapping[str, float]) -> float:
        """The objective's value in these metrics."""


@dataclass(frozen=True)
class Judgement:
    """What a result is worth.

    Attributes:
        score: the objective's mean over executions; NaN or infinite where they were.
        variance: variance of the score's mean over executions; None for one execution or a non-finite spread.
        metrics: mean of each metric over the executions that have it.
        step: mean of the executions' steps, rounded down.
    """

    score: float
    variance: float | None
    metrics: dict[str, float]
    step: int


def judge(executions: Sequence[Execution], objective: Goal) -> Judgement:
    """Turns the executions of a trial into one result.

    Raises:
        FatalValueError: there is no execution, or one lacks the objective; the message lists what it has.
    """
    if not executions:
        raise FatalValueError("executions: expected at least one result, got none; return the metrics from run_trial")
    scores = [_score(e.metrics, objective) for e in executions]
    score = mean(scores)
    metrics = {k: mean([float(e.metrics[k]) for e in executions if k in e.metrics]) for k in _names(executions)}
    step = int(sum(e.step for e in executions) / len(executions))
    return Judgement(score, variance_of_mean(scores), metrics, step)


def _score(metrics: Mapping[str, float], objective: Goal) -> float:
    """The objective's value of one execution."""
    if not objective.has_value(metrics):
        raise FatalValueError(
            f"objective: expected {objective.name!r} among the metrics, got {sorted(map(str, metrics))}; "
            "return it, compile the model with it, or name another objective"
        )
    return float(objective.get_value(metrics))


def _names(executions: Sequence[Execution]) -> list[str]:
    """Every metric's name, in the order of first appearance."""
    return list({name: None for e in executions for name in e.metrics})


def mean(values: Sequence[float]) -> float:
    """The mean; exact for one value, NaN when infinities of both signs or a NaN are among them."""
    if len(values) == 1:
        return float(values[0])
    total = sum(values)
    if math.isfinite(total):
        return math.fsum(values) / len(values)
    if all(map(math.isfinite, values)):  # the sum alone is too large
        return sum(v / len(values) for v in values)
    return total


def variance_of_mean(values: Sequence[float]) -> float | None:
    """Unbiased estimate of the variance of the mean of n values; None for n < 2 or where it is not finite."""
    n = len(values)
    if n < 2 or not all(map(math.isfinite, values)):
        return None
    middle = mean(values)
    result = sum((v - middle) * (v - middle) for v in values) / (n - 1) / n
    return result if math.isfinite(result) else None


def loss_of(score: float, direction: str | None) -> float | None:
    """The score turned to be minimised: finite, or +inf for infinitely bad; None for NaN and infinitely good."""
    loss = -score if direction == "max" else score
    return None if math.isnan(loss) or loss == -math.inf else loss


def after_failure(kind: FailureKind, failures: int, max_retries: int) -> Literal["requeue", "fail"]:
    """What becomes of a trial whose attempt did not complete.

    Args:
        kind: as in `run.messages.Failed`.
        failures: how many attempts failed before this one; interruptions do not count.
        max_retries: retries allowed after the first failure.

    Returns:
        "requeue" to run it again with the same values, "fail" when it is over.
    """
    if kind == "interrupted" or (kind == "invalid" and failures < max_retries):
        return "requeue"
    return "fail"


IDLE = 0.002
"""The share of its time that a slot may wait for suggestions before they are worked out ahead."""


class Pace:
    """Decides whether suggestions are worked out ahead, which has each know one result less.

    It pays where a slot would wait for more than a small share of its time: where suggestions are slow and trials are
    quick.
    """

    def __init__(self) -> None:
        self._asking: float | None = None
        self._running: float | None = None

    def asked(self, seconds: float) -> None:
        """A suggestion took so long."""
        self._asking = _smoothed(self._asking, seconds)

    def ran(self, seconds: float) -> None:
        """A trial took so long."""
        self._running = _smoothed(self._running, seconds)

    def worth_asking_ahead(self) -> bool:
        """Whether a slot that waits for a suggestion after each trial would wait too much."""
        return None not in (self._asking, self._running) and (self._asking or 0.0) > IDLE * (self._running or 0.0)


def _smoothed(before: float | None, seconds: float) -> float:
    return seconds if before is None else 0.8 * before + 0.2 * seconds


def too_many_failures(statuses: Sequence[str], limit: int) -> bool:
    """True when the last `limit` trials that ended all FAILED.

    Args:
        statuses: of the trials that ended since the search began, in the order of their end.
        limit: at least 1.
    """
    return len(statuses) >= limit > 0 and all(s == TrialStatus.FAILED for s in statuses[-limit:])
