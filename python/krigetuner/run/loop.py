"""The loop: ask for a job, hand it to the executor, record what comes back, until the study is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from krigetuner.run.executor import Executor
from krigetuner.run.interrupts import Interrupts
from krigetuner.run.messages import Failed, Job, Report, Reported
from krigetuner.search.protocol import Done, Wait

SHORTEST_PAUSE = 0.01
LONGEST_PAUSE = 1.0


class Study(Protocol):
    """What the loop drives. It decides and records; it does not know where jobs run."""

    def next_job(self, slot: int) -> Job | Wait | Done:
        """The next job for a free slot (0 ... capacity - 1), recorded as asked and started."""

    def record(self, report: Report) -> None:
        """Records one report; it is in the store when this returns."""


class Loop:
    """Drives one search.

    Args:
        study: decides and records.
        executor: runs the jobs.
        pause: waits where nothing runs here and the study says wait, that many seconds or less; `time.sleep` for None.

    Attributes:
        running: the slot of each job that was submitted and has not given its final report, by (number, attempt).
    """

    def __init__(self, study: Study, executor: Executor, pause: Callable[[float], None] | None = None) -> None:
        self._study = study
        self._pause = pause
        self._executor = executor
        self._interrupts = Interrupts()
        self._ending: BaseException | None = None
        self.running: dict[tuple[int, int], int] = {}

    def run(self) -> str:
        """Runs until nothing is left to do and returns the reason.

        Raises:
            FatalError, KeyboardInterrupt: of a job, after everything is recorded (SIGTERM is a KeyboardInterrupt).
            RuntimeError, StoreError: what `Study` raised.
        """
        with self._interrupts:
            try:
                return self._turn()
            except BaseException:
                self._abandon()
                raise

    def _turn(self) -> str:
        pause = SHORTEST_PAUSE
        while True:
            answer = self._fill()
            if self.running:
                self._executor.collect(self._deliver)
                pause = SHORTEST_PAUSE
                if self._ending is not None:
                    raise self._ending
            elif isinstance(answer, Done):
                return answer.reason
            else:
                (self._pause or time.sleep)(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _fill(self) -> Wait | Done | None:
        """Submits jobs until every slot is taken; else says why not."""
        while len(self.running) < self._executor.capacity:
            slot = min(set(range(self._executor.capacity)) - set(self.running.values()))
            with self._interrupts.held():
                answer = self._study.next_job(slot)
                if not isinstance(answer, Job):
                    return answer
                self.running[answer.number, answer.attempt] = slot
                self._executor.submit(answer)
        return None

    def _deliver(self, report: Report) -> None:
        with self._interrupts.held():
            if not isinstance(report, Reported):
                self.running.pop((report.number, report.attempt), None)
            self._study.record(report)
        if isinstance(report, Failed) and report.kind in {"fatal", "interrupted"}:
            self._ending = self._ending or report.error

    def _abandon(self) -> None:
        """Ends what still runs, and records it as interrupted."""
        with self._interrupts.held():
            self._executor.close()
            self._executor.collect(self._deliver, timeout=0)
            for number, attempt in list(self.running):
                self._deliver(Failed(number, attempt, "interrupted", "the search ended while the trial ran"))
