"""Reads a project directory that KerasTuner wrote, of any version from 1.0 to 1.4.

Nothing of KerasTuner's is imported and nothing is written. A file that cannot be read spoils only itself.

    oracle.json             the space, the orders of trials, those to be run again, the seed, the oracle's own state
    trial_<id>/trial.json   one trial
    <tuner id>.json         a tuner's own state

Versions before 1.2 have no orders, no retries and no messages; 1.0 has a metric's every epoch, later ones the best.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from krigetuner.space.parameters import deserialize
from krigetuner.space.space import Space
from krigetuner.store.artifacts import MARK, safe_name
from krigetuner.store.keras_tuner_space import parameters_of, plain_values
from krigetuner.trial.history import Value
from krigetuner.trial.trial import TrialStatus

ORACLE, TRIAL = "oracle.json", "trial.json"
OPTIONS = ("num_initial_points", "alpha", "beta", "hyperband_iterations", "max_epochs", "factor")
"""Options of KerasTuner's own oracles that it keeps in oracle.json."""
KNOWN = frozenset(
    {*OPTIONS, "ongoing_trials", "hyperparameters", "start_order", "end_order", "run_times", "retry_queue", "seed"}
    | {"seed_state", "tried_so_far", "id_to_hash", "display", "max_collisions", "min_epochs", "brackets"}
    | {"current_bracket", "current_iteration"}
)  # fmt: skip
"""What its own oracles keep there; anything else is of a user's own oracle."""

Step = tuple[int, tuple[float, ...]]
"""A step and the values of a metric at it, one for each execution."""


class Unreadable(ValueError):
    """A file, or a part of one, is not what KerasTuner writes; the message says why."""


@dataclass(frozen=True)
class FoundTrial:
    """What a trial.json holds.

    Attributes:
        values: hyperparameter values as the file has them, those that Hyperband adds too.
        space: configs of the parameters as the trial knew them.
        metrics: the steps of each metric, in their order.
        status: COMPLETED, FAILED, INVALID (waits to be run again) or RUNNING.
        runs: how many attempts ended; None when not known.
        begun, written: seconds since 1970; `begun` is None when not known.
    """

    trial_id: str
    values: Mapping[str, Value]
    space: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, tuple[Step, ...]]
    directions: Mapping[str, str]
    score: float | None
    best_step: int
    status: str
    message: str | None
    written: float
    runs: int | None = None
    begun: float | None = None


@dataclass(frozen=True)
class FoundProject:
    """A project as far as it could be read.

    Attributes:
        trials: by id, in the order in which they began.
        ended: ids of completed and failed trials in the order of their end.
        waiting: ids of the trials to be run again; the last comes first.
        parameters: configs of the space, in order.
        options: of KerasTuner's oracles, as far as they are kept.
        state: the whole state of a user's own oracle, empty for KerasTuner's.
        tuners: state of each tuner that has one.
        problems: one sentence for everything that could not be read, the file first.
        unread: ids of trials whose file could not be read.
    """

    directory: Path
    trials: Mapping[str, FoundTrial]
    ended: tuple[str, ...]
    waiting: tuple[str, ...]
    parameters: tuple[Mapping[str, Any], ...]
    seed: int | None
    options: Mapping[str, Any]
    state: Mapping[str, Any]
    tuners: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]
    unread: tuple[str, ...]


def is_project(directory: str | Path) -> bool:
    """Whether KerasTuner has written trials into a directory."""
    return next(_trial_files(Path(directory)), None) is not None


def foreign_files(directory: str | Path) -> list[Path]:
    """The oracle's and the tuner's file and the trials' directories that KerasTuner made in a project directory."""
    root = Path(directory)
    trials = [path.parent for path in _trial_files(root)]
    return trials + [path for path in (root / ORACLE, root / "tuner0.json") if path.is_file()] if trials else []


def _trial_files(root: Path) -> Iterator[Path]:
    """The trial.json files in directories that are not ours, in the order of their names."""
    return (p for p in sorted(root.glob(f"trial_*/{TRIAL}")) if not (p.parent / MARK).exists())


def read_project(directory: str | Path) -> FoundProject:
    """Reads all of a project.

    Files that are cut off, empty or otherwise not KerasTuner's are listed in `problems`, and the rest is read.
    """
    return _Reading(Path(directory)).project()


@dataclass
class _Reading:
    """One reading of a project."""

    root: Path
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def project(self) -> FoundProject:
        found = self._trials()
        oracle = self._mapping(self.root / ORACLE, "the order of trials and the seed are not known")
        began = _moments(oracle)
        runs = {k: min(max(n, 0), 100) for k, n in _part(oracle, "run_times", dict).items() if isinstance(n, int)}
        first = _strings(oracle, "start_order")
        self._note_absent(first, found)
        order = [i for i in first if i in found] + sorted(found.keys() - set(first), key=lambda i: _place(found[i]))
        trials = {i: replace(found[i], runs=runs.get(i), begun=began.get(i)) for i in order}
        ended, waiting = _orders(trials, oracle)
        own = {k: v for k, v in oracle.items() if k not in KNOWN}
        seed = oracle.get("seed")
        return FoundProject(
            self.root,
            trials,
            ended,
            waiting,
            self._parameters(oracle, trials),
            seed if isinstance(seed, int) else None,
            {k: oracle[k] for k in OPTIONS if isinstance(oracle.get(k), int | float | None) and k in oracle},
            {k: v for k, v in oracle.items() if k in own or k == "seed_state" or k in OPTIONS} if own else {},
            self._tuners(oracle),
            tuple(self.problems),
            tuple(self.unread),
        )

    def _problem(self, path: Path, what: str) -> None:
        self.problems.append(f"{path.relative_to(self.root).as_posix()}: {what}")

    def _mapping(self, path: Path, loss: str) -> dict[str, Any]:
        """The JSON object of a file; an empty one when it cannot be read, which is noted with what that means."""
        try:
            return _load(path)
        except FileNotFoundError:
            self._problem(path, f"expected a file, got none; {loss}")
        except Unreadable as error:
            self._problem(path, f"{error}; {loss}")
        return {}

    def _trials(self) -> dict[str, FoundTrial]:
        """Every trial that can be read, by id."""
        found: dict[str, FoundTrial] = {}
        for path in _trial_files(self.root):
            trial_id = path.parent.name.removeprefix("trial_")
            try:
                trial = _trial(path, trial_id, _load(path))
            except Unreadable as error:
                self._problem(path, f"{error}; the trial is left out")
                self.unread.append(trial_id)
            else:
                found[trial_id] = trial
        return found

    def _note_absent(self, named: Sequence[str], found: Mapping[str, FoundTrial]) -> None:
        """Notes the trials that the oracle names and whose own file is gone."""
        gone = [i for i in dict.fromkeys(named) if i not in found and i not in self.unread]
        if gone:
            what = f"{', '.join(gone[:20])}{', ...' if len(gone) > 20 else ''}"
            self._problem(self.root / ORACLE, f"names trials that have no {TRIAL}, which are left out: {what}")
        present = {path.name for path in self.root.glob("trial_*") if path.is_dir()}
        self.unread += [i for i in gone if f"trial_{i}" in present]

    def _parameters(self, oracle: Mapping[str, Any], trials: Mapping[str, FoundTrial]) -> tuple[Mapping[str, Any], ...]:
        """The configs of the space: the oracle's, else what the trials knew."""
        entries = _part(_part(oracle, "hyperparameters", dict), "space", list)
        if not entries:
            entries = [entry for trial in trials.values() for entry in trial.space]
        configs, refused = parameters_of(entries)
        self.problems += [f"{ORACLE}: {reason}" for reason in refused]
        return tuple(configs)

    def _tuners(self, oracle: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """The states of tuners that keep one."""
        ours = {"tuner0", "chief", *_part(oracle, "ongoing_trials", dict)}
        states = {}
        for path in sorted(self.root.glob("*.json")):
            if path.name == ORACLE or not path.is_file():
                continue
            try:
                state = _load(path)
            except Unreadable as error:
                if path.stem in ours:
                    self._problem(path, f"{error}; the tuner's own state, if it has any, is not known")
            else:
                states[path.stem] = state
        return {name: state for name, state in states.items() if state}


def _load(path: Path) -> dict[str, Any]:
    """The JSON object of a file; NaN and Infinity are numbers in it.

    Raises:
        FileNotFoundError: there is none.
        Unreadable: it holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"expected a file that can be read, got {error.strerror!r}") from error
    except (ValueError, RecursionError) as error:
        what = "an empty file" if not path.stat().st_size else f"a damaged or half-written one ({error})"
        raise Unreadable(f"expected JSON, got {what}") from error
    if not isinstance(data, dict):
        raise Unreadable(f"expected a JSON object, got {type(data).__name__}")
    return data


def _trial(path: Path, trial_id: str, data: Mapping[str, Any]) -> FoundTrial:
    """One trial from its file.

    Raises:
        Unreadable: it lacks what a trial needs.
    """
    try:
        safe_name(trial_id)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    hyperparameters = _needed(data, "hyperparameters", dict)
    tracker = _needed(_needed(data, "metrics", dict), "metrics", dict)
    metrics = {str(name): _steps(name, history) for name, history in tracker.items()}
    score, message, step = _number(data, "score"), data.get("message"), _number(data, "best_step")
    return FoundTrial(
        trial_id,
        plain_values(_needed(hyperparameters, "values", dict)),
        tuple(e for e in _part(hyperparameters, "space", list) if isinstance(e, dict)),
        metrics,
        {n: h["direction"] for n, h in tracker.items() if h.get("direction") in ("min", "max")},
        score,
        _whole(step),
        _status(data, score),
        message if isinstance(message, str) else None,
        path.stat().st_mtime,
    )


def _status(data: Mapping[str, Any], score: float | None) -> str:
    """The trial's status in our words.

    Raises:
        Unreadable: it has none, or an unknown one.
    """
    status = data.get("status")
    if status in {TrialStatus.COMPLETED, TrialStatus.STOPPED} and score is not None:
        return TrialStatus.COMPLETED
    if status == TrialStatus.INVALID:  # before 1.2 there was no retry, and no message
        return TrialStatus.INVALID if "message" in data else TrialStatus.FAILED
    if status in {TrialStatus.STOPPED, TrialStatus.IDLE, TrialStatus.RUNNING}:
        return TrialStatus.RUNNING
    if status == TrialStatus.FAILED:
        return TrialStatus.FAILED
    if status == TrialStatus.COMPLETED:
        raise Unreadable("score: expected a number in a completed trial, got none")
    raise Unreadable(f"status: expected one of a trial, got {status!r:.40}")


def _steps(name: str, history: Any) -> tuple[Step, ...]:
    """The values of a metric by step."""
    if not isinstance(history, dict) or not isinstance(history.get("observations"), list):
        raise Unreadable(f"metrics: expected observations of {name!r}, got {history!r:.60}")
    steps: dict[int, tuple[float, ...]] = {}
    for observation in history["observations"]:
        if not isinstance(observation, dict):
            raise Unreadable(f"metrics: expected observations of {name!r}, got {observation!r:.60}")
        given = observation.get("value")
        values = given if isinstance(given, list) else [given]
        step = _whole(_number(observation, "step"))
        steps[step] = steps.get(step, ()) + tuple(_float(f"metrics: {name}", v) for v in values)
    return tuple(sorted(steps.items()))


def _orders(trials: Mapping[str, FoundTrial], oracle: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the trials that ended, in order, and of those to be run again, the last first.

    A trial's own file is written before the oracle's, so that it is the one to believe.
    """
    over = {i for i, t in trials.items() if t.status in {TrialStatus.COMPLETED, TrialStatus.FAILED}}
    told = [i for i in _strings(oracle, "end_order") if i in over]
    late = over.difference(told)
    ended = [*told, *sorted((i for i in trials if i in late), key=lambda i: trials[i].written)]
    queue = [*_strings(oracle, "retry_queue"), *_part(oracle, "ongoing_trials", dict).values()]
    queued = dict.fromkeys(i for i in queue if isinstance(i, str) and i in trials and i not in over)
    rest = [i for i in reversed(list(trials)) if i not in over and i not in queued]
    return tuple(dict.fromkeys(ended)), tuple(dict.fromkeys([*rest, *queued]))


def _moments(oracle: Mapping[str, Any]) -> dict[str, float]:
    """When trials began, in seconds since 1970, as far as it is kept (from 1.4 on)."""
    moments = {}
    for trial_id, text in _part(_part(oracle, "display", dict), "trial_start", dict).items():
        with suppress(TypeError, ValueError, OverflowError, OSError):
            moments[trial_id] = datetime.fromisoformat(text).timestamp()
    return moments


def _place(trial: FoundTrial) -> tuple[Any, ...]:
    """Sorts trials whose order is not kept: by number, older ones, which have random names, by time."""
    number = trial.trial_id.isdecimal() and len(trial.trial_id) < 20
    return (1, int(trial.trial_id), 0.0, "") if number else (0, 0, trial.written, trial.trial_id)


def _part(data: Mapping[str, Any], key: str, kind: type) -> Any:
    """A part of a file, an empty one where it is absent or something else."""
    part = data.get(key)
    return part if isinstance(part, kind) else kind()


def _needed(data: Mapping[str, Any], key: str, kind: type) -> Any:
    """A part of a file that it cannot be without."""
    if not isinstance(data.get(key), kind):
        raise Unreadable(f"{key}: expected a {kind.__name__}, got {data.get(key)!r:.60}")
    return data[key]


def _strings(data: Mapping[str, Any], key: str) -> list[str]:
    return list(dict.fromkeys(i for i in _part(data, key, list) if isinstance(i, str)))


def _number(data: Mapping[str, Any], key: str) -> float | None:
    """A number or None.

    Raises:
        Unreadable: something else.
    """
    value = data.get(key)
    return None if value is None else _float(key, value)


def _float(what: str, value: Any) -> float:
    """A number as a float.

    Raises:
        Unreadable: it is none, or too large.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unreadable(f"{what}: expected a number, got {value!r:.60}")
    try:
        return float(value)
    except OverflowError as error:
        raise Unreadable(f"{what}: expected a number, got one that is too large") from error


def _whole(step: float | None) -> int:
    """A step as a whole number that every database takes; 0 where there is none."""
    return int(step) if step is not None and abs(step) < 2**53 else 0


def space_of(project: FoundProject) -> Space:
    """The space of a project."""
    return Space([deserialize(config) for config in project.parameters])
