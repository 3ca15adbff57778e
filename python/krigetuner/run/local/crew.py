"""The worker processes of an executor: one for each slot, those that are on their way out, and waiting for any."""

from __future__ import annotations

import math
import selectors
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from krigetuner.run.local.resources import GPUS, SHARED_GPU, Share, room_for_another
from krigetuner.run.local.worker import Task, Worker, start
from krigetuner.run.messages import Report

GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL."""

FAREWELL = 15.0
"""Seconds that a process without a job has to end by itself: its libraries may have something to finish."""

PULSE = 0.25
"""Seconds between two looks at the processes, where the system does not tell of their death."""


@dataclass(eq=False)
class Slot:
    """A place where one job can run.

    Attributes:
        share: what its processes may use.
        worker: the process that runs the job, or waits for one.
        spare: the process for the job after that.
        task: the job.
        final: its final report, kept back until its process has left the GPU.
    """

    share: Share
    worker: Worker | None = None
    spare: Worker | None = None
    task: Task | None = None
    final: Report | None = None


class Crew:
    """The processes.

    Args:
        shares: what the worker of each slot may use.
        isolate: whether a worker runs one job only.
    """

    def __init__(self, shares: Sequence[Share], isolate: bool) -> None:
        self._isolate = isolate
        self.slots = [Slot(self._careful(share) if isolate else share) for share in shares]
        self._alive: dict[Worker, None] = {}
        self._selector: selectors.BaseSelector | None = None

    def _careful(self, share: Share) -> Share:
        return Share(SHARED_GPU | share.environment, share.cores) if share.environment.get(GPUS) else share

    def free_slot(self) -> Slot | None:
        """A slot without a job, one whose worker is there if possible; None when all have one."""
        free = [slot for slot in self.slots if slot.task is None]
        return min(free, key=lambda slot: slot.worker is None and slot.spare is None, default=None)

    def give(self, slot: Slot, deadline: float) -> None:
        """Hands the slot's task to its worker, which is started if there is none.

        Args:
            slot: has a task.
            deadline: clock reading until which the task's code must run.

        Raises:
            OSError: no process can be started.
        """
        if slot.task is None:
            return
        slot.task.deadline = deadline
        if slot.worker is not None and slot.worker.leaving is not None:
            slot.worker = None  # it is still waited for
        if slot.worker is None:
            slot.worker, slot.spare = slot.spare or self._start(slot), None
        with suppress(OSError):  # it has just died, which `look` will tell
            slot.worker.give(slot.task)
        if self._isolate and slot.spare is None and room_for_another():
            slot.spare = self._start(slot)
            with suppress(OSError):
                slot.spare.prepare(slot.task.shared)

    def _start(self, slot: Slot) -> Worker:
        if self._selector is None:
            self._selector = selectors.DefaultSelector()
        try:
            worker = start(slot.share, self.slots.index(slot))
        except OSError as error:
            raise OSError(
                error.errno,
                f"workers: expected to start one more process, got {error.strerror or error} with {len(self._alive)} "
                "of them; ask for fewer workers, or allow more open files (ulimit -n) and processes (ulimit -u)",
            ) from error
        self._alive[worker] = None
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        if worker.watch is not None:
            self._selector.register(worker.watch.number, selectors.EVENT_READ, worker)
        return worker

    def finish(self, slot: Slot, report: Report) -> bool:
        """The slot's job has ended: its worker is free for another one, or leaves.

        Returns:
            Whether the slot is free; else the report waits until the worker has left the GPU.
        """
        worker = slot.worker
        if worker is not None:
            worker.busy = False
        if self._isolate and worker is not None:
            self._dismiss(worker)
            if slot.share.environment.get(GPUS):
                slot.final = report
                return False
            slot.worker = None
        slot.task = None
        return True

    def _dismiss(self, worker: Worker) -> None:
        """Asks a worker without a job to end."""
        worker.dismissed, worker.leaving = True, time.monotonic() + FAREWELL
        with suppress(OSError):
            worker.end()

    def wait(self, seconds: float) -> list[Worker]:
        """Waits until workers say something or die, or have not done what they were asked to; which ones."""
        if self._selector is None:
            return []
        now = time.monotonic()
        longest = min(seconds, self._next_deadline() - now, math.inf if self._watched() else PULSE)
        ready = self._selector.select(None if longest == math.inf else max(longest, 0.0))
        heard = dict.fromkeys(key.data for key, _ in ready)
        if not self._watched():
            heard |= dict.fromkeys(worker for worker in self._alive if worker.dead())
        return list(heard)

    def _watched(self) -> bool:
        """Whether the system tells when a process has died."""
        return all(worker.watch is not None for worker in self._alive)

    def news(self, worker: Worker) -> tuple[list[bytes], bool]:
        """What a worker has said, and whether it is dead; then it is not waited for any more."""
        dead = worker.dead()
        if dead:
            if not worker.dismissed:
                worker.signal(signal.SIGKILL)  # its children, one of which might go on sending
            messages = worker.channel.receive(pieces=10**6)
            self._forget(worker)
            return messages, True
        messages = worker.channel.receive()
        if worker.channel.ended:  # it ends, or the trial's code has closed it and nobody can reach the process
            self._unregister(worker.channel)
            if worker.leaving is None:
                worker.signal(signal.SIGKILL)
        return messages, False

    def _forget(self, worker: Worker) -> None:
        del self._alive[worker]
        self._unregister(worker.channel)
        if worker.watch is not None:
            self._unregister(worker.watch.number)

    def _unregister(self, thing: Any) -> None:
        if self._selector is not None and thing in self._selector.get_map():
            self._selector.unregister(thing)

    def _next_deadline(self) -> float:
        """Clock reading at which something must be ended."""
        tasks = (slot.task.deadline for slot in self.slots if slot.task is not None and not slot.task.overdue)
        leaving = (worker.leaving for worker in self._alive if worker.leaving is not None)
        return min(*tasks, *leaving, math.inf, math.inf)

    def end_overdue(self) -> None:
        """Asks processes whose job takes too long to end, and kills those that were asked in vain."""
        now = time.monotonic()
        for slot in self.slots:
            task, worker = slot.task, slot.worker
            if task is not None and worker is not None and not task.overdue and task.deadline <= now:
                task.overdue = True
                worker.leaving = now + GRACE
                worker.signal(signal.SIGTERM)
        for worker in self._alive:
            if worker.leaving is not None and worker.leaving <= now:
                worker.leaving = math.inf
                worker.signal(signal.SIGKILL)

    def close(self) -> None:
        """Ends every process: what has no job is asked to, what has one is told to, and then all are killed."""
        try:
            for worker in list(self._alive):
                if worker.busy:
                    worker.leaving = time.monotonic() + GRACE
                    worker.signal(signal.SIGTERM)
                elif not worker.used:
                    worker.signal(signal.SIGKILL)
                elif worker.leaving is None:
                    self._dismiss(worker)
            while self._alive:
                for worker in self.wait(GRACE):
                    if self.news(worker)[1]:
                        worker.bury()
                self.end_overdue()
        finally:
            for worker in list(self._alive):
                worker.signal(signal.SIGKILL)
            for worker in list(self._alive):
                self._forget(worker)
                worker.bury()
            for slot in self.slots:
                slot.worker = slot.spare = slot.task = slot.final = None
            if self._selector is not None:
                self._selector.close()
                self._selector = None
