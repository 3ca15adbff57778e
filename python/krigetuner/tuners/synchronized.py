"""The lock of an oracle: one call at a time per object, from whatever thread."""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

from krigetuner.tuners.trial import Trial

Method = TypeVar("Method", bound=Callable[..., Any])


def synchronized(func: Method) -> Method:
    """Lets one thread at a time into the decorated methods of the same oracle.

    A method that holds the lock may call others, also those of its base class; the lock is given back when the method
    raises. Calls on different oracles do not wait for each other. A method named `end_trial` also takes the old
    arguments `(trial_id, status="COMPLETED")`, with a DeprecationWarning.
    """
    takes_trial = func.__name__ == "end_trial" and "trial_id" not in inspect.signature(func).parameters

    @functools.wraps(func)
    def locked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if takes_trial and (not {"trial_id", "status"}.isdisjoint(kwargs) or _is_id(args)):
            args, kwargs = (_ended_trial(self, *args, **kwargs),), {}
        with lock_of(self):
            return func(self, *args, **kwargs)

    return cast("Method", locked)


def lock_of(oracle: Any) -> Any:
    """The re-entrant lock of one oracle, made at its first use; it goes when the oracle goes."""
    lock = oracle.__dict__.get("_lock")
    return oracle.__dict__.setdefault("_lock", threading.RLock()) if lock is None else lock


def _is_id(args: tuple[Any, ...]) -> bool:
    return bool(args) and isinstance(args[0], str)


def _ended_trial(oracle: Any, trial_id: str, status: str = "COMPLETED") -> Trial:
    warnings.warn(
        "end_trial(trial_id, status): expected end_trial(trial); set trial.status and hand over the trial itself",
        DeprecationWarning,
        stacklevel=4,
    )
    trial: Trial = oracle.get_trial(trial_id)
    trial.status = "COMPLETED" if status == "COMPLETE" else status
    return trial
