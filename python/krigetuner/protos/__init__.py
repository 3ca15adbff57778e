"""Messages of KerasTuner's protocol: what `to_proto` gives and `from_proto` takes. Names of `keras_tuner.protos`.

`Trial`, `HyperParameters`, `TrialStatus` and the others are attributes; bytes that they serialise to are KerasTuner's.
"""

from __future__ import annotations

import sys
from typing import Any

from krigetuner.protos import definitions


def get_proto() -> Any:
    """Where the messages are: this module."""
    return sys.modules[__name__]


def __getattr__(name: str) -> Any:
    """A message class, an enumeration or one of its values."""
    if name.startswith("_") or name not in definitions.NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return definitions.namespace()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *definitions.NAMES})
