"""What runs in a worker process: it takes jobs from the process that conducts the search, until that ends.

Its messages are ("ready",), ("loading",), ("begun",), and a report with the pickled exception beside it or None.
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import pickle
import queue
import select
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from krigetuner.errors import StoreError
from krigetuner.run.executor import failure
from krigetuner.run.local.channel import Channel
from krigetuner.run.local.parcels import unpacked
from krigetuner.run.messages import Failed, Finished, Job, Report, Reported, found_out
from krigetuner.run.shared import Shared, hold
from krigetuner.store.artifacts import trial_directory

LOOK = 2.0
"""Seconds after which a worker looks whether its parent is still there, should the channel not tell."""

_SET_SIGNAL = 10
"""F_SETSIG of Linux, which the fcntl module does not name."""


class WorkerContext:
    """The context of a job in a worker: what it reports goes through the channel."""

    def __init__(self, job: Job, channel: Channel, stopped: set[tuple[int, int]]) -> None:
        self._job = job
        self._channel = channel
        self._stopped = stopped

    def report(self, step: int, metrics: Mapping[str, float], execution: int | None = 0) -> None:
        """Sends the metrics of one step."""
        report = Reported(self._job.number, self._job.attempt, execution, step, dict(metrics))
        self._channel.send(pickle.dumps((report, None)))

    def tell(self, discovered: Mapping[str, Any]) -> None:
        """Sends what the code has found out."""
        self._channel.send(pickle.dumps((found_out(self._job, discovered), None)))

    def should_stop(self) -> bool:
        """True after `stop` for this trial."""
        return (self._job.number, self._job.attempt) in self._stopped


class WorkerProcess:
    """One worker.

    Args:
        channel: to the conducting process.
        parent: its process number.
    """

    def __init__(self, channel: Channel, parent: int) -> None:
        self._channel = channel
        self._parent = parent
        self._orders: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._stopped: set[tuple[int, int]] = set()
        self._values: dict[str, Shared[Any]] = {}
        self._trouble: BaseException | None = None
        self._scratch = os.dup(1)

    def listen(self) -> None:
        """Takes orders until the conductor says "end"; when it has died, ends this process and its children."""
        try:
            asked = self._take_orders()
        except BaseException:
            sys.stderr.write(traceback.format_exc())
            asked = False
        if asked:
            self._orders.put(None)
        else:
            os.killpg(0, signal.SIGKILL)

    def _take_orders(self) -> bool:
        """Whether the conductor has said "end"."""
        files: list[int] = []
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        while not self._channel.ended:
            if not poll.poll(LOOK * 1000):
                if os.getppid() != self._parent:
                    return False
                continue
            messages, received = self._channel.wait()
            files += received
            for kind, *rest in map(pickle.loads, messages):
                if kind == "stop":
                    self._stopped.add(rest[0])
                elif kind == "end":
                    return True
                else:
                    self._orders.put((kind, *rest, [files.pop(0) for _ in range(rest[-1])]))
        return False

    def work(self) -> None:
        """Runs one job after the other."""
        self._say("ready")
        home = os.open(".", os.O_RDONLY)  # which may be removed meanwhile
        while (order := self._orders.get()) is not None:
            kind, *rest = order
            if kind == "prepare":
                self._prepare(*rest)
            else:
                os.fchdir(home)
                self._do(*rest)

    def _say(self, word: str) -> None:
        self._channel.send(pickle.dumps((word, None)))

    def _prepare(self, shared: Mapping[str, Any], count: int, files: list[int]) -> None:
        """Loads shared values ahead; trouble is told with the job that needs them."""
        try:
            self._load(shared, files)
        except BaseException as error:
            self._trouble = error

    def _load(self, shared: Mapping[str, Any], files: list[int]) -> None:
        """Takes the shared values that a job needs, and lets go of others.

        Args:
            shared: by key the sizes and the bytes of a parcel (None: it is the next file); None for what is here.
            files: open files.
        """
        kept = {key: self._values[key] for key in shared if key in self._values}
        self._values = kept
        for key, parcel in shared.items():
            if parcel is not None:
                kept[key] = Shared(self._unpacked(parcel, files), key)
        hold(kept)

    def _unpacked(self, parcel: tuple[Sequence[int], bytes | None], files: list[int]) -> Any:
        sizes, content = parcel
        if content is not None:
            return unpacked(sizes, content)
        number = files.pop(0)
        try:
            return unpacked(sizes, number)
        finally:
            os.close(number)

    def _do(self, job: Job, run: Any, shared: Mapping[str, Any], log: str | None, count: int, files: list[int]) -> None:
        """Runs one job and sends its final report."""
        self._say("loading")
        process = os.getpid()
        with self._output(job, log):
            try:
                if self._trouble is not None:
                    raise self._trouble
                self._load(shared, files)
                job = replace(job, run=self._unpacked(run, files))
            except BaseException as error:
                report: Report = self._not_loaded(job, error)
            else:
                self._say("begun")
                report = self._report_of(job)
            if os.getpid() != process:  # a fork of the trial's code, which must not go on as a worker
                os._exit(0)
        self._stopped.clear()
        self._channel.send(_letter(job, report))

    def _not_loaded(self, job: Job, error: BaseException) -> Failed:
        report = failure(job, error)
        message = (
            "workers: expected that a worker process can load what the trials need, got the exception below; what the "
            "script imports must be found by other processes too, and what is pickled must unpickle\n" + report.message
        )
        return replace(report, kind="fatal", message=message)

    def _report_of(self, job: Job) -> Report:
        """Runs the job's work. No exception of it ends the worker, nor does it mean that the search ends."""
        try:
            return Finished(job.number, job.attempt, job.run(WorkerContext(job, self._channel, self._stopped)))
        except BaseException as error:
            report = failure(job, error)
            return replace(report, kind="invalid") if report.kind == "interrupted" else report

    @contextmanager
    def _output(self, job: Job, log: str | None) -> Iterator[None]:
        """Sends what is printed to a file of the trial, or to the worker's own, which begins anew."""
        target = self._scratch if log is None else self._opened(job, Path(log))
        if target == self._scratch:
            os.ftruncate(target, 0)
            os.lseek(target, 0, os.SEEK_SET)
        _direct(target)
        if target != self._scratch and os.fstat(target).st_size:
            with suppress(OSError):
                os.write(target, f"--- attempt {job.attempt + 1} ---\n".encode())
        try:
            yield
        finally:
            _direct(self._scratch)
            if target != self._scratch:
                if log and not os.fstat(target).st_size:  # nobody needs it
                    with suppress(OSError):
                        Path(log).unlink()
                os.close(target)

    def _opened(self, job: Job, log: Path) -> int:
        """The log of a trial, to be written at its end; the worker's own file where that cannot be."""
        try:
            trial_directory(log.parents[1], job.trial_id, create=True)
            return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except (OSError, StoreError) as error:
            sys.stderr.write(f"logs: expected a file that can be written, got {error}; the output is lost\n")
            return self._scratch


def _direct(target: int) -> None:
    """Makes a file the standard output and the standard error of this process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # the disk is full, or the trial has closed or removed it
            continue
    for number in (1, 2):
        os.dup2(target, number)


def _letter(job: Job, report: Report) -> bytes:
    """The bytes of a final report; of an exception that cannot travel its text remains."""
    if isinstance(report, Failed):
        try:
            beside = pickle.dumps(report.error)
        except Exception:  # users' classes may raise anything here; the report's message has the text and the traceback
            beside = None
        report = replace(report, error=None)
    else:
        beside = None
    try:
        return pickle.dumps((report, beside))
    except Exception as error:
        return pickle.dumps((replace(failure(job, error), error=None, discovered=None), None))


def _end_with(lifeline: int) -> None:
    """Has the kernel end this process and its children when the other end of a pipe closes, whatever they do."""
    if not sys.platform.startswith("linux"):
        return
    try:
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, _SET_SIGNAL, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError as error:
        sys.stderr.write(f"workers: the kernel does not watch the searching process ({error})\n")


def main(channel: int, lifeline: int, parent: int, cores: Sequence[int]) -> None:
    """The whole life of a worker process.

    Args:
        channel: descriptor of its end of the socket pair.
        lifeline: descriptor of its end of a pipe that nobody writes to; it closes when the conductor dies.
        parent: process number of the conductor.
        cores: that it is held to; empty for all.
    """
    import socket

    if cores and hasattr(os, "sched_setaffinity"):
        with suppress(OSError):  # they have been taken from us since
            os.sched_setaffinity(0, cores)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.enable()
    faulthandler.register(signal.SIGTERM, all_threads=False, chain=True)  # a trial that hangs shows where
    for number in (channel, lifeline):
        os.set_inheritable(number, False)
    _end_with(lifeline)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    worker = WorkerProcess(Channel(socket.socket(fileno=channel)), parent)
    threading.Thread(target=worker.listen, name="krigetuner-orders", daemon=True).start()
    if os.getppid() == parent:
        worker.work()
