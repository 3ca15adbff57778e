"""What workers may say to their chief: every request is checked here, as a whole, before anything is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from krigetuner.run.network.wire import Malformed
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners.network.wire_forms import executions_of
from krigetuner.tuners.search_space import space_of

Check = Callable[[Any], Any]
LONGEST_NAME = 1000
LARGEST = 2**63 - 1
"""The largest whole number that databases hold."""

STATUSES = (TrialStatus.RUNNING, TrialStatus.COMPLETED, TrialStatus.INVALID, TrialStatus.FAILED)
"""What a trial may be when its worker is done with it; which of them is right is the oracle's to say."""


class Wrong(Exception):
    """A value is not what it should be; says what that is."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong("text")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not value.isprintable():
        raise Wrong(f"printable text of at most {LONGEST_NAME} characters")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST:
        raise Wrong("a whole number below 2**63")
    return value


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise Wrong("a number of seconds, 0 or more")
    return float(value)


def _number(value: Any) -> Any:
    if not isinstance(value, int | float) or (isinstance(value, int) and abs(value) > LARGEST):
        raise Wrong("a number")
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not _encodable(value):
        raise Wrong("names with values, in text that can be encoded")
    return value


def _encodable(value: Any) -> bool:
    """Whether no text in it has half a surrogate pair, which neither hashes nor databases take."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(_encodable(name) and _encodable(inner) for name, inner in value.items())
    return not isinstance(value, list) or all(map(_encodable, value))


def _metrics(value: Any) -> Mapping[str, float]:
    return {_text(name): _number(number) for name, number in _mapping(value).items()}


def _values(value: Any) -> Mapping[str, Any]:
    if not all(isinstance(v, bool | int | float | str) for v in _mapping(value).values()):
        raise Wrong("a bool, int, float or str for each name")
    return dict(value)


def _names(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise Wrong("a list of names")
    return [_name(v) for v in value]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not _encodable(value):
        raise Wrong("a list of names, in text that can be encoded")
    return [_text(v) for v in value]


def _space(value: Any) -> Any:
    try:
        space = space_of(_mapping(value))
        _values(space.values)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise Wrong(f"a search space with its values ({type(error).__name__}: {error})") from error
    return space


def _status(value: Any) -> str:
    if value not in STATUSES:
        raise Wrong(f"one of {', '.join(STATUSES)}")
    return str(value)


def _executions(value: Any) -> Any:
    try:
        found = executions_of(value if isinstance(value, list) else [value])
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise Wrong(f"metrics and a step for each execution ({type(error).__name__}: {error})") from error
    for execution in found:
        _metrics(execution.metrics)
        _whole(execution.step)
    return found


def _or_none(check: Check) -> Check:
    def checked(value: Any) -> Any:
        return None if value is None else check(value)

    return checked


_RESULT: dict[str, Check] = {
    "trial_id": _name,
    "status": _status,
    "message": _or_none(_text),
    "executions": _executions,
    "hyperparameters": _or_none(_space),
    "asked": _or_none(_texts),
}
METHODS: Mapping[str, Mapping[str, Check]] = {
    "position": {},
    "wait": {"changes": _whole, "seconds": _seconds},
    "create_trial": {"tuner_id": _name},
    "report": {
        "trial_id": _name,
        "metrics": _metrics,
        "step": _whole,
        "execution": _whole,
        "hyperparameters": _or_none(_space),
    },
    "update_trial": {"trial_id": _name, "metrics": _metrics, "step": _whole},
    "end_trial": _RESULT,
    "interrupt_trial": _RESULT,
    "update_space": {"hyperparameters": _space},
    "enqueue": {"values": _values},
    "add_observation": {"values": _values, "metrics": _metrics},
    "save_state": {"key": _name, "state": _mapping},
    "count": {},
    "measurements": {"number": _whole},
    "leave": {"fatal": _or_none(_text)},
}
"""What each request holds."""

ATTENDANCE: Mapping[str, Check] = {
    "protocol": _whole,
    "session": _name,
    "tuner_id": _name,
    "host": _name,
    "pid": _whole,
    "done": _name,
    "position": _whole,
    "study": _or_none(_number),
    "objective": _mapping,
    "search": _whole,
    "space": _space,
    "reports": _switch,
    "shares": _switch,
    "holding": _names,
}


def checked(what: str, data: Any, fields: Mapping[str, Check]) -> dict[str, Any]:
    """The fields of a request as the chief takes them, spaces and executions as objects; others are left out.

    Args:
        what: the request, in words.

    Raises:
        Malformed: a field is absent, or not what it should be.
    """
    if not isinstance(data, dict):
        raise Malformed(f"{what}: expected names with values, got {type(data).__name__}")
    found = {}
    for name, check in fields.items():
        if name not in data:
            raise Malformed(f"{what}: expected {', '.join(fields)}, got no {name}")
        try:
            found[name] = check(data[name])
        except Wrong as wrong:
            raise Malformed(f"{what}: expected {wrong} as {name}, got {data[name]!r:.80}") from wrong
    return found


def call(request: Any) -> tuple[str, str, str, dict[str, Any]]:
    """Session, method, id ("" for requests without effect) and arguments of a request.

    Raises:
        Malformed: it is none.
    """
    head = checked("request", request, {"session": _name, "method": _name})
    method = head["method"]
    if method not in METHODS:
        raise Malformed(f"request: expected one of {', '.join(METHODS)}, got {method!r}; use one version of both")
    if method not in ("position", "wait"):
        head |= checked("request", request, {"id": _name})
    arguments = checked(method, request.get("arguments", {}), METHODS[method])
    return head["session"], method, head.get("id", ""), arguments
