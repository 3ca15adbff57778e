"""The CUDA backend on an emulated GPU: the contract of all backends, and every way in which a GPU can fail.

`make test-cpp` builds the module: the same kernels and verbs, compiled for the processor (cuda/tests).
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from tests.contracts.backend import BackendContract

from krigetuner.backend.cuda_backend import CudaBackend
from krigetuner.backend.numpy_backend import NumpyBackend

ROOT = Path(__file__).resolve().parents[2]
NAME = "_cuda_emulated"
REFERENCE = NumpyBackend()

settings.register_profile("few", settings.get_profile("fixed"), max_examples=3)


def load_module() -> ModuleType:
    """The module of the newest build, or a skip."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    folder = os.environ.get("KRIGETUNER_EMULATION")
    built = sorted(
        Path(folder).glob(NAME + suffix) if folder else ROOT.glob(f"build/*/cuda/tests/{NAME}{suffix}"),
        key=lambda path: path.stat().st_mtime,
    )
    if not built:
        if os.environ.get("KRIGETUNER_EXPECT_EMULATION"):
            pytest.fail(f"expected {NAME}{suffix} below build/, got none; run make test-cpp")
        pytest.skip(f"{NAME} is not built: make test-cpp")
    spec = importlib.util.spec_from_file_location(NAME, built[-1])
    if spec is None or spec.loader is None:
        raise ImportError(f"{built[-1]} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def native() -> ModuleType:
    return load_module()


@pytest.fixture
def machine(native: ModuleType) -> Iterator[Any]:
    """The emulated machine, as it was afterwards."""
    machine: Any = native.machine
    dials = ("driver", "devices", "major", "memory", "calls_until_lost")
    before = {name: getattr(machine, name) for name in dials}
    yield machine
    for name, value in before.items():
        setattr(machine, name, value)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRIGETUNER_CUDA_POOL", "own")
    for name in ("KRIGETUNER_CUDA_DEVICE", "KRIGETUNER_CUDA_MEMORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
class TestCudaEmulated(BackendContract):
    name = "cuda"

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Iterator[Any]:
        os.environ["KRIGETUNER_CUDA_POOL"] = "own"
        settings.load_profile("few")
        yield CudaBackend(native=load_module())
        settings.load_profile("fixed")
