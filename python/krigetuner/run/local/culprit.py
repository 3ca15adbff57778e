"""Which part of an object cannot be pickled: pickle names a type, and people need the attribute."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

DEEPEST = 40
"""How many attributes of attributes are followed."""


def find_culprit(value: Any, fails: Callable[[Any], bool]) -> tuple[str, Any]:
    """The innermost part of `value` that fails though all of its own parts do not.

    Args:
        value: fails.
        fails: whether an object cannot be pickled alone.

    Returns:
        Its path, such as "hypermodel.lock", and the part; an empty path and `value` when it is `value` itself.
    """
    return _search(value, fails, "", {}) or ("", value)


def _search(value: Any, fails: Callable[[Any], bool], path: str, seen: dict[int, Any]) -> tuple[str, Any] | None:
    """Depth first; None when `value` fails only through an object that is being searched already."""
    seen[id(value)] = value  # held, so that no other object gets its id
    through_seen = False
    for step, part in () if hasattr(value, "element_spec") else _parts(value, top=not path):  # data of TensorFlow
        if id(part) in seen or not fails(part):
            through_seen = through_seen or (id(part) in seen and fails(part))
            continue
        if len(seen) > DEEPEST:
            return path + step, part
        found = _search(part, fails, path + step, seen)
        if found is not None:
            return found
        through_seen = True
    return None if through_seen else (path.lstrip("."), value)


def _parts(value: Any, top: bool = False) -> Iterator[tuple[str, Any]]:
    """What pickling an object would pickle, with the way to each part."""
    if isinstance(value, dict):
        for key, item in list(value.items()):
            yield (f".{key}" if top and isinstance(key, str) else f"[{key!r}]"), item
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value)
    elif isinstance(value, types.MethodType):
        yield "", value.__self__
        yield "", value.__func__
    elif isinstance(value, type):
        for name, item in list(vars(value).items()):
            if name not in ("__dict__", "__weakref__"):
                yield f".{name}", getattr(item, "__func__", item)
    else:
        yield from _of_object(value)


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The variables that a function uses, and its defaults."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            content = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        yield f" (variable {name!r})", content
    for name in sorted(_global_names(function.__code__)):
        if name in function.__globals__:
            yield f" (global {name!r})", function.__globals__[name]
    for index, item in enumerate(function.__defaults__ or ()):
        yield f" (default {index})", item
    for name, item in (function.__kwdefaults__ or {}).items():
        yield f" (default of {name!r})", item


def _global_names(code: types.CodeType) -> set[str]:
    """The names that code and the code in it may look up among the globals."""
    inner = (_global_names(c) for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*inner)


def _of_object(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts that an object's own way of pickling names."""
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # the value itself is the culprit, whatever its own code raises: it has no parts to blame
        return
    if not isinstance(reduced, tuple):
        return
    _, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    for part in state if isinstance(state, tuple) else (state,):
        if isinstance(part, dict):
            for name, item in part.items():
                yield f".{name}", item
        elif part is not None:
            yield "", part
    for item in arguments or ():
        yield "", item
    for index, item in enumerate(items or ()):
        yield f"[{index}]", item
    for key, item in pairs or ():
        yield f"[{key!r}]", item
