"""The messages of KerasTuner's protocol (package `keras_tuner`, proto3), made at run time from tables of their fields.

They live in a pool of their own, so that KerasTuner's generated classes can be in the same process.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from krigetuner.errors import MissingDependency

PACKAGE = "keras_tuner"

CONDITIONS = "repeated Condition conditions"

MESSAGES: Mapping[str, Sequence[str]] = {
    "Value": (
        "oneof sint64 int_value 1",
        "oneof double float_value 2",
        "oneof string string_value 3",
        "oneof bool boolean_value 4",
    ),
    "Condition": ("oneof Condition.Parent parent 1",),
    "Condition.Parent": ("string name 1", "repeated Value values 2"),
    "Float": (
        "string name 1",
        "double min_value 2",
        "double max_value 3",
        "double step 4",
        "Sampling sampling 5",
        "double default 6",
        f"{CONDITIONS} 7",
    ),
    "Int": (
        "string name 1",
        "sint64 min_value 2",
        "sint64 max_value 3",
        "sint64 step 4",
        "Sampling sampling 5",
        "sint64 default 6",
        f"{CONDITIONS} 7",
    ),
    "Choice": ("string name 1", "repeated Value values 2", "Value default 3", "bool ordered 4", f"{CONDITIONS} 5"),
    "Boolean": ("string name 1", "bool default 2", f"{CONDITIONS} 3"),
    "Fixed": ("string name 1", "Value value 2", f"{CONDITIONS} 3"),
    "HyperParameters": ("HyperParameters.Space space 1", "HyperParameters.Values values 2"),
    "HyperParameters.Space": (
        "repeated Float float_space 1",
        "repeated Int int_space 2",
        "repeated Choice choice_space 3",
        "repeated Boolean boolean_space 4",
        "repeated Fixed fixed_space 5",
    ),
    "HyperParameters.Values": ("map Value values 1",),
    "MetricObservation": ("repeated float value 1", "int64 step 2"),
    "MetricHistory": ("repeated MetricObservation observations 1", "bool maximize 2"),
    "MetricsTracker": ("map MetricHistory metrics 1",),
    "Trial": (
        "HyperParameters hyperparameters 1",
        "string trial_id 2",
        "TrialStatus status 3",
        "MetricsTracker metrics 4",
        "Trial.Score score 5",
    ),
    "Trial.Score": ("float value 1", "int64 step 2"),
}
"""Fields by message: label, type, name, number. A `oneof` belongs to the message's one union, `kind`."""

ENUMERATIONS: Mapping[str, Sequence[str]] = {
    "Sampling": ("NONE", "LINEAR", "LOG", "REVERSE_LOG"),
    "TrialStatus": ("UNKNOWN", "RUNNING", "IDLE", "INVALID", "STOPPED", "COMPLETED", "FAILED"),
}

SCALARS = {"double": 1, "float": 2, "int64": 3, "bool": 8, "string": 9, "sint64": 18}
"""FieldDescriptorProto.Type of the scalar types."""

NAMES = frozenset(
    [*(name for name in MESSAGES if "." not in name), *ENUMERATIONS, *(v for vs in ENUMERATIONS.values() for v in vs)]
)


@functools.cache
def namespace() -> dict[str, Any]:
    """The message classes, the enumerations and their values by name.

    Raises:
        MissingDependency: protobuf is not installed.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
        from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"to_proto, from_proto: expected protobuf, got {error}; pip install 'krigetuner[protos]'"
        ) from error
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file(descriptor_pb2).SerializeToString())
    found: dict[str, Any] = {}
    for name in MESSAGES:
        found[name] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        outer, _, inner = name.rpartition(".")
        if outer:  # protobuf finds it by itself, but not always once garbage has been collected
            setattr(found[outer], inner, found[name])
    for name, values in ENUMERATIONS.items():
        found[name] = EnumTypeWrapper(pool.FindEnumTypeByName(f"{PACKAGE}.{name}"))
        found.update({value: number for number, value in enumerate(values)})
    return found


def _file(pb: Any) -> Any:
    """The tables as a FileDescriptorProto."""
    file = pb.FileDescriptorProto(name="krigetuner/keras_tuner.proto", package=PACKAGE, syntax="proto3")
    for name, values in ENUMERATIONS.items():
        enumeration = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enumeration.value.add(name=value, number=number)
    made: dict[str, Any] = {}
    for name, fields in MESSAGES.items():
        outer, _, inner = name.rpartition(".")
        message = made[name] = made[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=inner)
        for field in fields:
            _add_field(pb, message, name, field)
    return file


def _add_field(pb: Any, message: Any, owner: str, text: str) -> None:
    """Adds one field of the table to a message."""
    *label, kind, name, number = text.split()
    field = message.field.add(name=name, number=int(number), label=pb.FieldDescriptorProto.LABEL_OPTIONAL)
    if label == ["map"]:
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(pb, entry, "", "string key 1")
        _add_field(pb, entry, "", f"{kind} value 2")
        kind = f"{owner}.{entry.name}"
    elif label == ["oneof"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name="kind")
        field.oneof_index = 0
    if label in (["map"], ["repeated"]):
        field.label = pb.FieldDescriptorProto.LABEL_REPEATED
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type = pb.FieldDescriptorProto.TYPE_ENUM if kind in ENUMERATIONS else pb.FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
