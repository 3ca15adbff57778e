"""Who conducts a study: one live process at a time.

A lease is a row's word that a process of a host holds it until a time; the holder renews it with every event, and
between them by a heartbeat. It can be taken over at once when its process is known to be dead (same machine and process
namespace, where process numbers mean the same) or is this one; else when it has run out.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from krigetuner.errors import KrigeTunerWarning, StudyLocked

SECONDS = 30.0
"""How long a lease lasts without being renewed; it is renewed three times as often."""

SKEW = 10.0
"""Seconds by which two clocks may differ unnoticed."""


@dataclass(frozen=True)
class Lease:
    """One holder.

    Attributes:
        token: tells two holders apart, even in one process.
        host, pid: for people.
        machine: equal for two processes exactly when their process numbers mean the same.
        birth: tells a process from a later one of the same number; "" where the system does not say.
    """

    token: str
    host: str
    pid: int
    machine: str
    birth: str

    @classmethod
    def mine(cls) -> Lease:
        """A new lease for this process."""
        pid = os.getpid()
        return cls(uuid.uuid4().hex, socket.gethostname(), pid, _machine(), _birth(pid))

    def refuse_if_held(self, where: str, expires_in: float) -> None:
        """Raises when the process that holds this lease may be alive and is another one.

        Raises:
            StudyLocked: names host and process, and says how to go on.
        """
        if expires_in <= 0 or self._is_over():
            return
        raise StudyLocked(
            f"{where}: expected a study that nobody else conducts, got one held by process {self.pid} on host "
            f"{self.host!r}; end that process, or wait if it has died already (its lease runs out in "
            f"{expires_in:.0f} seconds), or use another project_name; `krigetuner show` looks at it meanwhile"
        )

    def from_the_future(self, expires_in: float) -> bool:
        """Whether it seems to last longer than any can: written before a clock was set back, by one that was ahead."""
        return expires_in > SECONDS + SKEW and not self._is_over()

    @property
    def holder(self) -> str:
        """Who holds it, in words."""
        own = self.machine == _machine() and self.pid == os.getpid()
        return "another tuner of this process" if own else f"process {self.pid} on host {self.host!r}"

    def _is_over(self) -> bool:
        """Whether the holder is dead for certain, or this process itself."""
        if self.machine != _machine() or sys.platform == "win32":
            return self.machine == _machine() and self.pid == os.getpid()
        return self.pid == os.getpid() or not _alive(self.pid) or (self.birth != _birth(self.pid))


def watched(where: str, look: Callable[[], Sequence[Any]]) -> float:
    """How long a lease lasts yet whose expiry tells nothing: a holder that lives renews it while it is watched.

    Args:
        where: the database, for a warning.
        look: gives the lease's columns, and last how long it seems to last.

    Returns:
        Seconds; 0 when it was not renewed.
    """
    *before, lasts = look()
    warnings.warn(
        f"{where}: expected a lease of {SECONDS:.0f} seconds at most, got one of {lasts:.0f}: a clock was set back, or "
        f"is ahead; whether its holder lives is told by watching it, for {SECONDS:.0f} seconds at most",
        KrigeTunerWarning,
        stacklevel=2,
    )
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(SECONDS / 100)
        *now, lasts = look()
        if now != before:
            return min(float(lasts), SECONDS)
    return 0.0


def _read(path: str) -> str:
    """A line of the system's own files, "" where there is none."""
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError):
        return ""


def _machine() -> str:
    """This host since its start, with the process namespace."""
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path
    except OSError:
        space = ""
    return f"{socket.gethostname()}/{_read('/proc/sys/kernel/random/boot_id')}/{space}"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat behind the name, whose first is the state; empty where unknown."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _birth(pid: int) -> str:
    """When a process began, in the system's own count."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def _alive(pid: int) -> bool:
    """Whether a process of this number runs here; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] not in (["Z"], ["X"])
