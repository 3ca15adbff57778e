"""Writes a study as a project directory of KerasTuner 1.4, which loads it with `overwrite=False`.

The layout is that of `store.keras_tuner_files`. What KerasTuner cannot have is said; of the epochs it keeps the best
one, as KerasTuner does.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from krigetuner.errors import StoreError
from krigetuner.run.observed import Observed
from krigetuner.run.policy import mean
from krigetuner.space.numeric import Numerical
from krigetuner.space.parameters import Choice, HyperParameter, deserialize, serialize
from krigetuner.space.space import Space
from krigetuner.store.artifacts import MARK, directory_written_whole, safe_name
from krigetuner.store.keras_tuner_files import ORACLE, TRIAL
from krigetuner.store.replay import StudyState
from krigetuner.trial.budget import CONTROL, TRIAL_ID
from krigetuner.trial.directions import infer_metric_direction
from krigetuner.trial.history import Value
from krigetuner.trial.trial import TrialRecord, TrialStatus

OURS = (MARK, TRIAL, "training.json", "training-*", ".writing-*", "folds.json")
"""Files of a trial that mean nothing to KerasTuner."""
LARGEST_SEED = 2**32 - 1
WEIGHTS = "checkpoint.weights.h5"


def export(state: StudyState, project: str | Path, target: str | Path) -> list[str]:
    """Writes a study and the files of its trials into a directory that is absent or empty.

    Args:
        state: of the study.
        project: directory of the study's files; they are copied, and nothing is written there.
        target: the new project directory; it is there whole or not at all.

    Returns:
        A sentence for everything that KerasTuner does not take as it is.

    Raises:
        StoreError: the target is not empty or lies in the project, or it could not be written.
    """
    source, final = Path(project), Path(target)
    here, there = source.resolve(), final.resolve()
    if there == here or here in there.parents:
        raise StoreError(f"export: expected a directory outside of {source}, got {target}; choose another one")
    layout = _Layout(state)
    with directory_written_whole(final) as beside:
        _write(layout, source, beside)
    return layout.notes(source)


def _write(layout: _Layout, source: Path, target: Path) -> None:
    """Writes all files."""
    for record in layout.state.trials.values():
        directory = target / f"trial_{safe_name(record.trial_id)}"
        kept = source / directory.name
        if kept.is_dir():
            shutil.copytree(kept, directory, ignore=shutil.ignore_patterns(*OURS))
        directory.mkdir(exist_ok=True)
        _dump(directory / TRIAL, layout.trial(record))
    _dump(target / ORACLE, layout.oracle())
    for name, tuner in layout.tuners().items():
        _dump(target / f"{name}.json", tuner)


def _dump(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")


class _Layout:
    """The files' contents for one study."""

    def __init__(self, state: StudyState) -> None:
        self.state = state
        self._parameters = [deserialize(config) for config in state.parameters.values()]
        self._space = Space(self._parameters)
        self._configs = [_config(parameter) for parameter in self._parameters]
        self._values = {r.number: self._theirs(r.values) for r in state.trials.values()}
        parts = [state.objective, *state.objective.get("objectives", ())]
        self._directions = {p["name"]: p["direction"] for p in parts if p.get("name")}

    def _theirs(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """A trial's values in KerasTuner's arithmetic, so that it finds them in its grids and knows them again."""
        active = self._space.active_parameters(values)
        return {name: _value(active[name], value) if name in active else value for name, value in values.items()}

    def trial(self, record: TrialRecord) -> dict[str, Any]:
        """A trial.json."""
        status = record.status
        if status not in (TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.INVALID):
            status = TrialStatus.RUNNING
        done = status == TrialStatus.COMPLETED
        return {
            "trial_id": record.trial_id,
            "hyperparameters": {"space": self._configs, "values": self._values[record.number]},
            "metrics": {"metrics": self._metrics(record) if done else {}},
            "score": record.score if done else None,
            "best_step": record.best_step if done else 0,
            "status": status,
            "message": None if done else record.message,
        }

    def _metrics(self, record: TrialRecord) -> dict[str, Any]:
        """The final metrics, with the values of all executions where these have the same mean."""
        found = {}
        for name, recorded in record.metrics.items():
            values = [metrics[name] for metrics, _ in record.executions if name in metrics]
            if len(values) < 2 or not math.isclose(mean(values), recorded, rel_tol=1e-9):
                values = [recorded]
            direction = self._directions.get(name) or infer_metric_direction(name) or "min"
            found[name] = {
                "direction": direction,
                "observations": [{"value": values, "step": record.best_step}],
            }
        return found

    def oracle(self) -> dict[str, Any]:
        """The oracle.json, with what each of KerasTuner's oracles looks for in it."""
        state, trials = self.state, self.state.trials
        hashes = {r.trial_id: _hash(self._values[r.number]) for r in trials.values()}
        drawn = sum(len(values) for values in self._values.values())
        own = {name: value for name, value in state.saved.get("oracle", {}).items() if name != "seed_state"}
        return {
            **own,
            "ongoing_trials": {},
            "hyperparameters": {"space": self._configs, "values": self._space.defaults()},
            "start_order": [r.trial_id for r in trials.values()],
            "end_order": [trials[n].trial_id for n in state.ended],
            "run_times": {r.trial_id: _runs(r) for r in trials.values() if _runs(r)},
            "retry_queue": [trials[n].trial_id for n in (*state.waiting, *sorted(state.running, reverse=True))],
            "seed": self._seed(),
            "seed_state": self._seed() + drawn,
            "tried_so_far": sorted(set(hashes.values())),
            "id_to_hash": hashes,
            "display": _display(state),
            "num_initial_points": state.options.get("num_initial_points"),
            "alpha": state.options.get("alpha", 1e-4),
            "beta": state.options.get("beta", 2.6),
            **self._hyperband(),
        }

    def _seed(self) -> int:
        """The seed as numpy takes it."""
        return abs(self.state.seed or 0) % (LARGEST_SEED + 1)

    def _hyperband(self) -> dict[str, Any]:
        """Its schedule and its brackets that are not complete; nothing for other searches."""
        options = self.state.options
        if not {"max_epochs", "factor", "hyperband_iterations"} <= options.keys():
            return {}
        from krigetuner.search.hyperband import Hyperband
        from krigetuner.search.schedule import Schedule

        schedule = Schedule(options["max_epochs"], options["factor"], options["hyperband_iterations"])
        brackets = Hyperband(0, schedule).brackets(Observed().history(self._space, self.state))
        last = max((b.index for b in brackets), default=0)
        rows = [
            {
                "bracket_num": b.s,
                "rounds": [[{"past_id": o.origin.parent, "id": o.trial_id} for o in rung] for rung in b.rungs],
            }
            for b in brackets
            if not b.complete
        ]
        if not brackets:
            rows = [{"bracket_num": schedule.halvings(0), "rounds": [[] for _ in range(schedule.halvings(0) + 1)]}]
        return {
            **{name: options[name] for name in ("hyperband_iterations", "max_epochs", "factor")},
            "min_epochs": 1,
            "brackets": rows,
            "current_bracket": schedule.halvings(last),
            "current_iteration": last // schedule.brackets,
        }

    def tuners(self) -> dict[str, Mapping[str, Any]]:
        """The state of every tuner by its id; KerasTuner looks for that of tuner0 to know that there is a project."""
        states = {k.removeprefix("tuner/"): s for k, s in self.state.saved.items() if k.startswith("tuner/")}
        return {"tuner0": {}, **{safe_name(name): state for name, state in states.items()}}

    # --- what is said

    def notes(self, source: Path) -> list[str]:
        """What KerasTuner does not take as it is, a sentence each."""
        return [*self._of_search(), *self._of_values(), *self._of_files(source)]

    def _of_search(self) -> Iterator[str]:
        state = self.state
        if state.algorithm == "grid":
            yield (
                "grid search: KerasTuner 1.4.8 shows such a project and does not go on with it; it stops at once, or "
                "raises KeyError after a trial that was to be run again"
            )
        if state.enqueued:
            yield f"enqueued configurations: KerasTuner has no queue; {len(state.enqueued)} are left out"
        given = sum(not r.counted for r in state.trials.values())
        if given:
            yield f"observations from elsewhere: they are trials in KerasTuner; {given} count towards its max_trials"
        if self._seed() != state.seed:
            yield f"seed: KerasTuner takes numbers from 0 to {LARGEST_SEED}; {state.seed} has become {self._seed()}"

    def _of_values(self) -> Iterator[str]:
        for parameter in self._parameters:
            if _is_of_booleans(parameter):
                yield f"{parameter.name}: KerasTuner makes 1 and 0 of a choice of booleans"
            if not isinstance(parameter, Numerical) or parameter.step is None or parameter.grid is None:
                continue
            values = [r.values[parameter.name] for r in self.state.trials.values() if parameter.name in r.values]
            unknown = {v for v in values if isinstance(v, int | float) and not _has(parameter, v)}
            if unknown:
                yield f"{parameter.name}: KerasTuner's {parameter!r} lacks {sorted(unknown)}; trials with it are kept"

    def _of_files(self, source: Path) -> Iterator[str]:
        done = [r for r in self.state.trials.values() if r.status == TrialStatus.COMPLETED]
        held = sum((source / f"trial_{r.trial_id}" / WEIGHTS).is_file() for r in done)
        if 0 < held < len(done):
            yield f"weights: {len(done) - held} of {len(done)} completed trials have none (keep_checkpoints='all' does)"
        if any(next(source.glob(f"trial_*/model.{kind}"), None) for kind in ("skops", "joblib")):
            yield "scikit-learn models: KerasTuner reads model.pickle only; they are copied as they are"


def _hash(values: Mapping[str, Value]) -> str:
    """KerasTuner's identity of a set of values; where a trial stands in Hyperband's schedule makes no difference."""
    told = {name: value for name, value in values.items() if name not in CONTROL - {TRIAL_ID}}
    text = "".join(f"{name}={told[name]}" for name in sorted(told))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def _is_of_booleans(parameter: HyperParameter) -> bool:
    """Whether it is a choice of booleans, which KerasTuner makes one of 1 and 0."""
    return isinstance(parameter, Choice) and isinstance(parameter.values[0], bool)


def _config(parameter: HyperParameter) -> dict[str, Any]:
    """A parameter in KerasTuner's layout."""
    config = serialize(parameter)
    if _is_of_booleans(parameter):
        config["config"] |= {"values": [int(v) for v in parameter.values], "default": int(parameter.default)}
    return config


def _value(parameter: HyperParameter, value: Value) -> Value:
    """A value as KerasTuner computes it: the step 3 of 0.1 is 0.30000000000000004 there, True in a choice is 1."""
    if _is_of_booleans(parameter):
        return int(value) if isinstance(value, int | float) else value
    if not isinstance(parameter, Numerical) or parameter.grid is None or parameter.integer:
        return value
    theirs = _at(parameter, parameter.grid.index(float(value)))
    return theirs if math.isclose(theirs, float(value), rel_tol=1e-9, abs_tol=1e-12) else value


def _at(parameter: Numerical, index: int) -> float:
    """KerasTuner's stepped number of an index."""
    low, high, step = parameter.min_value, parameter.max_value, parameter.step or 1.0
    if parameter.sampling == "linear":
        return low + index * step
    power = low * math.pow(step, index)
    return power if parameter.sampling == "log" else high + low - power


def _has(parameter: Numerical, value: float) -> bool:
    """Whether a value is one of KerasTuner's steps, of which it counts one less than there are now and then."""
    low, high, step = parameter.min_value, parameter.max_value, parameter.step or 1.0
    if parameter.sampling == "linear":
        count = int((high - low) // step + 1)
    else:
        count = int(math.log(high / low, step) + 1e-8) + 1
    index = parameter.grid.index(value) if parameter.grid is not None else 0
    return bool(index < count and math.isclose(_at(parameter, index), value, rel_tol=1e-9, abs_tol=1e-12))


def _runs(record: TrialRecord) -> int:
    """How many attempts ended."""
    return record.failures + (record.status == TrialStatus.COMPLETED)


def _display(state: StudyState) -> dict[str, Any]:
    """When trials began, for KerasTuner's printed lines."""
    began = {r.trial_id: r.started for r in state.trials.values() if r.started is not None}
    return {
        "search_start": _moment(min(began.values())) if began else None,
        "trial_start": {trial_id: _moment(seconds) for trial_id, seconds in began.items()},
        "trial_number": {r.trial_id: r.number + 1 for r in state.trials.values()},
    }


def _moment(seconds: float) -> str:
    """Local time, as KerasTuner writes it."""
    return datetime.fromtimestamp(seconds).isoformat()
