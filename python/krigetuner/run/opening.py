"""What is compared when a study that exists is opened by code: is it the same search, and what changed?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from krigetuner.errors import StudyMismatch
from krigetuner.run.policy import Goal
from krigetuner.space.parameters import deserialize
from krigetuner.space.space import Space
from krigetuner.store.replay import StudyState, identity, parameter_name

STOP_RULES = frozenset(
    {
        "max_trials",
        "max_time",
        "target",
        "max_retries_per_trial",
        "max_consecutive_failed_trials",
        "hyperband_iterations",
        "verbose",
    }
)
"""Options that decide when to end, not what is tried: they change from run to run, and nobody is warned."""

IMPORTED = "keras_tuner"
"""The algorithm of a study that began as a project of KerasTuner, until code goes on with it."""

PARAMETER = "parameter "
"""How the sentence about a parameter begins."""

WAYS_ON = (
    "use another project_name or directory to begin a new search beside it, "
    "or pass overwrite=True to delete the recorded one"
)


@dataclass(frozen=True)
class Opening:
    """What the code says a study is; plain JSON data.

    Attributes:
        parameters: configs of the parameters known so far, in order; the search may discover more.
    """

    name: str
    objective: Mapping[str, Any]
    algorithm: str
    options: Mapping[str, Any]
    backend: str
    seed: int | None
    parameters: tuple[Mapping[str, Any], ...]
    version: str


@dataclass(frozen=True)
class Differences:
    """What changed, one sentence each.

    Attributes:
        space: parameters that are new or defined otherwise.
        options: options, algorithm and seed, as far as they change what is suggested.
        quiet: stop rules, backend and version.
    """

    space: tuple[str, ...]
    options: tuple[str, ...]
    quiet: tuple[str, ...]


def objective_config(objective: Goal) -> dict[str, Any]:
    """An objective as plain data; the parts of a multi-objective with it."""
    config: dict[str, Any] = {"name": objective.name, "direction": objective.direction}
    parts = getattr(objective, "objectives", None)
    if parts:
        config["objectives"] = [{"name": p.name, "direction": p.direction} for p in parts]
    return config


def compare(state: StudyState, code: Opening) -> Differences:
    """Compares the recorded study with what the code says.

    Raises:
        StudyMismatch: another objective, or no parameter in common.
    """
    refuse_unrelated(state, code.objective, code.parameters)
    options = _changes(state.options, code.options)
    if state.algorithm != code.algorithm:  # what only one of the two has, is no difference between them
        options = [(k, t) for k, t in options if k in state.options and k in code.options]
    loud = [t for k, t in options if k not in STOP_RULES]
    quiet = [t for k, t in options if k in STOP_RULES]
    if dict(state.objective) != dict(code.objective):
        known = quiet if same_goal(state.objective, code.objective) else loud
        known.append(f"objective: {_goal(state.objective)} -> {_goal(code.objective)}")
    expected = quiet if state.algorithm == IMPORTED else loud  # the files tell neither; its seed means nothing to us
    if state.algorithm != code.algorithm:
        expected.append(f"algorithm: {state.algorithm!r} -> {code.algorithm!r}")
    if code.seed is not None and state.seed != code.seed:
        expected.append(f"seed: {state.seed!r} -> {code.seed!r}")
    for word, old, new in (("backend", state.backend, code.backend), ("version", state.version, code.version)):
        if old != new:
            quiet.append(f"{word}: {old!r} -> {new!r}")
    return Differences(tuple(space_changes(state, code.parameters)), tuple(loud), tuple(quiet))


def difference_warning(state: StudyState, differences: Sequence[str]) -> str:
    """What a user is told of differences; that trials lie outside of the present space only where some do."""
    text = (
        f"study {state.name!r} goes on with what the code says; changed since it was recorded: "
        f"{'; '.join(differences)}."
    )
    if any(d.startswith(PARAMETER) for d in differences):
        space = Space([deserialize(c) for c in state.parameters.values()])
        outside = sum(not space.contains(record.values) for record in state.trials.values())
        if outside:
            text += (
                f" Trials outside the present space ({outside} of {len(state.trials)}) are kept and shown; they are "
                "not learned from, are not among the best, and do not count towards max_trials."
            )
    return text


def refuse_unrelated(state: StudyState, objective: Mapping[str, Any], parameters: Sequence[Mapping[str, Any]]) -> None:
    """Raises when the record holds results of another search; without results there is nothing to protect.

    Raises:
        StudyMismatch: another objective, or no parameter in common.
    """
    if not state.ended:
        return
    if not same_goal(state.objective, objective):
        raise StudyMismatch(
            f"study {state.name!r}: expected the record of a search for objective {_goal(objective)}, "
            f"got one for objective {_goal(state.objective)}; give that objective to go on with it or to look at it, "
            f"{WAYS_ON}"
        )
    old = [parameter_name(c) for c in state.parameters.values()]
    new = [parameter_name(c) for c in parameters]
    if old and new and not set(old) & set(new):
        raise StudyMismatch(
            f"study {state.name!r}: expected the record of a search with a parameter in common with {_listed(new)}, "
            f"got one over {_listed(old)}; {WAYS_ON}"
        )


def same_goal(recorded: Mapping[str, Any], objective: Mapping[str, Any]) -> bool:
    """Whether a study's objective may be this one; an imported study knows only which metrics equal its scores."""
    candidates = recorded.get("candidates")
    if candidates is None:
        return dict(recorded) == dict(objective)
    return not candidates or objective.get("name") in candidates


def _goal(config: Mapping[str, Any]) -> str:
    """An objective in words."""
    if not config.get("name"):
        return "unknown"
    parts = config.get("objectives") or [config]
    return " and ".join(f"{p['name']!r} ({p['direction']})" for p in parts)


def _listed(names: Sequence[str]) -> str:
    """The first names of a list."""
    shown = list(dict.fromkeys(names))
    return ", ".join(map(repr, shown[:8])) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")


def space_changes(state: StudyState, parameters: Sequence[Mapping[str, Any]]) -> list[str]:
    """Parameters of the code that the record lacks or defines otherwise."""
    found = []
    for config in parameters:
        name, known = parameter_name(config), state.parameters.get(identity(config))
        if known is not None:
            if known.get("class_name") != config.get("class_name"):
                found.append(f"{PARAMETER}{name!r}: {known.get('class_name')} -> {config.get('class_name')}")
                continue
            if deserialize(known).definition() == deserialize(config).definition():
                continue  # a default that is the first value anyway, chosen or not
            texts = _changes(known.get("config", known), config.get("config", config))
            if texts:
                found.append(f"{PARAMETER}{name!r}: " + ", ".join(t for _, t in texts))
        elif any(parameter_name(c) == name for c in state.parameters.values()):
            found.append(f"{PARAMETER}{name!r}: other conditions")
        else:
            found.append(f"{PARAMETER}{name!r}: new")
    return found


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys whose values differ, each with a sentence; NaN equals NaN."""
    found = []
    for key in [*old, *(k for k in new if k not in old)]:
        before, after = old.get(key), new.get(key)
        if before != after and repr(before) != repr(after):
            found.append((key, f"{key}: {before!r} -> {after!r}"))
    return found
