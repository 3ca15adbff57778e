"""Search spaces as KerasTuner's files have them, those of its older versions too, turned into ours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from krigetuner.space.parameters import Choice, Float, HyperParameter, deserialize, serialize
from krigetuner.space.space import Space
from krigetuner.trial.history import Value

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "Fixed": ("value",),
    "Boolean": ("default",),
    "Choice": ("values", "ordered", "default"),
    "Int": ("min_value", "max_value", "step", "sampling", "default"),
    "Float": ("min_value", "max_value", "step", "sampling", "default"),
}
"""What each kind of hyperparameter has in a file, beside its name and its conditions."""


def parameters_of(entries: Iterable[Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The configs of a space, and a sentence for each hyperparameter that ours cannot be.

    A default that is the first value anyway counts as not chosen (None): the files do not tell the two apart.
    """
    configs: dict[Any, dict[str, Any]] = {}
    refused = []
    for entry in entries:
        try:
            parameter = _parameter(entry)
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            inner = entry.get("config") if isinstance(entry, dict) else None
            name = inner.get("name") if isinstance(inner, dict) else entry
            refused.append(f"hyperparameter {name!r:.60}: {error}; it is left out of the space")
            continue
        configs.setdefault(parameter.identity, _config(parameter))
    return list(configs.values()), list(dict.fromkeys(refused))


def _parameter(entry: Any) -> HyperParameter:
    """The parameter of one entry, without what no longer means anything.

    Raises:
        TypeError, ValueError, KeyError, OverflowError: it is none.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise TypeError(f"expected class_name and config, got {entry!r:.60}")
    kind, given = str(entry.get("class_name")), entry["config"]
    config = {name: given[name] for name in ARGUMENTS.get(kind, ()) if name in given}
    config["name"] = str(given["name"])
    config["conditions"] = [
        {"class_name": c["class_name"], "config": {k: c["config"][k] for k in ("name", "values")}}
        for c in given.get("conditions") or ()
    ]
    if kind == "Choice":
        config["values"] = _distinct(config["values"])
    elif kind in ("Int", "Float"):
        _repair_range(config)
    return deserialize({"class_name": kind, "config": config})


def _distinct(values: Any) -> Any:
    """Choices without repetitions, which KerasTuner allows."""
    return list(dict.fromkeys(values)) if isinstance(values, list) else values


def _repair_range(config: dict[str, Any]) -> None:
    """Drops what KerasTuner takes and does not use: steps of 1 on a logarithmic scale, a default out of the range."""
    step, default = config.get("step"), config.get("default")
    least = 1 if str(config.get("sampling")).lower() in ("log", "reverse_log") else 0
    if step is not None and step <= least:
        config["step"] = None
    if default is not None and not config["min_value"] <= default <= config["max_value"]:
        config["default"] = None


def _config(parameter: HyperParameter) -> dict[str, Any]:
    """A parameter in KerasTuner's layout, with None for a default that is the first value anyway."""
    config = serialize(parameter)
    first = parameter.min_value if isinstance(parameter, Float) else None  # an Int's file does tell
    if isinstance(parameter, Choice):
        first = parameter.values[0]
    if first is not None and parameter.default == first:
        config["config"]["default"] = None
    return config


def plain_values(values: Mapping[str, Any]) -> dict[str, Value]:
    """The values that hyperparameters can have: numbers, text and booleans."""
    return {str(name): value for name, value in values.items() if isinstance(value, bool | int | float | str)}


def legal_values(space: Space, values: Mapping[str, Value]) -> dict[str, Value]:
    """A trial's values as ours has them.

    Inactive ones are dropped (old versions kept them), stepped numbers lose their rounding errors, and the quantiles
    that a grid search takes of a continuum are ours. A value that its parameter does not have is kept as it is.
    """
    names, active = {p.name for p in space.parameters}, space.active_parameters(values)
    return {
        name: _legal(active[name], value) if name in active else value
        for name, value in values.items()
        if name in active or name not in names
    }


def _legal(parameter: HyperParameter, value: Value) -> Value:
    try:
        found: Value = parameter.canonical(value)
    except ValueError:
        return value
    if parameter.count is None and isinstance(found, float):
        near = (q for q in parameter.values if math.isclose(q, found, rel_tol=1e-12))
        return float(next(near, found))
    return found
