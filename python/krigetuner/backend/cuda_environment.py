"""What the environment says of the GPU: its index, its memory, and where CUDA's libraries are.

KRIGETUNER_CUDA_DEVICE   index of the GPU, among those that CUDA_VISIBLE_DEVICES shows; default 0
KRIGETUNER_CUDA_MEMORY   bytes that workspaces may take, as 500MB or 2GiB; default 2GiB
KRIGETUNER_CUDA_POOL     "cupy" or "own": whose pool memory comes from; default: CuPy's where it is installed
KRIGETUNER_CUDA_FROM     observations from which `auto` takes the GPU
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from krigetuner.errors import BackendUnavailable

DEVICE = "KRIGETUNER_CUDA_DEVICE"
MEMORY = "KRIGETUNER_CUDA_MEMORY"
POOL = "KRIGETUNER_CUDA_POOL"
FROM = "KRIGETUNER_CUDA_FROM"
WORKSPACE = 2 << 30
LEAST_WORKSPACE = 16 << 20
CROSSOVER = 2000
"""Observations from which `auto` takes the GPU. Not measured yet: below it one core of a processor needs less than half
a second for anything but a search of hyperparameters."""
COARSE = 1 << 20
"""Bytes from which on sizes asked of CuPy are rounded up."""
UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}  # fmt: skip
Block = Any
"""What CuPy's pool gives: an object with `ptr`, which gives the memory back when it is released."""


def device() -> int:
    """Index of the GPU."""
    return _whole_number(DEVICE, 0, "the index of a GPU, 0 the first")


def crossover() -> int:
    """Observations from which `auto` takes the GPU."""
    return _whole_number(FROM, CROSSOVER, "a number of observations")


def workspace() -> int:
    """Bytes that workspaces may take."""
    text = os.environ.get(MEMORY, "").strip()
    if not text:
        return WORKSPACE
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.lower())
    size = int(float(match[1]) * UNITS[match[2]]) if match and match[2] in UNITS else 0
    if size < LEAST_WORKSPACE:
        raise ValueError(f"{MEMORY}: expected a size of at least 16MiB, got {text!r}; write it as 500MB or 2GiB")
    return size


def choose_pool(native: Any, device: int) -> str:
    """Sets whose pool the extension module takes memory from; returns it in words, with the reason."""
    asked = os.environ.get(POOL, "").lower()
    if asked not in ("", "own", "cupy"):
        raise ValueError(f"{POOL}: expected 'cupy' or 'own', got {asked!r}; unset it for CuPy's where it is installed")
    if asked == "own" or (not asked and importlib.util.find_spec("cupy") is None):
        native.set_allocator(None)
        return "CUDA's" + (f" ({POOL})" if asked else "; cupy is not installed")
    try:
        take = _cupy_pool(device)
    except Exception as error:  # whatever a broken or half an installation raises
        if asked:
            raise BackendUnavailable(
                f"{POOL}: expected CuPy to work, got {error}; pip install 'krigetuner[cuda]'"
            ) from error
        native.set_allocator(None)
        return f"CUDA's; cupy does not work: {error}"
    native.set_allocator(take)
    return "CuPy's"


def library_directories() -> list[str]:
    """Where cuBLAS and cuSOLVER may be that the loader does not find: the toolkit's directories, then pip's.

    Where CuPy's path finder is installed, it is asked first; what it loads is in the process then.
    """
    _load_by_pathfinder()
    roots = [Path(os.environ[name]) for name in ("CUDA_PATH", "CUDA_HOME") if os.environ.get(name)]
    roots.append(Path("/usr/local/cuda"))
    found = [root / part for root in roots for part in ("lib64", "targets/x86_64-linux/lib", "lib")]
    wheels = importlib.util.find_spec("nvidia")
    for place in (wheels.submodule_search_locations or ()) if wheels else ():
        found += sorted(Path(place).glob("*/lib"))
    return [str(path) for path in found if path.is_dir()]


def _whole_number(name: str, default: int, meaning: str) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{name}: expected {meaning}, got {text!r}; unset it for {default}")
    return int(text)


class _Stream:
    """A stream of the extension module in CUDA's stream protocol, by its address."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.address


def _cupy_pool(device: int) -> Callable[[int, int, int], Block]:
    """CuPy's current allocator, after it has given memory once: `import cupy` alone works without a GPU."""
    cupy: Any = importlib.import_module("cupy")
    # kept: a block of a stream-ordered allocator knows its stream by a weak reference, and would be freed in the order
    # of another one while our kernels are still to come. There are few: the streams they stand for are used again.
    streams: dict[tuple[int, int], Any] = {}

    def take(size: int, stream: int, device: int) -> Block:
        # CuPy keeps free blocks by the stream that is current when they are taken
        with cupy.cuda.Device(device):
            if (device, stream) not in streams:
                streams[device, stream] = cupy.cuda.Stream.from_external(_Stream(stream))
            with streams[device, stream]:
                return cupy.cuda.alloc(coarse(size))

    take(256, 0, device)
    return take


def coarse(size: int) -> int:
    """The bytes to ask CuPy for: large sizes rounded up to quarters between powers of two.

    CuPy keeps a freed block for requests that fit into it. Matrices grow with every trial: of exact sizes each would
    need a new block, and all the old ones would be kept.
    """
    if size <= COARSE:
        return size
    quarter = 1 << ((size - 1).bit_length() - 3)
    return -(-size // quarter) * quarter


def _load_by_pathfinder() -> None:
    try:
        pathfinder: Any = importlib.import_module("cuda.pathfinder")
    except ImportError:
        return
    for name in ("cublas", "cusolver"):
        try:
            pathfinder.load_nvidia_dynamic_lib(name)
        except Exception:  # whatever it stumbled over: the directories are searched, and say what is missing
            return
