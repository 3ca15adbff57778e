"""Why a worker died, in words, with the last lines that it wrote."""

from __future__ import annotations

import os
import signal
from pathlib import Path

SIGNALS = {
    signal.SIGKILL: "killed from outside, perhaps because the memory ran out",
    signal.SIGSEGV: "a fault of native code",
    signal.SIGBUS: "a fault of native code, or a full disk or a shortened file under a memory map",
    signal.SIGABRT: "native code gave up",
    signal.SIGFPE: "a fault of native code",
    signal.SIGILL: "native code made for another processor",
}
REPORTS = ("Fatal Python error", "Stack (most recent call first)")
THREADS = ("Current thread", "Thread ")
LINES = 25
BEFORE = 8
WIDTH = 200
TAIL = 2**16


def cause(code: int, seconds: float | None = None) -> str:
    """What ended a process.

    Args:
        code: its exit code, or a signal's number below 0.
        seconds: the time that it was given, when it was ended for taking longer.
    """
    if seconds is not None:
        return f"trial_timeout: expected the trial to end within {seconds:g} s, which it did not; its process was ended"
    if code >= 0:
        return (
            f"the trial's process ended by itself with exit code {code} before the trial did (os._exit, or native code "
            "that exits); raise an exception instead"
        )
    try:
        name = signal.Signals(-code)
    except ValueError:
        return f"the trial's process was ended by signal {-code}"
    return f"the trial's process was ended by {name.name} ({SIGNALS.get(name, signal.strsignal(name) or 'a signal')})"


def last_lines(file: int, start: int = 0) -> str:
    """The last lines of an open file; where Python has reported a fault, what the thread that had it was doing.

    Args:
        file: its descriptor.
        start: where to begin at the earliest.
    """
    end = os.fstat(file).st_size
    start = max(start, end - TAIL)
    text = os.pread(file, max(end - start, 0), start).decode("utf-8", "replace")
    lines = [line.rsplit("\r", 1)[-1].rstrip()[:WIDTH] for line in text.rstrip().split("\n")]
    reports = [i for i, line in enumerate(lines) if line.startswith(REPORTS)]
    if not reports:
        return "\n".join(lines[-LINES:]).strip("\n")
    before, report = lines[: reports[-1]], lines[reports[-1] :]
    threads = [i for i, line in enumerate(report) if line.startswith(THREADS)]
    current = [i for i in threads if report[i].startswith(THREADS[0])] or threads or [0]
    title = report[: threads[0] if threads else 0]
    stack = [line for line in report[current[0] :] if not line.startswith("Extension modules")]
    return "\n".join([*before[-BEFORE:], *title, *stack[:LINES]]).strip("\n")


def last_lines_of(log: Path | None, start: int, scratch: int) -> str:
    """The last lines that a worker wrote to its trial's log, else to its own file.

    Args:
        log: the trial's log, None for none.
        start: where this attempt begins in it.
        scratch: the open file of the worker.
    """
    found = ""
    if log is not None and log.exists():
        with log.open("rb") as file:
            found = last_lines(file.fileno(), start)
    return found or last_lines(scratch)
