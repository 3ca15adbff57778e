"""A project of KerasTuner becomes the begin of one of our studies: its trials as events, in one transaction."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from krigetuner.errors import KrigeTunerWarning, StudyMismatch
from krigetuner.run import plain
from krigetuner.run.ledger import Ledger
from krigetuner.run.opening import IMPORTED, objective_config
from krigetuner.run.policy import Goal, loss_of, mean, variance_of_mean
from krigetuner.search.schedule import Schedule
from krigetuner.store import events as e
from krigetuner.store.keras_tuner_files import FoundProject, FoundTrial, read_project, space_of
from krigetuner.store.keras_tuner_space import legal_values
from krigetuner.trial import budget
from krigetuner.trial.history import Origin
from krigetuner.trial.trial import TrialStatus

SOURCE = "keras_tuner"
"""Key of what the record keeps about the project that it came from."""


def take_over(
    ledger: Ledger, directory: str | Path, name: str, goal: Goal | None = None, version: str = "", foreign: bool = True
) -> FoundProject:
    """Makes the trials of KerasTuner's project in a directory the begin of a study; warns of what cannot be read.

    Args:
        ledger: of an empty study.
        name: of the study.
        goal: what the code optimises; None to tell it from the scores.
        version: of this package.
        foreign: whether the trials' directories go on to be used where KerasTuner made them.

    Raises:
        StudyMismatch: the scores are not those of `goal`; nothing was recorded.
        StoreError: nothing was recorded.
    """
    project = read_project(directory)
    objective = objective_of(project)
    if goal is not None:
        _refuse_other(project, objective, goal)
        objective = objective_config(goal)
    ledger.adopt(list(_events(project, plain.text(name), objective, version, foreign)))
    if project.problems:
        warnings.warn(
            f"{project.directory}: expected a whole KerasTuner project, got one with parts that cannot be read; the "
            f"rest was imported. {'; '.join(project.problems)}",
            KrigeTunerWarning,
            stacklevel=5,
        )
    return project


def foreign_trials(saved: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The ids of the trials whose directories KerasTuner made, and that are not ours to remove."""
    return frozenset(saved.get(SOURCE, {}).get("foreign", ()))


def taken_names(saved: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The ids of trials whose directories are there but could not be read; no other trial may use them."""
    return frozenset(saved.get(SOURCE, {}).get("unread", ()))


# --- the objective


def objective_of(project: FoundProject) -> dict[str, Any]:
    """What the trials' scores say the objective is.

    Returns:
        Config of an objective, with all metrics that equal the scores under "candidates"; no name when none does.
    """
    scored = [t for t in project.trials.values() if t.status == TrialStatus.COMPLETED and t.score is not None]
    names = [n for n in (scored[0].metrics if scored else ()) if all(_scored_by(t, n) for t in scored)]
    names.sort(key=lambda n: (n not in ("default_objective", "multi_objective"), not n.startswith("val_")))
    if not names:
        return {"name": "", "direction": "min", "candidates": []}
    return {"name": names[0], "direction": scored[0].directions.get(names[0], "min"), "candidates": names}


def _scored_by(trial: FoundTrial, name: str) -> bool:
    """Whether a metric has the trial's score as its mean at some step."""
    score = math.nan if trial.score is None else trial.score
    means = (mean(v) for _, v in trial.metrics.get(name, ()) if v)
    return any(m == score or (m != m and score != score) or math.isclose(m, score, rel_tol=1e-6) for m in means)


def _refuse_other(project: FoundProject, found: Mapping[str, Any], goal: Goal) -> None:
    """Raises when the scores are known to be those of another objective."""
    if found["candidates"] and goal.name not in found["candidates"]:
        raise StudyMismatch(
            f"{project.directory}: expected a search for objective {goal.name!r}, got a KerasTuner project with the "
            f"scores of {' or '.join(map(repr, found['candidates']))}; use another project_name or directory, or pass "
            "overwrite=True to move KerasTuner's files aside and begin anew"
        )


# --- the events


def _events(
    project: FoundProject, name: str, objective: Mapping[str, Any], version: str, foreign: bool
) -> Iterator[e.Event]:
    """The study in the order in which a ledger would have recorded it."""
    now, trials = plain.now(), project.trials
    began = [t.begun for t in trials.values() if t.begun is not None] + [t.written for t in trials.values()] + [now]
    seed = 0 if project.seed is None else project.seed
    yield e.StudyOpened(name, objective, IMPORTED, project.options, "", seed, min(began), version)
    if project.parameters:
        yield e.SpaceGrew(project.parameters, (), min(began))
    origins = _origins(project)
    numbers = {trial_id: number for number, trial_id in enumerate(trials)}
    space, position = space_of(project), 1 + bool(project.parameters)
    for trial_id, number in numbers.items():
        trial = trials[trial_id]
        position += 1
        values = legal_values(space, trial.values)
        yield e.TrialAsked(number, trial_id, values, origins[trial_id], position - 1, time=_begin(trial))
    direction = str(objective["direction"])
    for trial_id in project.ended:
        yield from _ended(numbers[trial_id], trials[trial_id], str(objective["name"]), direction)
    for trial_id in project.waiting:
        yield from _waiting(numbers[trial_id], trials[trial_id])
    for tuner_id, state in project.tuners.items():
        yield e.StateSaved(f"tuner/{plain.text(tuner_id)}", state, now)
    if project.state:
        yield e.StateSaved("oracle", project.state, now)
    kept = {"directory": str(project.directory), "unread": list(project.unread), "problems": list(project.problems)}
    yield e.StateSaved(SOURCE, {**kept, "foreign": list(trials) if foreign else []}, now)


def _begin(trial: FoundTrial) -> float:
    return trial.written if trial.begun is None else trial.begun


def _end(trial: FoundTrial) -> float:
    return max(_begin(trial), trial.written)


def _origins(project: FoundProject) -> dict[str, Origin]:
    """Where the trials came from; for those of Hyperband their bracket, in the order in which the brackets ran.

    The files label a promoted trial with the bracket that began last, so that its own is told from its epochs and its
    parent; brackets of the same kind, of several iterations, were filled one after the other.
    """
    origins: dict[str, Origin] = {}
    begun: Counter[int] = Counter()
    options = project.options
    schedule = Schedule(int(options.get("max_epochs") or 1), float(options.get("factor") or 3), math.inf)
    told = [t.values[budget.BRACKET] for t in project.trials.values() if isinstance(t.values.get(budget.BRACKET), int)]
    brackets = schedule.brackets if "max_epochs" in options else int(max(told, default=0)) + 1
    for trial_id, trial in project.trials.items():
        rung, epochs, parent = (trial.values.get(k) for k in (budget.ROUND, budget.EPOCHS, budget.TRIAL_ID))
        if not isinstance(rung, int) or not isinstance(epochs, int):
            origins[trial_id] = Origin(IMPORTED)
        elif rung and parent is not None:
            known = origins.get(str(parent))
            index = known.bracket if known is not None else None
            origins[trial_id] = Origin(IMPORTED, index, rung, str(parent), epochs)
        else:
            label = trial.values.get(budget.BRACKET)
            kinds = [s for s in range(brackets) if "max_epochs" in options and schedule.epochs(s, 0) == epochs]
            s = kinds[0] if kinds else min(max(label, 0), brackets - 1) if isinstance(label, int) else 0
            size = schedule.size(s, 0) if "max_epochs" in options else sum(v == s for v in told)
            iteration, begun[s] = begun[s] // max(size, 1), begun[s] + 1
            origins[trial_id] = Origin(IMPORTED, iteration * brackets + brackets - 1 - s, 0, None, epochs)
    return origins


def _failures(number: int, trial: FoundTrial, count: int) -> Iterator[e.Event]:
    """The attempts that failed and were not the last."""
    for attempt in range(count):
        yield e.TrialStarted(number, attempt, None, _begin(trial))
        message = trial.message or "KerasTuner kept no message"
        yield e.TrialFailed(number, attempt, "invalid", plain.text(message), False, _end(trial))


def _ended(number: int, trial: FoundTrial, objective: str, direction: str) -> Iterator[e.Event]:
    """A trial that is over; one that KerasTuner completed with NaN has failed."""
    attempt = max((trial.runs or 1) - 1, 0)
    yield from _failures(number, trial, attempt)
    yield e.TrialStarted(number, attempt, None, _begin(trial))
    yield from _reports(number, attempt, trial)
    if trial.status != TrialStatus.COMPLETED or trial.score is None:
        message = plain.text(trial.message or "KerasTuner kept no message")
        yield e.TrialFailed(number, attempt, "failed", message, True, _end(trial))
    elif loss_of(trial.score, direction) is None:
        message = f"{objective}: expected a finite number, got {trial.score}; KerasTuner took it for a result"
        yield e.TrialFailed(number, attempt, "invalid", message, True, _end(trial))
    else:
        yield _finished(number, trial, objective)


def _finished(number: int, trial: FoundTrial, objective: str) -> e.TrialFinished:
    """The result at the best step; metrics that have none there, at their last."""
    at_best = {}
    for name, steps in trial.metrics.items():
        values = dict(steps).get(trial.best_step, steps[-1][1] if steps else ())
        if values:
            at_best[plain.text(name)] = values
    count = max(map(len, at_best.values()), default=1)
    executions = tuple(
        ({name: values[k] for name, values in at_best.items() if k < len(values)}, trial.best_step)
        for k in range(count)
    )
    return e.TrialFinished(
        number,
        executions,
        {name: mean(values) for name, values in at_best.items()},
        trial.best_step,
        float(trial.score or 0.0),
        variance_of_mean(at_best.get(objective, ())),
        _end(trial),
    )


def _reports(number: int, attempt: int, trial: FoundTrial) -> Iterator[e.Event]:
    """Every step of every execution, where more than one step is kept."""
    steps = sorted({step for history in trial.metrics.values() for step, _ in history})
    if len(steps) < 2:
        return
    table = {name: dict(history) for name, history in trial.metrics.items()}
    count = max(len(v) for history in table.values() for v in history.values())
    for execution in range(count):
        for step in steps:
            at = {plain.text(n): h[step][execution] for n, h in table.items() if execution < len(h.get(step, ()))}
            if at:
                yield e.TrialReported(number, attempt, execution, step, at, _end(trial))


def _waiting(number: int, trial: FoundTrial) -> Iterator[e.Event]:
    """A trial to be run again: one that failed and has attempts left, or one that was cut short."""
    if trial.status == TrialStatus.INVALID:
        yield from _failures(number, trial, max(trial.runs or 1, 1))
        return
    yield from _failures(number, trial, trial.runs or 0)
    yield e.TrialStarted(number, trial.runs or 0, None, _begin(trial))
    yield e.TrialRequeued(number, "KerasTuner's search ended while the trial ran", _end(trial))


def summary(project: FoundProject, ledger: Ledger) -> str:
    """One line about what was taken over."""
    done = sum(r.status == TrialStatus.COMPLETED for r in ledger.state.trials.values())
    failed = sum(r.status == TrialStatus.FAILED for r in ledger.state.trials.values())
    counts = [(done, "completed"), (failed, "failed"), (len(project.waiting), "to be run again")]
    counts.append((len(project.unread), "unreadable"))
    told = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"{len(project.trials)} trials of KerasTuner's" + (f": {told}" if told else "")
