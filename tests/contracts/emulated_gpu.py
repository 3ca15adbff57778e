"""The CUDA core's module on an emulated GPU, which `make test-cpp` builds from the same sources (cuda/tests)."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "_cuda_emulated"
DIALS = ("driver", "devices", "major", "memory", "calls_until_lost")


def built() -> Path | None:
    """The newest build: below KRIGETUNER_EMULATION, else below build/."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    folder = os.environ.get("KRIGETUNER_EMULATION")
    found = Path(folder).glob(NAME + suffix) if folder else ROOT.glob(f"build/*/cuda/tests/{NAME}{suffix}")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


@cache
def _loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(NAME, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load() -> Any:
    """The module, or a skip; a failure where KRIGETUNER_EXPECT_EMULATION is set."""
    path = built()
    if path is None:
        if os.environ.get("KRIGETUNER_EXPECT_EMULATION"):
            pytest.fail(f"expected {NAME} below build/, got none; run make test-cpp")
        pytest.skip(f"{NAME} is not built: make test-cpp")
    return _loaded(path)


@contextmanager
def restored(machine: Any) -> Iterator[Any]:
    """The machine, which afterwards is as it was."""
    before = {name: getattr(machine, name) for name in DIALS}
    try:
        yield machine
    finally:
        for name, value in before.items():
            setattr(machine, name, value)
