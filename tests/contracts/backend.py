"""What every backend must do. Inherit `BackendContract` and set `name`."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import pytest
from tests.contracts.backend_border import BackendBorder
from tests.contracts.backend_laws import BackendLaws
from tests.contracts.backend_maxima import BackendMaxima
from tests.contracts.backend_values import BackendValues

from krigetuner.backend.registry import get_backend
from krigetuner.errors import BackendUnavailable

MUST_BE_HERE = {"cpp": "KRIGETUNER_REQUIRE_NATIVE", "cuda": "KRIGETUNER_EXPECT_CUDA"}
"""Set to turn a skip for want of a backend into a failure."""


def load(name: str) -> Any:
    """The backend, or a skip with the reason why it is not here."""
    try:
        return get_backend(name)
    except BackendUnavailable as error:
        if os.environ.get(MUST_BE_HERE.get(name, "")):
            raise
        pytest.skip(str(error))


class BackendContract(BackendValues, BackendLaws, BackendMaxima, BackendBorder):
    """Known values, laws, and what is refused at the border."""

    name: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Any:
        return load(cls.name)
