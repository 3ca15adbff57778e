"""The executor of local processes: jobs run in workers that may die without the search dying with them."""

from __future__ import annotations

import pickle
import socket
import sys
import time
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from krigetuner.run.interrupts import uninterrupted
from krigetuner.run.local.crew import Crew, Slot
from krigetuner.run.local.parcels import Parcel, package, packed
from krigetuner.run.local.postmortem import cause, last_lines_of
from krigetuner.run.local.resources import Share, check, present_machine, shares
from krigetuner.run.local.worker import Task, Worker, packed_away
from krigetuner.run.messages import Deliver, Failed, Job, Report, Reported
from krigetuner.run.shared import Shared, placed
from krigetuner.store.artifacts import trial_directory

LOG = "output.log"
"""Name of the file in a trial's directory that has what the trial printed."""

TRIES = 3
"""How many workers may die one after the other before one starts."""

LOADING = 300.0
"""Seconds that a process may need until a trial's code runs, where trials have a limit."""


class ProcessExecutor:
    """Runs each job in one of several worker processes of this machine.

    Workers start with the first jobs that need them and are used again; one that died is replaced. A job whose process
    dies or takes longer than its `timeout` has failed ("invalid"), with the reason and the last lines of its output.
    Workers know nothing of Ctrl-C; they end when this process ends, however it does.

    Args:
        workers: how many jobs run at the same time; "auto": one for each GPU, or else for each core.
        gpus_per_trial: GPUs that each worker sees; 0.5 when two share one; 0 for none; None: one each, or an equal
            part, where there are GPUs. CUDA_VISIBLE_DEVICES, when it is set, says which ones there are.
        cpus_per_trial: cores of each worker, and threads of its libraries; None: an equal part.
        isolate: whether every job gets a fresh process, which is started while the one before runs.
        logs: project directory; what a job prints goes to output.log in its trial's directory there. None keeps it for
            the message of a failure only.
        divided: what each worker may use, instead of a division of this machine.

    Attributes:
        logs: as given; a search sets it to its project's directory where it is None.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        workers: int | Literal["auto"] = "auto",
        *,
        gpus_per_trial: float | None = None,
        cpus_per_trial: int | None = None,
        isolate: bool = False,
        logs: str | Path | None = None,
        divided: Sequence[Share] | None = None,
    ) -> None:
        check(workers, gpus_per_trial, cpus_per_trial)
        self._asked = (workers, gpus_per_trial, cpus_per_trial)
        self._isolate = isolate
        self.logs: str | Path | None = logs
        self._own_logs = logs
        self._divided = divided
        self._owed: deque[Report] = deque()
        self._parcels: weakref.WeakKeyDictionary[Shared[Any], Parcel] = weakref.WeakKeyDictionary()
        self._failed_starts = 0

    @cached_property
    def _crew(self) -> Crew:
        """The slots, found out when they are needed first; the processes come with the jobs."""
        if not hasattr(socket, "send_fds"):
            raise RuntimeError(
                f"workers: expected Linux or macOS for worker processes, got {sys.platform}; search without workers or "
                "with chief and workers (KERASTUNER_ORACLE_IP)"
            )
        return Crew(self._divided or shares(*self._asked, present_machine()), self._isolate)

    @property
    def capacity(self) -> int:
        """How many jobs can run at the same time.

        Raises:
            ValueError: the workers need more GPUs than there are.
            RuntimeError: this system has no worker processes.
        """
        return len(self._crew.slots)

    def submit(self, job: Job) -> None:
        """Hands a job to a worker.

        Raises:
            RuntimeError: all workers have one, or there is no room for the data that they share.
            TypeError: the job cannot be pickled; the message names the attribute.
            OSError: no process can be started.
        """
        slot = self._crew.free_slot()
        if slot is None:
            raise RuntimeError(
                f"submit: expected at most {self.capacity} jobs at a time, got trial {job.trial_id}; collect() first"
            )
        packed_job = package(job)
        parcels = {key: self._parcel(value) for key, value in packed_job.shared.items()}
        log = None if self.logs is None else trial_directory(self.logs, job.trial_id) / LOG
        slot.task = Task(replace(job, run=packed_away), packed_job.run, parcels, log, _size(log) or 0)
        self._crew.give(slot, self._limit(job))

    def _limit(self, job: Job) -> float:
        """Clock reading until which the job's code must run."""
        return float("inf") if job.timeout is None else time.monotonic() + LOADING + job.timeout

    def _parcel(self, value: Parcel | Shared[Any]) -> Parcel:
        """A shared value, packed once."""
        if isinstance(value, Parcel):
            return value
        if value not in self._parcels:
            with placed(None):
                self._parcels[value] = packed(value.value)
        return self._parcels[value]

    def collect(self, deliver: Deliver, timeout: float | None = None) -> int:
        """Hands on the reports that are there; see `Executor.collect`.

        Raises:
            RuntimeError: no worker starts; the message has what they wrote.
        """
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = 0.0 if self._owed else max(end - time.monotonic(), 0.0)
            busy = any(slot.task for slot in self._crew.slots)
            self._look(left if busy else 0.0)
            count = len(self._owed)
            if count or not busy or time.monotonic() >= end:
                break
        for _ in range(count):
            with uninterrupted():
                deliver(self._owed.popleft())
        return count

    def _look(self, wait: float) -> None:
        """Takes in what workers have said and how they ended; what an interrupt leaves is there the next time."""
        for worker in self._crew.wait(wait):
            with uninterrupted():
                slot = self._crew.slots[worker.slot]
                messages, dead = self._crew.news(worker)
                for message in messages:
                    self._hear(slot, worker, message)
                if dead:
                    self._mourn(slot, worker)
        self._crew.end_overdue()

    def _hear(self, slot: Slot, worker: Worker, message: bytes) -> None:
        """Takes in one message."""
        said, beside = self._read(message, slot)
        task = slot.task if slot.worker is worker else None
        if said == "ready":
            worker.ready = True
            self._failed_starts = 0
        elif task is None:
            return  # the last words of a job that was given up
        elif said == "loading":
            task.taken = True
        elif said == "begun":
            task.deadline = float("inf") if task.job.timeout is None else time.monotonic() + task.job.timeout
        elif isinstance(said, Reported):
            self._owed.append(said)
        else:
            self._finish(slot, task, replace(said, error=beside) if isinstance(said, Failed) else said)

    def _read(self, message: bytes, slot: Slot) -> tuple[Any, Any]:
        """A message; one that cannot be read is the failure of the job that sent it."""
        try:
            said, beside = pickle.loads(message)
        except Exception as error:
            job = slot.task.job if slot.task else None
            text = f"the trial's result: expected plain data, got {type(error).__name__}: {error}; return numbers only"
            return (None if job is None else Failed(job.number, job.attempt, "invalid", text)), None
        try:
            return said, None if beside is None else pickle.loads(beside)
        except Exception:  # an exception that cannot be made again; its text is in the report
            return said, None

    def _finish(self, slot: Slot, task: Task, report: Report) -> None:
        """The job has given its final report."""
        if self._crew.finish(slot, report):
            self._owed.append(report)

    def _mourn(self, slot: Slot, worker: Worker) -> None:
        """A worker is dead: its job has failed, or goes to another one when it had not begun."""
        code = worker.bury()
        if not worker.ready and worker.leaving is None:
            self._failed_starts += 1
        if slot.spare is worker:
            slot.spare = None
        if slot.worker is worker:
            slot.worker = None
            task, slot.task = slot.task, None
            if slot.final is not None:
                self._owed.append(slot.final)
                slot.final = None
            elif task is not None and (task.taken or task.overdue):
                self._owed.append(self._post_mortem(task, worker, code))
                if task.log is not None and _size(task.log) == 0:  # nobody needs it
                    task.log.unlink()
            elif task is not None:
                slot.task = task
                if self._failed_starts < TRIES:
                    self._crew.give(slot, self._limit(task.job))
        if self._failed_starts >= TRIES:
            self._failed_starts = 0
            raise RuntimeError(_cannot_start(worker, code))

    def _post_mortem(self, task: Task, worker: Worker, code: int) -> Failed:
        reason = cause(code, task.job.timeout if task.overdue else None)
        lines = last_lines_of(task.log, task.log_start, worker.scratch.number)
        place = "" if task.log is None else f" ({task.log})"
        text = f"{reason}. The last lines of its output{place}:\n{lines}" if lines else reason
        return Failed(task.job.number, task.job.attempt, "invalid", text)

    def stop(self, number: int) -> None:
        """Asks the job of that trial to end early; any thread may ask."""
        for slot in self._crew.slots:
            if slot.task is not None and slot.worker is not None and slot.task.job.number == number:
                with suppress(OSError):  # it has just died
                    slot.worker.stop(slot.task.job)

    def close(self) -> None:
        """Ends every process; a second interrupt meanwhile kills them. Afterwards jobs may be submitted again."""
        self.logs = self._own_logs  # the next search may be another project's
        if "_crew" not in self.__dict__:
            return
        try:
            self._look(0.0)
            for slot in self._crew.slots:
                if slot.task is not None:
                    job = slot.task.job
                    lost = Failed(job.number, job.attempt, "interrupted", "the search ended while the trial ran")
                    self._owed.append(slot.final or lost)
                    slot.task = slot.final = None
        finally:
            self._crew.close()
            self._parcels.clear()


def _size(path: Path | None) -> int | None:
    """Bytes of a file; None when it is not there."""
    try:
        return None if path is None else path.stat().st_size
    except FileNotFoundError:
        return None


def _cannot_start(worker: Worker, code: int) -> str:
    lines = last_lines_of(None, 0, worker.scratch.number)
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    return (
        f"workers: expected processes that start, got {TRIES} in a row that died first ({how}); look at what the last "
        f"one wrote:\n{lines or '(nothing)'}"
    )
