"""The places for trials in a Ray cluster: as many as are wanted or as fit, replaced when they are lost."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from krigetuner.errors import KrigeTunerWarning
from krigetuner.run.interrupts import uninterrupted
from krigetuner.run.messages import Report
from krigetuner.run.ray import cluster as ray_cluster
from krigetuner.run.ray.cluster import loaded
from krigetuner.run.ray.slot import PAUSE, Slot
from krigetuner.run.ray.worker import Setup

BAD_STARTS = 6
"""After how many vain attempts in a row to start a worker, each after a longer pause, the search is given up."""

GLANCE = 5.0
"""Seconds between two looks at the cluster's size."""

IDLE = 60.0
"""Seconds after which a worker without work is given back, all but one, where their number is left to Ray."""


@dataclass(frozen=True)
class Event:
    """What a slot said: reports of its job, or the error by which it is lost."""

    slot: Slot
    reports: tuple[Report, ...] = ()
    loss: Exception | None = None


class Slots:
    """Starts slots, listens to them, and lets go of those that are not needed.

    Args:
        setup: of every worker.
        resources: that a slot holds.
        number: how many; None for as many as the cluster has room for, and somewhat more asked for while all are busy.
        runtime_env: Ray's environment of the workers.
    """

    def __init__(
        self, setup: Setup, resources: Mapping[str, float], number: int | None, runtime_env: Mapping[str, Any] | None
    ) -> None:
        self._setup = setup
        self._resources = resources
        self._number = number
        self._options = {
            **ray_cluster.actor_options(resources),
            "max_concurrency": 8,  # a wait for reports, one for the end, and orders between them
            "max_restarts": 0,
            "max_task_retries": 0,
            **({"runtime_env": dict(runtime_env)} if runtime_env else {}),
        }
        self._slots: list[Slot] = []
        self._warned = False
        self._room = 0
        self._target = 0
        self._looked = -GLANCE
        self._bad_starts = 0
        self._pause_until = 0.0

    @property
    def ready(self) -> int:
        """How many can run a trial, or run one."""
        return sum(slot.state != "starting" for slot in self._slots)

    @property
    def starting(self) -> int:
        """How many wait for their resources or their process."""
        return len(self._slots) - self.ready

    def idle(self) -> Slot | None:
        """One that waits for a job."""
        return next((slot for slot in self._slots if slot.state == "idle"), None)

    def of(self, job: tuple[int, int]) -> Slot | None:
        """The one that runs a job."""
        return next((slot for slot in self._slots if slot.job == job), None)

    def tend(self) -> None:
        """Starts what is missing and lets go of what is too much."""
        missing = self._wanted() - len(self._slots)
        if time.monotonic() >= self._pause_until:
            for _ in range(missing):
                self._slots.append(Slot(self._setup, self._options))
        if self._number is None:
            self._release(-missing)

    def _wanted(self) -> int:
        """How many there should be.

        Where Ray decides: while none waits for work, all that fit and a quarter more, so that an autoscaler sees that
        more would be used; while one does, no more than before, and none beyond those that fit.
        """
        if self._number is not None:
            return self._number
        if time.monotonic() - self._looked >= GLANCE:
            self._looked, self._room = time.monotonic(), ray_cluster.room(self._resources)
        if self.idle() is None:
            self._target = max(self._room, self.ready) + (max(1, self._room // 4) if self.ready else not self._room)
        else:
            self._target = min(self._target, max(self._room, self.ready))
        return self._target

    def _release(self, surplus: int) -> None:
        """Gives up slots that are still starting, and idle ones but one."""
        for slot in [s for s in self._slots if s.state == "starting"][::-1][: max(surplus, 0)]:
            self._drop(slot)
        now = time.monotonic()
        for slot in [s for s in self._slots if s.state == "idle"][1:]:
            if now - slot.idle_since > IDLE:
                self._drop(slot)
                self._target -= 1

    def _drop(self, slot: Slot) -> None:
        self._slots.remove(slot)
        slot.kill()

    def listen(self, seconds: float) -> Iterator[Event]:
        """What the slots said, waiting for the first word up to so many seconds; not as long while nobody can be asked.

        An interrupt waits until all that was heard is taken.

        Raises:
            RuntimeError: workers cannot be started; the message has the reason.
        """
        ray = loaded()
        unreachable = [slot for slot in self._slots if slot.ask_again()]
        asked = {reference: slot for slot in self._slots for reference in slot.answers}
        if unreachable or not asked:
            seconds = min(PAUSE, seconds)
        if not asked:
            time.sleep(seconds)
            return
        heard, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        if not heard and seconds:
            heard, _ = ray.wait(list(asked), num_returns=1, timeout=seconds)
        with uninterrupted():
            for reference in heard:
                yield from self._heard(asked[reference], reference)

    def _heard(self, slot: Slot, reference: Any) -> list[Event]:
        """One answer of a slot."""
        about = slot.answers.get(reference)
        if about is None:  # lost a moment ago
            return []
        try:
            reports = slot.answer(reference)
        except loaded().exceptions.RayError as error:
            # a job's last reports may be there although its worker is gone: they, or their failure, decide
            return [] if about == "watch" and slot.state == "busy" else self._lost(slot, error)
        if reports is None:
            return []
        if about == "ready":
            self._bad_starts = 0
            slot.became_ready()
            self._warn_of(slot.apart)
        return [Event(slot, reports)] if about == "reports" else []

    def _warn_of(self, host: str) -> None:
        """Says once that what trials write on a host is not seen by others."""
        if host and not self._warned:
            self._warned = True
            warnings.warn(
                f"directory: expected a project directory that all nodes see, got {self._setup.logs}, which is another "
                f"one on {host}: weights of trials that run there stay there; choose a shared path, or give "
                "RayExecutor(files=...) a URL",
                KrigeTunerWarning,
                stacklevel=2,
            )

    def _lost(self, slot: Slot, error: Exception) -> list[Event]:
        """A slot that is gone, or could not be started.

        Raises:
            RuntimeError: what it ran at its start raised, or no slot could be started many times in a row.
        """
        self._drop(slot)
        if slot.state != "starting":
            return [Event(slot, loss=error)]
        if time.monotonic() >= self._pause_until:
            self._bad_starts += 1
            self._pause_until = time.monotonic() + min(2.0 ** (self._bad_starts - 2), 30.0)
        if self._bad_starts >= BAD_STARTS or getattr(error, "actor_init_failed", True):
            raise RuntimeError(
                f"executor: expected Ray to start workers that can import krigetuner, got: {error}; install the same "
                "krigetuner and Python on every node, or name them in runtime_env"
            ) from error
        return []

    def close(self, seconds: float) -> None:
        """Lets all workers end their processes and remove their files, for so many seconds, then ends them."""
        ray = loaded()
        try:
            farewells = [slot.actor.close.remote() for slot in self._slots if slot.state != "starting"]
            if farewells:
                ray.wait(farewells, num_returns=len(farewells), timeout=seconds)
        finally:
            while self._slots:
                self._drop(self._slots[-1])
