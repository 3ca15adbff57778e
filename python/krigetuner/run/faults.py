"""Exceptions on the wire: by class name and text, so that nothing but plain data crosses it."""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Mapping
from typing import Any

from krigetuner import errors

PLAIN = ("ValueError", "TypeError", "KeyError", "RuntimeError", "NotImplementedError", "ArithmeticError")


def described(error: BaseException) -> dict[str, Any]:
    """The class and the text of an exception, with its traceback where the class is not known everywhere."""
    kind = type(error).__name__
    if _class(kind) is not type(error):
        return {"class": "RuntimeError", "text": "".join(traceback.format_exception(error)).strip()}
    text = str(error.args[0]) if isinstance(error, KeyError) and len(error.args) == 1 else str(error)
    return {"class": kind, "text": text}


def restored(data: Mapping[str, Any]) -> Exception:
    """The exception that `described` was given, or a RuntimeError with its traceback."""
    found = _class(str(data["class"])) or RuntimeError
    return found(str(data["text"]))


def _class(name: str) -> type[Exception] | None:
    """The exception class of a name that both sides know."""
    found = getattr(errors, name, None) or (getattr(builtins, name) if name in PLAIN else None)
    usable = isinstance(found, type) and issubclass(found, Exception) and found is not errors.NotPositiveDefinite
    return found if usable else None
