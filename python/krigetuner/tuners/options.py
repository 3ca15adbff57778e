"""Options of oracles and tuners, checked once, where they come in."""

from __future__ import annotations

import inspect
import math
import numbers
import random
from collections.abc import Mapping
from typing import Any, TypeVar

from krigetuner.gp.acquisition import NAMES

Option = TypeVar("Option")


def whole_number(name: str, value: Any, least: int | None, advice: str, optional: bool = True) -> int | None:
    """`value` as an int.

    Args:
        name: the argument's name, for the message.
        value: what the caller gave.
        least: the smallest one allowed, None for no bound.
        advice: what to do instead, for the message.
        optional: whether None is allowed.

    Raises:
        TypeError: `value` is not a whole number.
        ValueError: it is too small.
    """
    if value is None and optional:
        return None
    allowed = "a whole number" + ("" if least is None else f" of at least {least}") + (" or None" if optional else "")
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        if isinstance(value, float) and value.is_integer():
            return whole_number(name, int(value), least, advice, optional)
        raise TypeError(f"{name}: expected {allowed}, got {value!r}; {advice}")
    if least is not None and value < least:
        raise ValueError(f"{name}: expected {allowed}, got {value!r}; {advice}")
    return int(value)


def real_number(name: str, value: Any, least: float, advice: str, above: bool = False) -> float:
    """`value` as a finite float of at least `least`, or above it.

    Raises:
        TypeError: `value` is not a number.
        ValueError: it is out of range, infinite or not a number.
    """
    bound = "" if least == -math.inf else f" {'above' if above else 'of at least'} {least:g}"
    message = f"{name}: expected a finite number{bound}, got {value!r}; {advice}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    if not math.isfinite(value) or value < least or (above and value == least):
        raise ValueError(message)
    return float(value)


def verbosity(verbose: Any) -> int:
    """`verbose` as a whole number; 1 for "auto" and None.

    Raises:
        ValueError: it is neither "auto" nor a whole number of at least 0.
    """
    if verbose is None or (isinstance(verbose, str) and verbose == "auto"):
        return 1
    if not isinstance(verbose, numbers.Integral) or verbose < 0:
        raise ValueError(
            f'verbose: expected "auto", 0, 1 or 2, got {verbose!r}; 0 shows nothing, 1 and 2 show two lines for '
            'every trial, "auto" what suits the terminal'
        )
    return int(verbose)


def seed_or_random(seed: Any) -> int:
    """The seed as an int; a random one for None. 0 is a seed like any other."""
    given = whole_number("seed", seed, None, "leave it out for a random one")
    return random.randrange(1, 2**31) if given is None else given


def time_limit(max_time: Any) -> float | None:
    """`max_time` in seconds, None for no limit."""
    if max_time is None:
        return None
    return real_number("max_time", max_time, 0.0, "give seconds, or None for no limit", above=True)


def target_score(target: Any) -> float | None:
    """The objective's value that ends the search, None for none."""
    if target is None:
        return None
    return real_number("target", target, -math.inf, "give the objective's value that is good enough, or None")


def acquisition_name(acquisition: Any) -> str:
    """The lower-case name of a known acquisition.

    Raises:
        ValueError: it is none of `gp.acquisition.NAMES`.
    """
    name = acquisition.lower() if isinstance(acquisition, str) else acquisition
    if name not in NAMES:
        raise ValueError(
            f"acquisition: expected one of {', '.join(map(repr, NAMES))}, got {acquisition!r}; leave it out for 'auto'"
        )
    return str(name)


def exploration(beta: Any, kappa: Any) -> float:
    """The weight of the standard deviation in the confidence bound; `kappa` is another name of `beta`."""
    name, value = ("beta", beta) if kappa is None else ("kappa", kappa)
    return real_number(name, value, 0.0, "larger explores more; KerasTuner's default is 2.6")


def trial_name(number: int, max_trials: int | None) -> str:
    """KerasTuner's trial id: the count of trials, padded with zeros to the width of `max_trials` (four for None)."""
    return str(number).zfill(len(str(max_trials)))


def given_once(name: str, of_oracle: Option | None, of_tuner: Option | None) -> Option | None:
    """The one of two that was given; None when neither was.

    Raises:
        ValueError: both were given.
    """
    if of_oracle is not None and of_tuner is not None:
        raise ValueError(
            f"{name}: expected it to be given to the oracle or to the tuner, got {of_oracle!r} and {of_tuner!r}; leave "
            "one of them out"
        )
    return of_tuner if of_oracle is None else of_oracle


def refuse_unknown(kind: type, unknown: Mapping[str, Any]) -> None:
    """Raises when there are arguments that a class does not have.

    Raises:
        TypeError: there are; the message names the class, the arguments and those that it has.
    """
    if unknown:
        raise TypeError(
            f"{', '.join(unknown)}: expected an argument that {kind.__name__} has, got {dict(unknown)!r:.200}; it "
            "takes " + ", ".join(_argument_names(kind))
        )


def _argument_names(kind: type) -> list[str]:
    """The names of the arguments of a class, those that it hands on to its base classes too."""
    names: dict[str, None] = {}
    for base in kind.__mro__:
        init = vars(base).get("__init__")
        parameters = [] if init is None else list(inspect.signature(init).parameters.values())
        names.update(dict.fromkeys(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)))
        if not any(p.kind == p.VAR_KEYWORD for p in parameters) and parameters:
            break
    names.pop("self", None)
    return list(names)
