"""What the environment may say of the GPU, and where its libraries are looked for."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krigetuner.backend import cuda_environment as environment
from krigetuner.errors import BackendUnavailable


class Native:
    """Takes note of the allocator."""

    def __init__(self) -> None:
        self.take: Any = "none was set"

    def set_allocator(self, take: Any) -> None:
        self.take = take


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (environment.DEVICE, environment.MEMORY, environment.POOL, environment.FROM, "CUDA_PATH", "CUDA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("text", "size"),
    [("", 2 << 30), ("2GiB", 2 << 30), ("500MB", 500_000_000), ("1.5 gib", 3 << 29), ("20000000", 20_000_000)],
)
def test_the_workspace(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setenv(environment.MEMORY, text)
    assert environment.workspace() == size


@pytest.mark.parametrize("text", ["much", "-1GiB", "2 GiBs", "0", "1MB", "nan", "1e9"])
def test_a_workspace_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(environment.MEMORY, text)
    with pytest.raises(ValueError, match=rf"^KRIGETUNER_CUDA_MEMORY: expected a size of at least 16MiB, got '{text}'"):
        environment.workspace()


@given(size=st.integers(1, 1 << 42))
def test_large_blocks_come_in_few_sizes(size: int) -> None:
    rounded = environment.coarse(size)
    assert size <= rounded <= max(environment.COARSE, 1.25 * size)
    assert size > environment.COARSE or rounded == size
    assert environment.coarse(rounded) == rounded


def test_matrices_that_grow_with_every_trial_take_four_sizes_until_they_are_twice_as_large() -> None:
    sizes = [environment.coarse(8 * n * n) for n in range(1_000, 10_001)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) <= 4 * 7  # a factor of 100 in bytes is less than seven doublings
    assert sum(set(sizes)) < 7 * max(sizes)


@pytest.mark.parametrize("text", ["gpu0", "-1", "1.0", "٣"])
def test_an_index_that_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(environment.DEVICE, text)
    with pytest.raises(ValueError, match=rf"^KRIGETUNER_CUDA_DEVICE: expected the index of a GPU.*, got '{text}'"):
        environment.device()


def test_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.device() == 0
    monkeypatch.setenv(environment.DEVICE, "3")
    assert environment.device() == 3


def test_a_crossover_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.crossover() == environment.CROSSOVER
    monkeypatch.setenv(environment.FROM, "many")
    with pytest.raises(ValueError, match=r"^KRIGETUNER_CUDA_FROM: expected a number of observations, got 'many'"):
        environment.crossover()


def test_a_pool_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.POOL, "rmm")
    with pytest.raises(ValueError, match=r"^KRIGETUNER_CUDA_POOL: expected 'cupy' or 'own', got 'rmm'"):
        environment.choose_pool(Native(), 0)


def test_cudas_own_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.POOL, "own")
    native = Native()
    assert environment.choose_pool(native, 0) == "CUDA's (KRIGETUNER_CUDA_POOL)"
    assert native.take is None


def test_half_an_installation_of_cupy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text("raise OSError('libnvrtc.so.13 is missing')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    native = Native()
    assert environment.choose_pool(native, 0) == "CUDA's; cupy does not work: libnvrtc.so.13 is missing"
    assert native.take is None
    monkeypatch.setenv(environment.POOL, "cupy")
    with pytest.raises(BackendUnavailable, match=r"^KRIGETUNER_CUDA_POOL: expected CuPy to work, got libnvrtc"):
        environment.choose_pool(native, 0)


CUPY = """
import contextlib, types, warnings, weakref

current = []  # devices and streams that are current


class Device(contextlib.AbstractContextManager):
    def __init__(self, index):
        self.what = "device", index

    def __enter__(self):
        current.append(self)

    def __exit__(self, *reason):
        current.remove(self)


class Stream(Device):
    @classmethod
    def from_external(cls, other):
        version, address = other.__cuda_stream__()
        assert version == 0
        made = cls(address)
        made.what = "stream", address
        return made


def ExternalStream(address, device=-1):
    warnings.warn("ExternalStream is deprecated", DeprecationWarning)  # as from 14.0 on
    return Device(device)


def alloc(size):
    # as CuPy's stream-ordered allocator, which frees on this stream where it is still there
    stream = weakref.ref(current[-1])
    return types.SimpleNamespace(ptr=size, taken_under=[one.what for one in current], stream=stream)


cuda = types.SimpleNamespace(Device=Device, Stream=Stream, ExternalStream=ExternalStream, alloc=alloc)
"""


@pytest.fixture
def cupy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of that name, of which nothing is left afterwards."""
    (tmp_path / "cupy.py").write_text(CUPY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", None)
    del sys.modules["cupy"]
    return tmp_path / "cupy.py"


def test_cupys_pool_gives_memory_of_the_stream_that_asks(cupy: Path) -> None:
    native = Native()
    assert environment.choose_pool(native, 1) == "CuPy's"
    block = native.take(300, 77, 1)
    assert (block.ptr, block.taken_under) == (300, [("device", 1), ("stream", 77)])


def test_a_block_of_cupys_pool_finds_its_stream_when_it_is_freed(cupy: Path) -> None:
    native = Native()
    environment.choose_pool(native, 0)
    first, again, other, elsewhere = (native.take(300, *place) for place in ((77, 0), (77, 0), (78, 0), (77, 1)))
    gc.collect()
    assert first.stream() is again.stream() is not None
    assert len({id(block.stream()) for block in (first, other, elsewhere)}) == 3
    assert None not in {block.stream() for block in (other, elsewhere)}


def test_a_cupy_that_cannot_take_our_streams_is_not_used(cupy: Path) -> None:
    cupy.write_text(CUPY + "del Stream.from_external\n")  # as before 14.0
    native = Native()
    assert environment.choose_pool(native, 0).startswith("CUDA's; cupy does not work: ")
    assert native.take is None


def test_libraries_are_looked_for_in_the_toolkit_and_in_pips_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolkit, wheels = tmp_path / "cuda" / "lib64", tmp_path / "site" / "nvidia"
    toolkit.mkdir(parents=True)
    for name in ("cu13", "cublas"):
        (wheels / name / "lib").mkdir(parents=True)
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "cuda"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    found = environment.library_directories()
    assert found[0] == str(toolkit)
    assert {str(wheels / "cu13" / "lib"), str(wheels / "cublas" / "lib")} <= set(found)
