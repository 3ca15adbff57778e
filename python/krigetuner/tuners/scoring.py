"""From metrics to the score of a trial."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from krigetuner.adapters.function import names_of
from krigetuner.run import plain, policy
from krigetuner.run.messages import Execution
from krigetuner.trial.metrics import MetricsTracker
from krigetuner.trial.objective import Objective
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners.trial import Trial, track

Place = tuple[str, float, int]
"""Of a value in a trial's metrics: its name, step, and which of the step's."""


def reported(metrics: Any, objective: Objective) -> dict[str, float]:
    """Metrics as they were given to an oracle, and the objective's value if it is made of several.

    Args:
        metrics: numbers by name, or one number: the objective.

    Raises:
        TypeError: they are neither.
        ValueError: the objective is not among them, or has several values; other metrics with several are left out.
    """
    if not isinstance(metrics, Mapping):
        metrics = {objective.name: metrics}
    given = {str(name): _number(name, value) for name, value in metrics.items()}
    for name in names_of(objective):
        if name in given and given[name] is None:
            raise ValueError(f"objective: expected one number for {name}, got {metrics[name]!r:.80}; report one number")
    numbers = {name: value for name, value in given.items() if value is not None}
    if objective.has_value(numbers):
        numbers[objective.name] = float(objective.get_value(numbers))
    elif objective.name not in numbers:
        raise missing(objective, numbers)
    return numbers


def missing(objective: Objective, found: Iterable[str]) -> ValueError:
    """The error that says what the objective lacks, and what there is."""
    expected, found = names_of(objective), sorted(found)
    lacking = [name for name in expected if name not in found]
    return ValueError(
        f"Objective value missing in metrics reported to the Oracle, expected: {lacking}, "
        f"found: {found}; report it, or name one of those found as the objective"
    )


def _number(name: object, value: Any) -> float | None:
    """The metric as a float, None where it has several values."""
    try:
        return plain.scalar(value)
    except (TypeError, ValueError):
        raise TypeError(f"metrics: expected a number for {name!r}, got {value!r:.80}; report scalars only") from None


def averaged(executions: Sequence[Execution], objective: Objective) -> tuple[dict[str, float], int]:
    """The means over executions, the objective among them, and their step.

    Raises:
        FatalValueError: an execution lacks the objective.
    """
    judgement = policy.judge(executions, objective)
    return {**judgement.metrics, objective.name: judgement.score}, judgement.step


def score_executions(trial: Trial, objective: Objective) -> None:
    """Makes the means over a trial's executions its metrics.

    Raises:
        FatalValueError: an execution lacks the objective.
    """
    judgement = policy.judge(trial.executions, objective)
    directions = {name: history.direction for name, history in trial.metrics.metrics.items()}
    trial.metrics = MetricsTracker()
    for name, direction in directions.items():
        trial.metrics.register(name, direction)
    track(trial.metrics, {**judgement.metrics, objective.name: judgement.score}, judgement.step, objective)
    trial.variance = judgement.variance


def places(trial: Trial) -> dict[Place, float]:
    """All values in a trial's metrics."""
    return {
        (name, observation.step, i): value
        for name, history in trial.metrics.metrics.items()
        for observation in history.get_history()
        for i, value in enumerate(observation.value)
    }


def last_places(trial: Trial, names: Iterable[str], step: int) -> set[Place]:
    """The places of the values that came last at a step; at any number of steps this takes no longer."""
    metrics = trial.metrics.metrics
    return {(name, step, (metrics[name]._count(step) if name in metrics else 0) - 1) for name in names}


def own_reports(trial: Trial, others: Collection[Place], objective: Objective) -> tuple[Execution, ...]:
    """The best step of what a trial's code has given to the oracle itself; nothing where that is all, or nothing.

    Args:
        others: the values that are not its own.
    """
    metrics = MetricsTracker()
    for place, value in places(trial).items() if others else ():
        if place not in others:
            track(metrics, {place[0]: value}, place[1], objective)
    step = metrics.get_best_step(objective.name) if metrics.exists(objective.name) else None
    if step is None:
        return ()
    at_best = {
        name: observation.mean()
        for name, history in metrics.metrics.items()
        for observation in history.get_history()
        if observation.step == step
    }
    return (Execution(at_best, int(step)),)


def is_result(trial: Trial, objective: Objective) -> bool:
    """Whether a trial that has run brings executions whose objective counts, so that it is not to be run again."""
    if trial.status != TrialStatus.COMPLETED or not trial.executions:
        return False
    return policy.loss_of(policy.judge(trial.executions, objective).score, objective.direction) is not None


def judge_score(trial: Trial, objective: Objective) -> None:
    """Makes a completed trial INVALID when its score is NaN or infinitely good.

    Raises:
        ValueError: there is no score.
    """
    if trial.score is None:
        raise ValueError(
            f"score of trial {trial.trial_id}: expected a number, got None; report metrics, or set trial.score in "
            "score_trial"
        )
    trial.score = float(trial.score)
    if policy.loss_of(trial.score, objective.direction) is None:
        trial.status = TrialStatus.INVALID
        trial.message = (
            f"{objective.name}: expected a finite number, got {trial.score}; the trial does not count as a result. "
            "Look for divergence (learning rate, log of zero, empty batches)."
        )


def best_of(trial: Trial, objective: Objective) -> tuple[float, int | float]:
    """The best value of the objective and its step.

    Raises:
        ValueError: the objective was never reported.
    """
    if not trial.metrics.exists(objective.name):
        raise missing(objective, trial.metrics.metrics)
    best, step = trial.metrics.get_best_value(objective.name), trial.metrics.get_best_step(objective.name)
    return (math.nan if best is None else best), (0 if step is None else step)


def final_metrics(trial: Trial) -> dict[str, float]:
    """Each metric at the step of the score, or at its last where it has no value there."""
    final: dict[str, float] = {}
    for name, history in trial.metrics.metrics.items():
        observations = history.get_history()
        at_best = [o for o in observations if o.step == trial.best_step] or observations[-1:]
        if at_best:
            final[name] = at_best[0].mean()
    return final


def may_be_best(trial: Trial, outside: Collection[int]) -> bool:
    """Whether a trial completed with a finite score, and is not one of those `outside` of the present space."""
    if trial.status != TrialStatus.COMPLETED or trial.score is None or not math.isfinite(trial.score):
        return False
    return trial.number not in outside
