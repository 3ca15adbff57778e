"""Summaries of a search space and of results, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from krigetuner.run.progress import failure_reason, number
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.trial import TrialRecord, TrialStatus

if TYPE_CHECKING:
    from krigetuner.store.replay import StudyState
    from krigetuner.tuners.oracle import Oracle


def space(hyperparameters: HyperParameters, extended: bool) -> str:
    """One line per hyperparameter: name, type, range, and what activates it; `extended` adds the default."""
    lines = ["Search space summary", f"Default search space size: {len(hyperparameters.space)}"]
    for parameter in hyperparameters.space:
        config = parameter.get_config()
        conditions = config.pop("conditions", [])
        name, default = config.pop("name"), config.pop("default", None)
        parts = [f"{key}={value}" for key, value in config.items() if value is not None]
        if extended:
            parts.append(f"default={default}")
        lines.append(f"{name} ({type(parameter).__name__}) {', '.join(parts)}")
        lines += [f"    active when {_condition(c)}" for c in conditions]
    return "\n".join(lines)


def _condition(config: dict[str, Any]) -> str:
    inner = config["config"]
    return f"{inner['name']} is {' or '.join(map(str, inner['values']))}"


def study(state: StudyState, count: int) -> str:
    """A recorded study without its code: what it is, what became of its trials, and the best `count` of them."""
    goal = state.objective
    seek = f"{goal.get('name') or 'unknown objective'} ({goal.get('direction')})"
    lines = [f"{state.name or 'empty study'}: {state.algorithm or 'no'} search, {seek}"]
    records = list(state.trials.values())
    by_status = Counter(r.status for r in records)
    told = ", ".join(f"{many} {status.lower()}" for status, many in by_status.items())
    lines.append(f"{len(records)} trials" + (f": {told}" if told else ""))
    if state.closed:
        lines.append(f"ended: {state.closed}")
    done = [r for r in records if r.status == TrialStatus.COMPLETED and r.score is not None and isfinite(r.score)]
    done.sort(key=lambda r: r.score or 0.0, reverse=goal.get("direction") == "max")
    if done and count:
        lines += ["", f"Best trials, {min(count, len(done))} of {len(done)}"]
    for r in done[:count]:
        values = ", ".join(f"{name}={number(value)}" for name, value in r.values.items())
        lines.append(f"{r.trial_id}  {number(r.score)}  {values}")
    failed = _failed(records)
    if failed:
        lines += ["", f"Last failure, {_last_of(failed)}"]
    return "\n".join(lines)


def _failed(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    return [r for r in records if r.status in {TrialStatus.FAILED, TrialStatus.INVALID}]


def _last_of(failed: Sequence[TrialRecord]) -> str:
    """The last of failed trials, and its reason."""
    last = max(failed, key=lambda r: (r.ended or 0.0, r.number))
    return f"trial {last.trial_id}: {failure_reason(last.message) or 'no reason was given'}"


def nothing_completed(oracle: Oracle) -> str:
    """Why there is no best trial: what became of all trials, and the last failure's reason."""
    state = oracle._ledger.state
    outside = oracle._placement().outside
    records = list(state.trials.values())
    failed = _failed(records)
    done = [r for r in records if r.status == TrialStatus.COMPLETED]
    left = sum(r.number in outside for r in done)
    parts = [] if records else ["no trial was run"]
    if failed:
        parts.append(f"{len(failed)} of {len(records)} trials failed")
    if left:
        parts.append(f"{left} completed in an earlier definition of the space and do not lie in the present one")
    if len(done) > left:
        parts.append(f"{len(done) - left} completed without a finite score")
    if failed:
        parts.append(f"the last failure, {_last_of(failed)}")
    elif oracle.stop_reason:
        parts.append(f"the search ended: {oracle.stop_reason}")
    return "; ".join(parts)


def results(oracle: Oracle, directory: str, count: int) -> str:
    """The best `count` completed trials, then what became of the others."""
    objective = oracle.objective
    lines = ["Results summary", f"Results in {directory}", f"Showing {count} best trials", str(objective)]
    for trial in oracle.get_best_trials(count):
        lines += ["", f"Trial {trial.trial_id} summary", "Hyperparameters:"]
        lines += [f"{name}: {value}" for name, value in trial.hyperparameters.values.items()]
        lines.append(f"Score: {trial.score}")
    failed = _failed(oracle._ledger.state.trials.values())
    if failed:
        lines += ["", f"{len(failed)} {'trial' if len(failed) == 1 else 'trials'} failed:"]
        lines += [f"Trial {r.trial_id} {r.status}: {failure_reason(r.message)}" for r in failed[:count]]
    return "\n".join(lines)
