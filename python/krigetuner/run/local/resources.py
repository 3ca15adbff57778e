"""What each worker process may use: its GPUs, its cores, its number of threads; found without loading a framework."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

GPUS = "CUDA_VISIBLE_DEVICES"
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
"""What libraries read when they are loaded; each means a number of threads."""


SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""With these TensorFlow and JAX take memory of a GPU as they need it; without, all or most of it when they begin."""


@dataclass(frozen=True)
class Share:
    """What one worker may use.

    Attributes:
        environment: variables to be set before the process starts.
        cores: the cores that it is held to; empty for all.
    """

    environment: dict[str, str] = field(default_factory=dict)
    cores: tuple[int, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What there is to be shared.

    Attributes:
        gpus: the names that CUDA_VISIBLE_DEVICES takes.
        cores: numbers of the cores that this process may use.
        limit: how many of them it may keep busy; a container's quota can be smaller.
    """

    gpus: tuple[str, ...]
    cores: tuple[int, ...]
    limit: int


def present_machine() -> Machine:
    """What this process may use here and now."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = tuple(sorted(affinity(0))) if affinity else tuple(range(os.cpu_count() or 1))
    return Machine(visible_gpus(), cores, min(len(cores), _quota()))


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, else those that the driver shows."""
    given = os.environ.get(GPUS)
    if given is None:
        return _gpus_of_driver()
    names: list[str] = []
    for name in (n.strip() for n in given.split(",")):
        if not name or name.startswith("-"):  # CUDA reads no further either
            break
        names.append(name)
    return tuple(dict.fromkeys(names))


def _gpus_of_driver() -> tuple[str, ...]:
    """The GPUs that nvidia-smi lists, or the parts into which they are divided."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # a driver that does not work has no GPU
        return ()
    found: list[list[str]] = []
    for line in listed.splitlines():
        whole, part = re.match(r"GPU (\d+):", line), re.search(r"UUID: (MIG-[^)]+)\)", line)
        if whole:
            found.append([whole[1]])
        elif part and found:
            found[-1] = [*(n for n in found[-1] if n.startswith("MIG-")), part[1]]
    return tuple(name for names in found for name in names)


def _quota() -> int:
    """Cores that the control group of this container allows, rounded up; a large number for no limit."""
    for quota, period in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = Path("/sys/fs/cgroup", quota).read_text().split()
            words += Path("/sys/fs/cgroup", period).read_text().split() if period else []
            allowed, length = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):  # no such file, or "max"
            continue
        if allowed > 0 and length > 0:
            return max(math.ceil(allowed / length), 1)
    return 2**30


def shares(
    workers: int | Literal["auto"], gpus_per_trial: float | None, cpus_per_trial: int | None, machine: Machine
) -> tuple[Share, ...]:
    """Divides a machine.

    Args:
        workers: how many; "auto": one for each GPU, or for each `cpus_per_trial` cores where there is none.
        gpus_per_trial: GPUs of each; 0.5: two workers share one; 0: they see none; None: one, or an equal part of one,
            where there are GPUs.
        cpus_per_trial: cores and threads of each; None: an equal part of all.
        machine: what there is.

    Raises:
        ValueError: an argument is out of range, or the workers need more GPUs than there are.
    """
    check(workers, gpus_per_trial, cpus_per_trial)
    count = _count(gpus_per_trial, cpus_per_trial, machine) if workers == "auto" else workers
    gpus = _gpus_of(count, gpus_per_trial, machine.gpus)
    cores = _cores_of(count, cpus_per_trial, machine)
    found = []
    for slot in range(count):
        threads = cpus_per_trial or len(cores[slot]) or max(machine.limit // count, 1)
        environment = {name: str(threads) for name in THREADS if cpus_per_trial or name not in os.environ}
        if gpus is not None:
            environment |= _gpu_settings(*gpus[slot])
        found.append(Share(environment, cores[slot]))
    return tuple(found)


def check(workers: int | str, gpus: float | None, cpus: int | None) -> None:
    """Refuses arguments that no machine could serve.

    Raises:
        ValueError: one is out of range.
    """
    if workers != "auto" and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 1):
        raise ValueError(
            f'workers: expected a number of processes from 1 on, or "auto", got {workers!r}; leave it out for "auto"'
        )
    number = isinstance(gpus, int | float) and not isinstance(gpus, bool)
    if gpus is not None and not (number and 0 <= gpus < math.inf and (gpus <= 1 or gpus == int(gpus))):
        raise ValueError(
            f"gpus_per_trial: expected a whole number, a fraction below 1 for trials that share a GPU, or 0 for none, "
            f"got {gpus!r}; leave it out for one GPU per worker where there are GPUs"
        )
    if cpus is not None and (not isinstance(cpus, int) or isinstance(cpus, bool) or cpus < 1):
        raise ValueError(
            f"cpus_per_trial: expected a number of cores from 1 on, got {cpus!r}; leave it out for an equal part of all"
        )


def _trials_at(gpus: Sequence[str], each: float) -> int:
    """How many trials fit on the GPUs."""
    return int(len(gpus) // each) if each >= 1 else len(gpus) * math.floor(1 / each + 1e-9)


def _count(gpus: float | None, cpus: int | None, machine: Machine) -> int:
    """The number of workers for "auto"."""
    if gpus or (gpus is None and machine.gpus):
        found = _trials_at(machine.gpus, gpus or 1)
        if not found:
            raise _too_many_gpus(f"gpus_per_trial={gpus:g}", machine.gpus)
        return found
    return max(machine.limit // (cpus or 1), 1)


def _too_many_gpus(asked: str, gpus: Sequence[str]) -> ValueError:
    there = f"{len(gpus)} ({', '.join(gpus)})" if gpus else "none"
    return ValueError(
        f"gpus_per_trial: expected no more GPUs than there are, got {asked} where this process can use {there}; "
        f"ask for less, or look at nvidia-smi and {GPUS}"
    )


def _gpus_of(count: int, each: float | None, gpus: tuple[str, ...]) -> list[tuple[tuple[str, ...], float]] | None:
    """The GPUs of each worker and the part of them that is its own; None to leave the variable as it is."""
    if each == 0:
        return [((), 1.0)] * count
    if each is None:
        if not gpus:
            return None
        each = 1 / math.ceil(count / len(gpus))
    if count > _trials_at(gpus, each):
        raise _too_many_gpus(f"workers={count} with gpus_per_trial={each:g}", gpus)
    if each >= 1:
        width = int(each)
        return [(gpus[slot * width : (slot + 1) * width], 1.0) for slot in range(count)]
    return [((gpus[slot % len(gpus)],), each) for slot in range(count)]


def _gpu_settings(gpus: tuple[str, ...], part: float) -> dict[str, str]:
    """The variables for these GPUs: frameworks that take a whole GPU for themselves are asked for less."""
    settings = {GPUS: ",".join(gpus)}
    if part < 1:
        sharing = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 * part:.3f}"}
        settings |= {name: value for name, value in sharing.items() if name not in os.environ}
    return settings


def _cores_of(count: int, each: int | None, machine: Machine) -> list[tuple[int, ...]]:
    """The cores of each worker; empty where there are too few to give each its own."""
    cores = machine.cores
    if machine.limit < len(cores) or count * (each or 1) > len(cores):
        return [()] * count
    if each is not None:
        return [cores[slot * each : (slot + 1) * each] for slot in range(count)]
    bounds = [slot * len(cores) // count for slot in range(count + 1)]
    return [cores[low:high] for low, high in itertools.pairwise(bounds)]


@contextlib.contextmanager
def leaving_gpus() -> Iterator[None]:
    """Has a framework that begins to use GPUs meanwhile leave their memory to others, unless the user has a say."""
    added = {name: value for name, value in SHARED_GPU.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def room_for_another() -> bool:
    """Whether the memory takes one more process like the largest that has run so far; True where that is unknown."""
    import resource

    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return True
    with contextlib.suppress(OSError, ValueError):  # a limit of the container, where there is one
        limit, used = (int(Path("/sys/fs/cgroup", name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, (limit - used) // 1024)
    return free > 2 * max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 2**17)
