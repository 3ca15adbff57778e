"""Bayesian search on an emulated GPU: the suggestions of the C++ core, also when the GPU is lost in the middle."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.contracts import emulated_gpu
from tests.contracts.algorithm import mixed_space, toy_loss

from krigetuner.backend.choice import GpuForLarge
from krigetuner.backend.cpp_backend import CppBackend
from krigetuner.backend.cuda_backend import CudaBackend
from krigetuner.backend.protocol import Backend
from krigetuner.errors import BackendUnavailable, KrigeTunerWarning
from krigetuner.search.bayesian import BayesianSearch
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin


@pytest.fixture(autouse=True)
def own_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRIGETUNER_CUDA_POOL", "own")
    monkeypatch.delenv("KRIGETUNER_CUDA_DEVICE", raising=False)


@pytest.fixture
def machine() -> Iterator[Any]:
    with emulated_gpu.restored(emulated_gpu.load().machine) as machine:
        yield machine


def open_gpu() -> Any:
    return CudaBackend(module=emulated_gpu.load())


def history(space: Space, seed: int) -> History:
    rng = np.random.default_rng(seed)
    rows = space.sample(rng.random((12, space.dimensions)))
    values = [space.decode(row) for row in rows]
    return History(
        [
            Observation(i, v, "completed", toy_loss(space, v) + 0.1 * float(rng.normal()), None, Origin("given"))
            for i, v in enumerate(values)
        ]
    )


def suggested(backend: Backend, space: Space, seed: int) -> np.ndarray:
    answer = BayesianSearch(seed, backend=backend).ask(space, history(space, seed), 1)
    assert isinstance(answer, list)
    return space.encode(answer[0].values)


@pytest.mark.slow
def test_a_gpu_suggests_what_the_processor_does(machine: Any) -> None:
    space = mixed_space()
    gaps = [np.abs(suggested(CppBackend(), space, s) - suggested(open_gpu(), space, s)).max() for s in range(2)]
    assert min(gaps) <= 1e-6  # the end of a search for a maximum may turn on the last digit


@pytest.mark.slow
@pytest.mark.parametrize("calls", [40, 400])
def test_a_gpu_that_is_lost_costs_no_suggestion(machine: Any, calls: int) -> None:
    space = mixed_space()
    chosen: Any = GpuForLarge(CppBackend(), open_gpu, 5)
    machine.calls_until_lost = calls
    with pytest.warns(KrigeTunerWarning, match="the C\\+\\+ core goes on in the GPU's place") as caught:
        suggested(chosen, space, 1)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(suggested(chosen, space, 2), suggested(CppBackend(), space, 2))


def test_a_gpu_that_was_named_and_is_lost_is_an_error(machine: Any) -> None:
    backend: Any = open_gpu()
    machine.calls_until_lost = 100
    with pytest.raises(BackendUnavailable, match="the GPU is lost to this process"):
        suggested(backend, mixed_space(), 1)
