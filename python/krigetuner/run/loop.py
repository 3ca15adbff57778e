"""The loop: ask for a job, hand it to the executor, record what comes back, until the study is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from krigetuner.errors import FatalRuntimeError
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

    def prepare(self) -> None:
        """Called while every slot of several is taken: may work out what the next free one will be asked to run."""

    def record(self, report: Report) -> bool | None:
        """Records one report; it is in the store when this returns. True asks that the job ends early."""


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
        self._freed = False
        self.running: dict[tuple[int, int], int] = {}

    def run(self) -> str:
        """Runs until nothing is left to do, closes the executor, and returns the reason.

        Raises:
            FatalError, KeyboardInterrupt: of a job, after everything is recorded (SIGTERM is a KeyboardInterrupt).
            RuntimeError, StoreError: what `Study` raised.
        """
        with self._interrupts:
            try:
                reason = self._turn()
                self._executor.close()
            except BaseException:
                self._abandon()
                raise
            return reason

    def _turn(self) -> str:
        pause = SHORTEST_PAUSE
        while True:
            answer = self._fill()
            if self.running:
                self._gather(answer, pause)
                pause = SHORTEST_PAUSE if self._freed else min(2 * pause, LONGEST_PAUSE)
                if self._ending is not None:
                    raise self._ending
            elif isinstance(answer, Done):
                return answer.reason
            else:
                (self._pause or time.sleep)(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _gather(self, answer: Wait | Done | None, pause: float) -> None:
        """Takes reports until a slot is free, or until it is time to ask again."""
        self._freed = False
        if self._executor.capacity > 1 and answer is None:
            self._executor.collect(self._deliver, timeout=0)  # the next suggestion should know what is known
            if self._freed:
                return
            with self._interrupts.held():
                self._study.prepare()
        patience = math.inf if isinstance(answer, Done) else pause if isinstance(answer, Wait) else LONGEST_PAUSE
        until = time.monotonic() + patience
        while not self._freed and (left := until - time.monotonic()) > 0:
            self._executor.collect(self._deliver, min(left, LONGEST_PAUSE))

    def _fill(self) -> Wait | Done | None:
        """Submits jobs until every slot is taken; else says why not."""
        while len(self.running) < (capacity := self._executor.capacity):  # it may change at any moment
            slot = min(set(range(capacity)) - set(self.running.values()))
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
                self._freed = True
            if self._study.record(report):
                self._executor.stop(report.number)
        if isinstance(report, Failed) and report.kind in {"fatal", "interrupted"}:
            lost = FatalRuntimeError(f"search: a trial ended it:\n{report.message}") if report.kind == "fatal" else None
            self._ending = self._ending or report.error or lost

    def _abandon(self) -> None:
        """Ends what still runs, and records it as interrupted; the earliest trial will be the first to run again."""
        try:
            self._executor.close()
        except KeyboardInterrupt:  # the second one: at once
            self._executor.close()
        finally:
            with self._interrupts.held():
                self._settle()

    def _settle(self) -> None:
        """Records what is still owed; an error of one report comes after the others."""
        owed: list[Report] = []
        self._executor.collect(owed.append, timeout=0)
        given = {(report.number, report.attempt) for report in owed if not isinstance(report, Reported)}
        for number, attempt in self.running.keys() - given:
            owed.append(Failed(number, attempt, "interrupted", "the search ended while the trial ran"))
        errors: list[Exception] = []
        for report in sorted(owed, key=_last_to_run):
            try:
                self._deliver(report)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]


def _last_to_run(report: Report) -> tuple[bool, int]:
    """Sort key: what has happened in its order, then interrupted trials, for the last of them will be run first."""
    cut = isinstance(report, Failed) and report.kind == "interrupted"
    return cut, -report.number if cut else 0
