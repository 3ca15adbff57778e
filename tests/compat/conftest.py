"""KerasTuner, for the tests that compare."""

from __future__ import annotations

import warnings
from typing import Any

import pytest


@pytest.fixture(scope="session")
def keras_tuner() -> Any:
    """The package that KrigeTuner is compared with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras_tuner as package
    return package
