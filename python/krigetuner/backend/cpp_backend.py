"""The native core `_cpp` as a backend."""

from __future__ import annotations

import os
from types import ModuleType

from krigetuner.backend import native
from krigetuner.backend.protocol import OBSERVATIONS

MODULE = "krigetuner.backend._cpp"
MOST_THREADS = 1024
LEVELS = ("baseline", "avx2", "avx512")
REMEDY = (
    "install KrigeTuner where a C++17 compiler is found: "
    "KRIGETUNER_REQUIRE_NATIVE=1 python -m pip install --force-reinstall --no-deps <the source>"
)


def load_extension() -> ModuleType:
    """The extension module.

    Raises:
        BackendUnavailable: it was not built, or it cannot be loaded here.
        ValueError: KRIGETUNER_SIMD or KRIGETUNER_THREADS is none that the core knows; it would pass over it.
    """
    level = os.environ.get("KRIGETUNER_SIMD", "")
    if level and level not in LEVELS:
        known = ", ".join(LEVELS)
        raise ValueError(f"KRIGETUNER_SIMD: expected one of {known}, got {level!r}; unset it for the best level")
    threads = os.environ.get("KRIGETUNER_THREADS", "")
    if threads and not (threads.isascii() and threads.isdigit() and 1 <= int(threads) <= MOST_THREADS):
        raise ValueError(
            f"KRIGETUNER_THREADS: expected a whole number from 1 to {MOST_THREADS}, got {threads!r}; unset it for one"
        )
    return native.load("cpp", MODULE, REMEDY)


class CppBackend(native.NativeVerbs):
    """The verbs of `protocol.Backend`, in C++; `score` is always in double precision.

    Raises:
        BackendUnavailable: the extension module is missing or cannot be loaded.
    """

    name = "cpp"

    def __init__(self) -> None:
        super().__init__(load_extension())

    def observations(self, available: int) -> int:
        """Of how many of the available observations a model should be made."""
        return min(available, OBSERVATIONS)
