"""Between KerasTuner's plain data (`get_config`, `get_state`) and its messages.

What the messages cannot hold is lost, as with KerasTuner: a space comes back grouped by kind of parameter, metrics and
scores are single precision, and a trial's message about its failure is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from krigetuner.protos.definitions import ENUMERATIONS, namespace

SPACES = {
    "Fixed": "fixed_space",
    "Float": "float_space",
    "Int": "int_space",
    "Choice": "choice_space",
    "Boolean": "boolean_space",
}
"""The field of a space for each kind of parameter, in the order in which they are read."""

Config = Mapping[str, Any]


def value_message(value: Any) -> Any:
    """A hyperparameter's value as a `Value`.

    Raises:
        ValueError: it is no bool, int, float or str.
    """
    make = namespace()["Value"]
    value = value.item() if isinstance(value, np.generic) else value
    for kind, field in ((bool, "boolean_value"), (int, "int_value"), (float, "float_value"), (str, "string_value")):
        if isinstance(value, kind):
            return make(**{field: value})
    raise ValueError(
        f"Unrecognized value type: expected a bool, an int, a float or a str, got {value!r}, which no message can hold"
    )


def value_of(message: Any) -> Any:
    """The value in a `Value`, None in an empty one."""
    kind = message.WhichOneof("kind")
    return None if kind is None else getattr(message, kind)


def condition_message(config: Config) -> Any:
    """A serialised condition as a `Condition`."""
    parent = config["config"]
    values = [value_message(value) for value in parent["values"]]
    return namespace()["Condition"](parent={"name": parent["name"], "values": values})


def condition_config(message: Any) -> dict[str, Any]:
    """The serialised condition in a `Condition`.

    Raises:
        ValueError: it is of no kind.
    """
    kind = message.WhichOneof("kind")
    if kind != "parent":
        raise ValueError(f"Unrecognized condition: expected one with a parent, got {kind!r}; only parents are known")
    values = [value_of(value) for value in message.parent.values]
    return {"class_name": "Parent", "config": {"name": message.parent.name, "values": values}}


def parameter_message(class_name: str, config: Config) -> Any:
    """A parameter's configuration as the message of its class."""
    fields = {**config, "conditions": [condition_message(c) for c in config["conditions"]]}
    if "sampling" in fields:
        fields["sampling"] = str(fields["sampling"] or "none").upper()
        fields["step"] = fields.get("step") or 0
    if class_name == "Int" and fields["default"] is None:
        fields["default"] = fields["min_value"]
    if class_name == "Choice":
        fields["values"] = [value_message(value) for value in fields["values"]]
        fields["default"] = value_message(fields["default"])
    elif class_name == "Fixed":
        fields["value"] = value_message(fields["value"])
    return namespace()[class_name](**fields)


def parameter_config(message: Any) -> dict[str, Any]:
    """The configuration in the message of a parameter."""
    config = {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}
    config["conditions"] = [condition_config(c) for c in message.conditions]
    if "sampling" in config:
        config["sampling"] = ENUMERATIONS["Sampling"][message.sampling or 1].lower()
        config["step"] = config["step"] or None
    if message.DESCRIPTOR.name == "Int" and message.default == message.min_value:
        config["default"] = None  # nobody chose it, as far as a message can tell
    if message.DESCRIPTOR.name == "Choice":
        config["values"] = [value_of(value) for value in message.values]
        config["default"] = value_of(message.default)
    elif message.DESCRIPTOR.name == "Fixed":
        config["value"] = value_of(message.value)
    return config


def space_message(config: Config) -> Any:
    """A space with its values as `HyperParameters`."""
    fields: dict[str, list[Any]] = {}
    for entry in config["space"]:
        message = parameter_message(entry["class_name"], entry["config"])
        fields.setdefault(SPACES[entry["class_name"]], []).append(message)
    values = {name: value_message(value) for name, value in config["values"].items()}
    return namespace()["HyperParameters"](space=fields, values={"values": values})


def space_config(message: Any) -> dict[str, Any]:
    """The space in `HyperParameters`; of `HyperParameters.Values` one in which every value is fixed."""
    alone = message.DESCRIPTOR.name == "Values"
    values = {name: value_of(value) for name, value in (message if alone else message.values).values.items()}
    if alone:
        configs = [("Fixed", {"name": name, "value": value, "conditions": []}) for name, value in values.items()]
    else:
        found = ((kind, getattr(message.space, field)) for kind, field in SPACES.items())
        configs = [(kind, parameter_config(m)) for kind, messages in found for m in messages]
    return {"space": [{"class_name": kind, "config": config} for kind, config in configs], "values": values}


def observation_message(config: Config) -> Any:
    """An observation as a `MetricObservation`."""
    return namespace()["MetricObservation"](value=config["value"], step=int(config["step"]))


def observation_config(message: Any) -> dict[str, Any]:
    """The observation in a `MetricObservation`."""
    return {"value": list(message.value), "step": message.step}


def history_message(config: Config) -> Any:
    """A metric's history as a `MetricHistory`."""
    observations = [observation_message(o) for o in config["observations"]]
    return namespace()["MetricHistory"](observations=observations, maximize=config["direction"] == "max")


def history_config(message: Any) -> dict[str, Any]:
    """The history in a `MetricHistory`."""
    observations = [observation_config(o) for o in message.observations]
    return {"direction": "max" if message.maximize else "min", "observations": observations}


def tracker_message(config: Config) -> Any:
    """The metrics of a trial as a `MetricsTracker`."""
    histories = {name: history_message(history) for name, history in config["metrics"].items()}
    return namespace()["MetricsTracker"](metrics=histories)


def tracker_config(message: Any) -> dict[str, Any]:
    """The metrics in a `MetricsTracker`."""
    return {"metrics": {name: history_config(history) for name, history in message.metrics.items()}}


def status_number(status: str | None) -> int:
    """The number of a trial's status in `TrialStatus`; INTERRUPTED, which is ours, waits to be run again: INVALID.

    Raises:
        ValueError: there is no such status.
    """
    name = {None: "UNKNOWN", "INTERRUPTED": "INVALID"}.get(status, status)
    if name not in ENUMERATIONS["TrialStatus"]:
        raise ValueError(f"Unknown status {status}. Expected one of {', '.join(ENUMERATIONS['TrialStatus'][1:])}")
    return ENUMERATIONS["TrialStatus"].index(str(name))


def status_of(number: int) -> str | None:
    """The status of a number in `TrialStatus`, None for 0.

    Raises:
        ValueError: there is no such number.
    """
    names = ENUMERATIONS["TrialStatus"]
    if not 0 <= number < len(names):
        raise ValueError(f"Unknown status {number}. Expected a number from 0 to {len(names) - 1}")
    return names[number] if number else None


def trial_message(state: Config) -> Any:
    """A trial's state as a `Trial`."""
    scored = state["score"] is not None
    score = {"value": state["score"], "step": int(state["best_step"] or 0)} if scored else None
    return namespace()["Trial"](
        trial_id=state["trial_id"],
        hyperparameters=space_message(state["hyperparameters"]),
        status=status_number(state["status"]),
        metrics=tracker_message(state["metrics"]),
        score=score,
    )


def trial_state(message: Any) -> dict[str, Any]:
    """The state in a `Trial`."""
    scored = message.HasField("score")
    return {
        "trial_id": message.trial_id,
        "hyperparameters": space_config(message.hyperparameters),
        "metrics": tracker_config(message.metrics),
        "score": message.score.value if scored else None,
        "best_step": message.score.step if scored else 0,
        "status": status_of(message.status),
        "message": None,
    }
