"""The benchmark of plain ifs: each way runs, and the ways ask for the same hyperparameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bench.quality.plain_ifs import TASKS, WAYS, losses

from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space


@pytest.mark.parametrize("task", TASKS)
def test_plain_ifs_and_scopes_are_the_same_task(task: Callable[[Any, bool], float]) -> None:
    declared = HyperParameters()
    task(declared, True)
    for values in (Space(declared.space).decode(row) for row in Space(declared.space).sample(_rows(declared))):
        plain, scoped = HyperParameters(), declared.copy()
        plain.values, scoped.values = dict(values), dict(values)
        assert task(plain, False) == task(scoped, True)
        assert {p.name for p in plain.space} == set(values)


def _rows(hp: HyperParameters) -> Any:
    import numpy as np

    return np.random.default_rng(0).random((20, Space(hp.space).dimensions))


@pytest.mark.parametrize("way", WAYS)
def test_each_way_runs(way: str) -> None:
    found = losses(TASKS[-1], way, 0, 7)
    assert len(found) == 7
    assert found == sorted(found, reverse=True)
