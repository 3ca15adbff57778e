"""What the tests of the process executor run in workers, and how they gather the reports."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from krigetuner.run.executor import Executor
from krigetuner.run.messages import Context, Execution, Job, Outcome, Report, Reported


def results(executor: Executor, runs: Sequence[Callable[[Context], Outcome]], timeout: float | None = None) -> Any:
    """The final report of each run, in the order of `runs`; as many at a time as the executor takes."""
    waiting = list(enumerate(runs))
    final: dict[int, Report] = {}

    def deliver(report: Report) -> None:
        if not isinstance(report, Reported):
            final[report.number] = report

    begun = 0
    while len(final) < len(runs):
        while waiting and begun - len(final) < executor.capacity:
            number, run = waiting.pop(0)
            executor.submit(Job(number, 0, f"{number:02d}", run, timeout))
            begun += 1
        executor.collect(deliver, timeout=60)
    return [final[i] for i in range(len(runs))]


def outcome(**metrics: float) -> Outcome:
    return Outcome((Execution(metrics),))


def process_number(context: Context) -> Outcome:
    return outcome(pid=os.getpid())


def segmentation_fault(context: Context) -> Outcome:
    ctypes.string_at(0)
    return outcome()


def exit_at_once(context: Context) -> Outcome:
    os._exit(3)


def exit_politely(context: Context) -> Outcome:
    sys.exit("no data today")


def interrupt_itself(context: Context) -> Outcome:
    raise KeyboardInterrupt


def killed(context: Context) -> Outcome:
    sys.stdout.write("loading a terabyte\n")
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    return outcome()


def endless(context: Context) -> Outcome:
    while True:
        time.sleep(0.01)


def endless_in_native_code(context: Context) -> NoReturn:
    """Holds the interpreter's lock all the time, with a child that would go on."""
    child = subprocess.Popen(["sleep", "600"])
    context.report(0, {"pid": os.getpid(), "child": child.pid})
    ctypes.PyDLL(None).sleep(600)
    os._exit(0)


def fault_with_a_child(context: Context) -> Outcome:
    child = subprocess.Popen(["sleep", "600"])
    context.report(0, {"child": child.pid})
    ctypes.string_at(0)
    return outcome()


def leave_a_child(context: Context) -> Outcome:
    """Its child goes on when it has ended; joblib has one too, for what it shares."""
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=2, max_nbytes=1000)(delayed(np.sum)(np.full(10_000, i)) for i in range(2))
    return outcome(pid=os.getpid(), child=subprocess.Popen(["sleep", "600"]).pid, sum=float(sum(found)))


def remove_the_directory(context: Context) -> Outcome:
    Path.cwd().rmdir()
    return outcome()


def deaf(context: Context) -> Outcome:
    """Does not obey SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return endless(context)


def close_every_file(context: Context) -> Outcome:
    os.closerange(3, 256)
    time.sleep(60)
    return outcome()


def forked(context: Context) -> Outcome:
    """Both processes come back from here."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return outcome(child=child)


def close_output(context: Context) -> Outcome:
    sys.stdout.close()
    sys.stderr.close()
    return outcome(pid=os.getpid())


def talkative(context: Context) -> Outcome:
    sys.stdout.write("from Python\n")
    sys.stderr.write("an error\n")
    os.system("echo from a child")
    return outcome()


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


class OwnError(Exception):
    """Cannot be made again from its text."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def unreadable_result(context: Context) -> Outcome:
    return Outcome((), {"found": Unreadable()})


def result_that_stays(context: Context) -> Outcome:
    return Outcome((), {"found": (n for n in range(3))})


def own_error(context: Context) -> Outcome:
    raise OwnError(1, 2)


def many_reports(context: Context) -> Outcome:
    for step in range(2000):
        context.report(step, {f"metric {i}": float(step) for i in range(50)})
    return outcome(steps=2000)


def large_result(context: Context) -> Outcome:
    return Outcome((), {"text": "x" * 20_000_000})


def length_of(data: bytes, context: Context) -> Outcome:
    return outcome(length=len(data))
