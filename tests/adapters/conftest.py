"""The tuners of the tests of Keras trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from krigetuner.tuners.classes import RandomSearch


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., RandomSearch]]:
    """Makes tuners one after the other: the one before is closed, and what `Count` saw is forgotten at the start."""
    from tests.adapters.keras_model import Count, build

    Count.epochs = []
    tuners: list[RandomSearch] = []

    def maker(
        hypermodel: Any = build, objective: Any = "val_loss", cls: Any = RandomSearch, **kwargs: Any
    ) -> RandomSearch:
        for tuner in tuners:
            tuner.oracle.close()
        kwargs = {"max_trials": 1, "directory": tmp_path, "seed": 1, **kwargs}
        tuners.append(cls(hypermodel, objective, **kwargs))
        return tuners[-1]

    yield maker
    for tuner in tuners:
        tuner.oracle.close()
