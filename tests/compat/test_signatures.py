"""Every public name of KerasTuner 1.4.8 is here, at the same path, with the same parameters and the same members."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from inspect import Parameter
from types import ModuleType
from typing import Any

import pytest

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore")]

DIFFERENT = {
    "Objective": "the direction may be left out, and is told from the name",
    "engine.oracle.Objective": "the direction may be left out, and is told from the name",
    "synchronized": "a plain decorator: KerasTuner's further arguments have no meaning",
}
"""Signatures that differ on purpose, and why."""

NAMED = {"conditions"}
"""What KerasTuner takes through **kwargs, and we by name."""

ABSENT_MEMBERS = {"BayesianOptimizationOracle": {"gpr"}}
"""Attributes that show how KerasTuner does it: the model of scikit-learn, which is not ours."""


def public_modules() -> list[str]:
    """The paths of KerasTuner's public modules, relative to the package."""
    import keras_tuner as package

    found = [m.name for m in pkgutil.walk_packages(package.__path__, "keras_tuner.")]
    names = [name.partition(".")[2] for name in found]
    return ["", *(name for name in names if name.partition(".")[0] != "src")]


def public_names(module: ModuleType) -> Iterator[str]:
    """The public names in a module."""
    return (name for name in dir(module) if name != "src" and (name == "__version__" or not name.startswith("_")))


def pair(path: str) -> tuple[ModuleType, ModuleType]:
    """A module of KerasTuner's and ours of the same path."""
    return tuple(importlib.import_module(f"{p}.{path}".rstrip(".")) for p in ("keras_tuner", "krigetuner"))  # type: ignore[return-value]


def shape(call: Any) -> tuple[list[tuple[str, str]], bool, bool, list[str]]:
    """Positional parameters with defaults, whether *args and **kwargs are taken, and the keyword-only names."""
    parameters = list(inspect.signature(call).parameters.values())
    plain = [(p.name, repr(p.default)) for p in parameters if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    kinds = {p.kind for p in parameters}
    named = [p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY]
    return plain, Parameter.VAR_POSITIONAL in kinds, Parameter.VAR_KEYWORD in kinds, named


def same_parameters(path: str, theirs: Any, ours: Any) -> list[str]:
    """What is wrong with our signature, in words."""
    try:
        expected, many, more, _ = shape(theirs)
    except (TypeError, ValueError):
        return []
    if not expected and many and more:  # hidden by a decorator
        return []
    got, our_many, our_more, named = shape(ours)
    surplus = {name for name, _ in got[len(expected) :]}
    wrong = [] if got[: len(expected)] == expected and surplus <= NAMED else [f"{path}: {expected} | {got}"]
    wrong += [f"{path}: no *args"] if many and not our_many else []
    takes_named = our_more or surplus or named
    return wrong + ([f"{path}: no **kwargs"] if more and not takes_named else [])


def same_members(path: str, theirs: type, ours: type) -> list[str]:
    """What our class lacks, or takes otherwise, in words."""
    wrong = []
    for name in (n for n in dir(theirs) if not n.startswith("_")):
        if not hasattr(ours, name):
            wrong.append(f"{path}.{name}: missing")
        elif callable(getattr(theirs, name)):
            wrong += same_parameters(f"{path}.{name}", getattr(theirs, name), getattr(ours, name))
    return wrong


def test_every_public_name() -> None:
    wrong, seen = [], 0
    for path in public_modules():
        theirs, ours = pair(path)
        for name in public_names(theirs):
            full = f"{path}.{name}".lstrip(".")
            if not hasattr(ours, name):
                wrong.append(f"{full}: missing")
                continue
            one, other = getattr(theirs, name), getattr(ours, name)
            seen += 1
            if inspect.isclass(one) and issubclass(one, Exception):
                lines = [[kind.__name__ for kind in error.__mro__] for error in (one, other)]
                wrong += [] if lines[0] == lines[1] else [f"{full}: {lines}"]
            elif callable(one) and full not in DIFFERENT:
                wrong += same_parameters(full, one, other)
            if inspect.isclass(one):
                wrong += same_members(full, one, other)
    assert wrong == []
    assert seen > 50


def instances(kt: Any, directory: str) -> Iterator[tuple[str, Any]]:
    """One object of every class that has attributes of its own."""
    hp = kt.HyperParameters()
    hp.Int("a", 1, 3)
    hp.Float("b", 1, 3)
    hp.Choice("c", ["x"])
    hp.Boolean("d")
    hp.Fixed("e", 1)
    yield "HyperParameters", hp
    yield from ((type(parameter).__name__, parameter) for parameter in hp.space)
    trial = kt.engine.trial.Trial(hp)
    yield "Trial", trial
    yield "MetricsTracker", trial.metrics
    yield "Objective", kt.Objective("a", "min")
    yield "HyperModel", kt.HyperModel()
    for name in ("RandomSearchOracle", "GridSearchOracle", "HyperbandOracle", "BayesianOptimizationOracle"):
        yield name, getattr(kt.oracles, name)()
    for name in ("RandomSearch", "GridSearch", "Hyperband", "BayesianOptimization"):
        kind = getattr(kt, name)
        alone = type(name, (kind,), {"run_trial": lambda self, trial: 1.0})
        yield name, alone(objective="loss", directory=f"{directory}/{kt.__name__}_{name}")


def test_every_public_attribute_of_objects(tmp_path: Any) -> None:
    theirs, ours = pair("")
    wrong = []
    for (name, one), (_, other) in zip(instances(theirs, str(tmp_path)), instances(ours, str(tmp_path)), strict=True):
        lacking = {a for a in dir(one) if not a.startswith("_") and not hasattr(other, a)}
        wrong += [f"{name} lacks {a}" for a in sorted(lacking - ABSENT_MEMBERS.get(name, set()))]
        for attribute in (a for a in vars(one) if not a.startswith("_") and hasattr(other, a)):
            before, now = getattr(one, attribute), getattr(other, attribute)
            plain = isinstance(before, bool | int | float | str | list | dict | set | type(None))
            if plain and attribute not in ("seed", "trial_id", "directory", "project_dir") and before != now:
                wrong.append(f"{name}.{attribute}: {before!r} | {now!r}")
    assert wrong == []
