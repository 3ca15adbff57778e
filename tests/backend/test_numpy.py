"""The numpy backend under the contract of all backends."""

from __future__ import annotations

from tests.contracts.backend import BackendContract


class TestNumpy(BackendContract):
    name = "numpy"
