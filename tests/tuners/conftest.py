"""What the tests of tuners leave open is closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from krigetuner.tuners.base_tuner import BaseTuner


@pytest.fixture
def opened() -> Iterator[list[BaseTuner]]:
    """Tuners to be closed at the end."""
    tuners: list[BaseTuner] = []
    yield tuners
    for tuner in tuners:
        tuner.oracle.close()
