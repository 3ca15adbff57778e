"""Which backend computes: the one named in code, else by KRIGETUNER_BACKEND, else the fastest that can be loaded.

Left to itself ("auto") that is the C++ core, with a GPU for large problems where the CUDA core is built. Nothing is
tried before the first use.
"""

from __future__ import annotations

import os
import threading
import warnings
from typing import ClassVar, cast

from krigetuner.backend.protocol import Backend
from krigetuner.errors import BackendUnavailable, KrigeTunerWarning

BACKENDS = ("cpp", "cuda", "numpy")
CHOICES = ("auto", *BACKENDS)
VARIABLE = "KRIGETUNER_BACKEND"


class _State:
    """What this process has chosen and loaded."""

    lock = threading.RLock()
    loaded: ClassVar[dict[str, Backend]] = {}
    chosen: str | None = None
    warned = False


def set_backend(name: str | None) -> None:
    """Chooses the backend of everything that follows in this process.

    Args:
        name: "auto", "cpp", "cuda" or "numpy"; None leaves the choice to KRIGETUNER_BACKEND. Whether it can be used is
            seen at its first use.

    Raises:
        ValueError: for another name.
    """
    _State.chosen = None if name is None else _known("backend", name)


def chosen() -> str:
    """The name that was asked for: by `set_backend`, else by KRIGETUNER_BACKEND, else "auto"."""
    return _State.chosen or _known(VARIABLE, os.environ.get(VARIABLE) or "auto")


def get_backend(name: str | None = None) -> Backend:
    """The backend of a name, or the chosen one.

    Raises:
        BackendUnavailable: it was named and cannot be used here; the message says why.
        ValueError: for an unknown name.
    """
    name = chosen() if name is None else _known("backend", name)
    with _State.lock:
        return _automatic() if name == "auto" else _load(name)


def why_absent() -> dict[str, str]:
    """Tries every backend; the names of those that cannot be used here, with the reason of each."""
    reasons = {}
    for name in BACKENDS:
        try:
            with _State.lock:
                _load(name)
        except BackendUnavailable as error:
            reasons[name] = str(error)
    return reasons


def _known(argument: str, name: str) -> str:
    if name.lower() not in CHOICES:
        raise ValueError(f"{argument}: expected one of {', '.join(CHOICES)}, got {name!r}; choose one of these")
    return name.lower()


def _load(name: str) -> Backend:
    if name not in _State.loaded:
        _State.loaded[name] = _make(name)
    return _State.loaded[name]


def _make(name: str) -> Backend:
    if name == "cuda":
        from krigetuner.backend.cuda_backend import CudaBackend

        return cast(Backend, CudaBackend())
    if name == "cpp":
        from krigetuner.backend.cpp_backend import CppBackend

        return cast(Backend, CppBackend())
    from krigetuner.backend.numpy_backend import NumpyBackend

    return cast(Backend, NumpyBackend())


def _automatic() -> Backend:
    try:
        return _with_gpu(_load("cpp"))
    except BackendUnavailable as error:
        if not _State.warned:
            _State.warned = True
            warnings.warn(
                f"numpy computes the suggestions, several times more slowly than the C++ core would: {error} "
                f"(set {VARIABLE}=numpy to choose numpy and hide this warning)",
                KrigeTunerWarning,
                stacklevel=3,
            )
        return _load("numpy")


def _with_gpu(core: Backend) -> Backend:
    """The C++ core, beside the GPU where the CUDA core is built; whether there is a GPU is seen at its first use."""
    from krigetuner.backend import cuda_backend

    if not cuda_backend.is_built():
        return core
    if "auto" not in _State.loaded:
        from krigetuner.backend.choice import GpuForLarge
        from krigetuner.backend.cuda_environment import crossover

        _State.loaded["auto"] = cast(Backend, GpuForLarge(core, _gpu, crossover()))
    return _State.loaded["auto"]


def _gpu() -> Backend | None:
    """The CUDA backend, or None where the driver shows no GPU."""
    from krigetuner.backend.cuda_backend import load_extension

    return get_backend("cuda") if load_extension().device_count() else None
