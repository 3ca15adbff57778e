"""The native core `_cuda`, one NVIDIA GPU, as a backend.

What was fitted stays in the GPU's memory; rows go in, numbers come out. Whatever the GPU cannot do is
`BackendUnavailable`. See cuda/bindings; what the environment sets is in cuda_environment.py.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType
from typing import Any

from krigetuner.backend import cuda_environment as environment
from krigetuner.backend import native

MODULE = "krigetuner.backend._cuda"
OBSERVATIONS = 10_000
"""Observations that a GPU can afford a model of, at every trial; the factor takes 800 MB."""
REMEDY = (
    "install KrigeTuner from its source where nvcc of CUDA 12 or 13 is found: "
    "KRIGE_CUDA=ON python -m pip install --force-reinstall --no-deps <the source>, "
    "and pip install 'krigetuner[cuda]'"
)


@cache
def is_built() -> bool:
    """Whether the extension module is here; nothing is loaded."""
    return importlib.util.find_spec(MODULE) is not None


def load_extension() -> ModuleType:
    """The extension module.

    Raises:
        BackendUnavailable: it was not built, or it cannot be loaded here.
    """
    return native.load("cuda", MODULE, REMEDY)


class CudaBackend(native.NativeVerbs):
    """The verbs of `protocol.Backend`, on a GPU.

    Args:
        device: index of the GPU; default: KRIGETUNER_CUDA_DEVICE, else 0.
        module: one that offers what `_cuda` does, in its place.

    Attributes:
        info: name, compute capability and memory of the GPU, and where its memory and libraries come from.

    Raises:
        BackendUnavailable: the extension module, a driver, a GPU or a library is missing; the message says which.
        ValueError: a variable of the environment cannot be understood.
    """

    name = "cuda"

    def __init__(self, device: int | None = None, module: ModuleType | None = None) -> None:
        module = module or load_extension()
        self.device = environment.device() if device is None else device
        super().__init__(module, self.device)
        self._native.set_workspace_limit(environment.workspace())
        self.info: dict[str, Any] = self._native.device_info(self.device)
        self.info["pool"] = environment.choose_pool(self._native, self.device)
        self.info["libraries"] = self._native.load_libraries(environment.library_directories())

    def observations(self, available: int) -> int:
        """Of how many of the available observations a model should be made."""
        return min(available, OBSERVATIONS)
