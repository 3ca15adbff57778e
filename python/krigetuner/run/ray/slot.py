"""One place for a trial in a Ray cluster: an actor that holds the resources, as the conductor sees it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Literal

from krigetuner.run.messages import Job, Report
from krigetuner.run.ray.cargo import Cargo
from krigetuner.run.ray.cluster import loaded
from krigetuner.run.ray.worker import Setup, TrialWorker

PAUSE = 1.0
"""Seconds before an actor that could not be reached is asked again."""

PATIENCE = 120.0
"""Seconds after which an actor that cannot be reached counts as lost; Ray mostly knows sooner."""

About = Literal["ready", "reports", "watch"]


class Slot:
    """An actor, and what it was asked.

    Attributes:
        state: "starting" until the actor has its resources and its process; "idle" or "busy" then.
        job: the job that runs in it, by (number, attempt).
        idle_since: when it became idle, by the monotonic clock.
        apart: its host, where that has another project directory than the conductor; else "".
        answers: what was asked and not answered yet: the reference and what it is about.
    """

    def __init__(self, setup: Setup, options: Mapping[str, Any]) -> None:
        self.actor: Any = loaded().remote(TrialWorker).options(**options).remote(setup)
        self.state: Literal["starting", "idle", "busy"] = "starting"
        self.job: tuple[int, int] | None = None
        self.idle_since = 0.0
        self.apart = ""
        self.answers: dict[Any, About] = {self.actor.ready.remote(): "ready"}
        self._order: tuple[Job, Cargo, bool] | None = None
        self._told = 0
        self._failed: set[About] = set()
        self._failed_since = math.inf
        self._again_at = math.inf

    def became_ready(self) -> None:
        """Its process runs: from now on its death is noticed at once."""
        self.answers[self.actor.watch.remote()] = "watch"
        self.become_idle()

    def become_idle(self) -> None:
        """It can take a job."""
        self.state, self.job, self.idle_since = "idle", None, time.monotonic()
        self._order = None

    def run(self, job: Job, cargo: Cargo, stopped: bool) -> None:
        """Begins a job, whose work is the cargo; its reports are asked for with it."""
        self.state, self.job = "busy", (job.number, job.attempt)
        self._order, self._told = (job, cargo, stopped), 0
        self.answers[self.actor.run.remote(*self._order, 0)] = "reports"

    def more(self) -> None:
        """Asks for the next reports of the job."""
        self.answers[self.actor.more.remote(self._told)] = "reports"

    def stop(self, number: int) -> None:
        """Asks the job of that trial to end early."""
        if self._order is not None:
            self._order = (self._order[0], self._order[1], True)
        self.actor.stop.remote(number)

    def answer(self, reference: Any) -> tuple[Report, ...] | None:
        """What came for a reference that is there: reports, where it is about them; None when it did not come through.

        Raises:
            ray.exceptions.RayError: the actor, its node or its start failed.
        """
        about, now = self.answers[reference], time.monotonic()
        try:
            found = loaded().get(reference)  # an interrupt here loses nothing: it is asked for again
        except loaded().exceptions.RayError as error:
            del self.answers[reference]
            self._failed_since = min(self._failed_since, now)
            cut_off = isinstance(error, loaded().exceptions.ActorUnavailableError)
            if not cut_off or now - self._failed_since > PATIENCE:
                raise
            self._failed.add(about)  # the connection broke; the actor may live
            self._again_at = now + PAUSE
            return None
        del self.answers[reference]
        self._failed_since = math.inf
        if about == "ready":
            self.apart = found
        if about != "reports":
            return ()
        self._told += len(found)
        return tuple(found)

    def ask_again(self) -> bool:
        """Repeats what was asked of an actor that could not be reached, after a pause; whether there is such a thing.

        The actor knows what it has done already.
        """
        if self._failed and time.monotonic() >= self._again_at:
            failed, self._failed = self._failed, set()
            if "ready" in failed:
                self.answers[self.actor.ready.remote()] = "ready"
            if "watch" in failed:
                self.answers[self.actor.watch.remote()] = "watch"
            if "reports" in failed and self._order is not None:
                self.answers[self.actor.run.remote(*self._order, self._told)] = "reports"
        return bool(self._failed)

    def kill(self) -> None:
        """Ends the actor at once; its child process ends with it."""
        self.answers.clear()
        loaded().kill(self.actor)
