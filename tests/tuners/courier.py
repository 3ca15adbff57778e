"""An executor whose jobs travel as they do to another process and run in this one, in an order that a test decides."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from krigetuner.run.executor import failure
from krigetuner.run.local.pickled import pickled
from krigetuner.run.messages import Deliver, Failed, Finished, Job, Report, Reported, found_out


class CourierContext:
    """Collects what a job says."""

    def __init__(self, job: Job, stopped: set[int]) -> None:
        self.job, self.stopped = job, stopped
        self.said: list[Report] = []

    def report(self, step: int, metrics: Mapping[str, float], execution: int | None = 0) -> None:
        self.said.append(Reported(self.job.number, self.job.attempt, execution, step, metrics))

    def tell(self, discovered: Mapping[str, Any]) -> None:
        self.said.append(found_out(self.job, discovered))

    def should_stop(self) -> bool:
        return self.job.number in self.stopped


class Courier:
    """Has so many slots.

    Args:
        capacity: number of slots.
        first: chooses the job that ends next, from the numbers of those that run; the earliest by default.
        lost: numbers of the trials whose first attempt dies.
    """

    def __init__(
        self, capacity: int = 1, first: Callable[[Sequence[int]], int] = min, lost: Sequence[int] = ()
    ) -> None:
        self.capacity = capacity
        self.first, self.lost = first, list(lost)
        self.parcels: dict[int, bytes] = {}
        self.owed: list[Report] = []
        self.submitted: list[tuple[int, int]] = []
        self.most, self.closed = 0, 0
        self.stopped: set[int] = set()

    def submit(self, job: Job) -> None:
        self.parcels[job.number] = pickled(job)
        self.submitted.append((job.number, job.attempt))
        self.most = max(self.most, len(self.parcels))

    def collect(self, deliver: Deliver, timeout: float | None = None) -> int:
        owed, self.owed = self.owed, []
        if not owed and self.parcels and timeout != 0:
            owed = self.run(pickle.loads(self.parcels.pop(self.first(sorted(self.parcels)))))
        for report in owed:
            deliver(report)
        return len(owed)

    def run(self, job: Job) -> list[Report]:
        context = CourierContext(job, self.stopped)
        if job.number in self.lost:
            self.lost.remove(job.number)
            return [Failed(job.number, job.attempt, "invalid", "the process died (SIGSEGV)")]
        try:
            final: Report = Finished(job.number, job.attempt, job.run(context))
        except Exception as error:
            final = failure(job, error)
        return pickle.loads(pickle.dumps([*context.said, final]))  # type: ignore[no-any-return]

    def stop(self, number: int) -> None:
        self.stopped.add(number)

    def close(self) -> None:
        self.closed += 1
        for number in self.parcels:
            self.owed.append(Failed(number, 0, "interrupted", "closed"))
        self.parcels.clear()
