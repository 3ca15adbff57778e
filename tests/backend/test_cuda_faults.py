"""Every way in which a GPU can fail, on an emulated one: what is said, what is given back, and who goes on."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.contracts import emulated_gpu
from tests.contracts.backend_maxima import most_likely, prior_of
from tests.contracts.problems import Problem, close, make_problem

import krigetuner.backend
from krigetuner import versions
from krigetuner.backend import registry
from krigetuner.backend.choice import GpuForLarge
from krigetuner.backend.cpp_backend import CppBackend
from krigetuner.backend.cuda_backend import CudaBackend
from krigetuner.backend.protocol import AcquisitionSpec, Effort
from krigetuner.errors import BackendUnavailable, KrigeTunerWarning

SPEC = AcquisitionSpec("logei", -1.0)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRIGETUNER_CUDA_POOL", "own")
    for name in ("KRIGETUNER_CUDA_DEVICE", "KRIGETUNER_CUDA_MEMORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def machine() -> Iterator[Any]:
    with emulated_gpu.restored(emulated_gpu.load().machine) as machine:
        yield machine


def open_backend() -> CudaBackend:
    return CudaBackend(module=emulated_gpu.load())


def ascend(backend: Any, p: Problem) -> Any:
    box = np.zeros(p.candidates.shape), np.ones(p.candidates.shape)
    return backend.ascend(p.fit(backend), p.candidates, *box, SPEC, Effort(iterations=2))


VERBS: dict[str, Callable[[Any, Problem], Any]] = {
    "kernel": lambda b, p: b.kernel(p.x, p.candidates, p.hyper, "hyper"),
    "fit": lambda b, p: p.fit(b),
    "extend": lambda b, p: b.extend(p.fit(b), p.candidates, np.zeros(len(p.x) + len(p.candidates)), np.ones(5)),
    "likelihood": lambda b, p: b.likelihood(p.x, p.y, p.noise[None], [p.hyper]),
    "predict": lambda b, p: b.predict(p.fit(b), p.candidates),
    "mean": lambda b, p: b.mean(p.fit(b), p.candidates),
    "score": lambda b, p: b.score(p.fit(b), p.candidates, SPEC, gradient=True),
    "sample": lambda b, p: b.sample(p.fit(b), p.candidates, np.eye(5), 1e-6),
    "most_likely": lambda b, p: most_likely(b, p, prior_of(3), prior_of(3).mean[None], Effort(iterations=1)),
    "ascend": ascend,
}


def reasons(verb: str, backend: Any, p: Problem) -> list[str]:
    """Why a verb could not be done, if it could not."""
    try:
        VERBS[verb](backend, p)
    except BackendUnavailable as error:
        return [str(error)]
    return []


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"driver": 0}, r"^GPU: expected an NVIDIA driver, got none; install one"),
        ({"driver": 11080}, r"^GPU: expected a driver for CUDA 13.0, got one for CUDA 11.8; install a newer driver"),
        ({"devices": 0}, r"^GPU: expected at least one, got none; see nvidia-smi and CUDA_VISIBLE_DEVICES"),
        ({"major": 7}, r"^GPU: expected compute capability 8.0 or above, got 7.0 \(an emulated GPU\)"),
    ],
)
def test_a_machine_that_cannot_compute(machine: Any, dials: dict[str, int], message: str) -> None:
    for name, value in dials.items():
        setattr(machine, name, value)
    with pytest.raises(BackendUnavailable, match=message):
        open_backend()


@pytest.mark.parametrize("index", ["1", "64"])
def test_a_gpu_that_is_not_there(machine: Any, monkeypatch: pytest.MonkeyPatch, index: str) -> None:
    monkeypatch.setenv("KRIGETUNER_CUDA_DEVICE", index)
    message = rf"^KRIGETUNER_CUDA_DEVICE: expected a GPU from 0 to 0, got {index}; nvidia-smi -L"
    with pytest.raises(BackendUnavailable, match=message):
        open_backend()
    machine.devices = 65
    assert open_backend().device == int(index)
    assert CudaBackend(2, module=emulated_gpu.load()).device == 2


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_memory_that_ends_at_any_moment_is_given_back(machine: Any, verb: str) -> None:
    backend, p = open_backend(), make_problem(1, n=9)
    VERBS[verb](backend, p)
    gc.collect()
    kept, whole = machine.in_use, machine.most_in_use - machine.in_use
    texts = []
    for share in np.linspace(0.0, 1.0, 10):
        machine.memory = kept + int(whole * share)
        texts += reasons(verb, backend, p)
        gc.collect()
        assert machine.in_use == kept
    assert texts
    for text in texts:
        assert re.match(r"GPU memory: expected .* got .* free of .*KRIGETUNER_CUDA_MEMORY", text), text
    machine.memory = 1 << 30
    VERBS[verb](backend, p)


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_a_gpu_that_is_lost_at_any_moment(machine: Any, verb: str) -> None:
    backend, p = open_backend(), make_problem(2, n=9)
    gc.collect()
    kept = machine.in_use
    for calls in (0, 1, 2, 3, 5, 8, 13, 21, 34):
        machine.calls_until_lost = calls
        texts = reasons(verb, backend, p)
        assert texts or calls > 3
        for text in texts:
            assert re.search("got cudaErrorLaunchFailure.* the GPU is lost to this process", text), text
        machine.calls_until_lost = -1
        gc.collect()
        assert machine.in_use == kept


@pytest.mark.parametrize("verb", [v for v in VERBS if v != "kernel"])
def test_a_search_goes_on_with_the_processor(machine: Any, verb: str) -> None:
    core = CppBackend()
    chosen = GpuForLarge(core, open_backend, 5)
    p = make_problem(3, n=9)
    first = p.fit(chosen)
    assert first.held[0].name == "cuda"
    machine.calls_until_lost = 0
    with pytest.warns(KrigeTunerWarning, match=r"^the C\+\+ core goes on in the GPU's place.*cudaErrorLaunchFailure"):
        found = VERBS[verb](chosen, p)
    expected = VERBS[verb](core, p)
    if isinstance(found, tuple):
        for a, b in zip(found, expected, strict=True):
            close(a, b, 1e-9)
    elif isinstance(found, np.ndarray):
        close(found, expected, 1e-9)
    else:
        assert found.log_likelihood == expected.log_likelihood
    # what the GPU held is fitted again, in silence
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        close(chosen.predict(first, p.candidates)[0], core.predict(p.fit(core), p.candidates)[0], 1e-12)
        extended = chosen.extend(first, p.candidates, np.zeros(14), np.ones(5))
    assert extended.count == 14


def test_only_large_problems_go_to_the_gpu(machine: Any) -> None:
    chosen = GpuForLarge(CppBackend(), open_backend, 10)
    assert chosen.name == "cpp+cuda"
    small, large = (make_problem(1, n=n).fit(chosen) for n in (9, 10))
    assert [fitted.held[0].name for fitted in (small, large)] == ["cpp", "cuda"]
    assert [fitted.count for fitted in (small, large)] == [9, 10]
    assert [chosen.observations(n) for n in (9, 400, 20_000)] == [9, 400, 10_000]
    machine.calls_until_lost = 0
    with pytest.warns(KrigeTunerWarning):
        make_problem(1, n=10).fit(chosen)
    assert [chosen.observations(n) for n in (9, 400, 20_000)] == [9, 200, 200]


def test_no_gpu_is_no_reason_to_warn(machine: Any) -> None:
    chosen = GpuForLarge(CppBackend(), lambda: None, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make_problem(1).fit(chosen).held[0].name == "cpp"


def test_a_gpu_without_its_libraries_is_told_of_once(machine: Any) -> None:
    def refuse() -> Any:
        raise BackendUnavailable("cuBLAS: expected libcublas.so.13 of CUDA 13, got none")

    chosen = GpuForLarge(CppBackend(), refuse, 1)
    with pytest.warns(KrigeTunerWarning, match="libcublas") as caught:
        fitted = [make_problem(1).fit(chosen) for _ in range(3)]
    assert len(caught) == 1
    assert {f.held[0].name for f in fitted} == {"cpp"}


FORK = """
import json, os, sys, warnings
import numpy as np
sys.path.insert(0, sys.argv[1])
from tests.contracts import emulated_gpu
from tests.contracts.problems import make_problem
from krigetuner.backend.cuda_backend import CudaBackend
from krigetuner.errors import BackendUnavailable
backend = CudaBackend(module=emulated_gpu.load())
p = make_problem(1)
fitted = p.fit(backend)
read, write = os.pipe()
if os.fork() == 0:
    texts = []
    predict, again = lambda: backend.predict(fitted, p.candidates), lambda: CudaBackend(module=emulated_gpu.load())
    for call in (lambda: p.fit(backend), predict, again):
        try:
            call()
        except BackendUnavailable as error:
            texts.append(str(error))
    del fitted
    os.write(write, json.dumps(texts).encode())
    os._exit(0)
os.wait()
found = json.loads(os.read(read, 100000))
print(json.dumps([found, backend.predict(fitted, p.candidates)[0].tolist() != []]))
"""


def test_a_fork_is_refused() -> None:
    emulated_gpu.load()
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(emulated_gpu.ROOT)],
        env={**os.environ, "KRIGETUNER_CUDA_POOL": "own"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    texts, parent_works = json.loads(done.stdout)
    assert len(texts) == 3
    for text in texts:
        assert text.startswith("GPU: expected the process that first used it, got a fork of it")
        assert "get_context('spawn')" in text
    assert parent_works


class Memory:
    """A block of a pool, given back when it is released."""

    taken = 0

    def __init__(self, size: int) -> None:
        self.buffer = ctypes.create_string_buffer(size)
        self.ptr = ctypes.addressof(self.buffer)
        Memory.taken += 1

    def __del__(self) -> None:
        Memory.taken -= 1


def test_memory_of_another_pool(machine: Any) -> None:
    backend, p = open_backend(), make_problem(4)
    expected = backend.predict(p.fit(backend), p.candidates)
    native = emulated_gpu.load()
    gc.collect()
    own = machine.in_use
    devices = set()

    def take(size: int, stream: int, device: int) -> Memory:
        devices.add(device)
        assert stream
        return Memory(size)

    native.set_allocator(take)
    try:
        fitted = p.fit(backend)
        assert Memory.taken > 0
        for a, b in zip(backend.predict(fitted, p.candidates), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        native.set_allocator(None)
    backend.predict(fitted, p.candidates)
    del fitted
    gc.collect()
    assert Memory.taken == 0
    assert machine.in_use == own
    assert devices == {0}


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (MemoryError("the pool is full"), r"^GPU memory: expected .* free of "),
        (RuntimeError("the pool is closed"), r"^GPU memory: expected .* from CuPy's pool, got .*the pool is closed"),
    ],
)
def test_a_pool_that_fails(machine: Any, raised: Exception, message: str) -> None:
    backend = open_backend()
    native = emulated_gpu.load()

    def take(size: int, stream: int, device: int) -> Memory:
        raise raised

    native.set_allocator(take)
    try:
        with pytest.raises(BackendUnavailable, match=message):
            make_problem(1).fit(backend)
    finally:
        native.set_allocator(None)
    make_problem(1).fit(backend)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_an_interruption_in_a_pool_is_no_fault_of_the_gpu(machine: Any, raised: type[BaseException]) -> None:
    native = emulated_gpu.load()
    chosen = GpuForLarge(CppBackend(), open_backend, 1)
    make_problem(1).fit(chosen)

    def take(size: int, stream: int, device: int) -> Memory:
        raise raised

    native.set_allocator(take)
    try:
        with pytest.raises(raised):
            make_problem(1).fit(chosen)
    finally:
        native.set_allocator(None)
    assert make_problem(1).fit(chosen).held[0].name == "cuda"


def test_free_memory_is_what_nobody_has(machine: Any) -> None:
    native = emulated_gpu.load()
    gc.collect()
    assert native.free_memory(0) == machine.memory - machine.in_use
    fitted = make_problem(1, n=100).fit(open_backend())
    assert native.free_memory(0) == machine.memory - machine.in_use
    assert fitted.count == 100
    with pytest.raises(BackendUnavailable, match="got 7; nvidia-smi -L"):
        native.free_memory(7)


def test_a_bug_report_tells_of_the_gpu(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    native = emulated_gpu.load()
    monkeypatch.setitem(registry._State.loaded, "cuda", open_backend())
    monkeypatch.setitem(sys.modules, "krigetuner.backend._cuda", native)
    monkeypatch.setattr(krigetuner.backend, "_cuda", native, raising=False)
    rows = versions.versions()
    assert rows["backend cuda"] == "available"
    assert rows["cuda name"] == "an emulated GPU"
    assert rows["cuda pool"] == "CUDA's (KRIGETUNER_CUDA_POOL)"
    assert rows["cuda build toolkit"] == "13.0"
