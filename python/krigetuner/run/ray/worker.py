"""What runs on Ray's nodes: an actor that holds a trial's resources and watches over the process that runs it."""

from __future__ import annotations

import os
import platform
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from krigetuner.run.local.parcels import Package, Parcel
from krigetuner.run.local.resources import GPUS, Share, present_machine, shares
from krigetuner.run.messages import Job, Report
from krigetuner.run.ray.cargo import Cargo, Stored
from krigetuner.run.ray.cluster import loaded
from krigetuner.run.ray.luggage import Luggage
from krigetuner.run.version import version

GLANCE = 0.5
"""Seconds after which somebody who waits for reports lets others have their turn."""

BREATH = 60.0
"""Seconds after which a question for reports is answered even when there are none."""


@dataclass(frozen=True)
class Setup:
    """What every worker of a search is told.

    Attributes:
        search: names the search among all.
        cpus: of one trial; sets how many threads its libraries start.
        gpus: of one trial; a fraction tells frameworks not to take all of a GPU's memory.
        isolate: whether each trial gets a fresh process.
        logs: the project directory, for the trials' output; None for nowhere.
        files: URL of the trials' files; None where all nodes see the project directory.
        mark: a file in the project directory; who sees it sees what the trials write. None for no check.
        version: of the conductor's krigetuner.
    """

    search: str
    cpus: int
    gpus: float
    isolate: bool
    logs: str | None
    files: str | None
    mark: str | None
    version: str


class TrialWorker:
    """The actor. It runs one job at a time in a child process, so that it outlives whatever user code does.

    Its methods run in several threads: one waits for reports while others give orders.

    Raises:
        RuntimeError: another version of krigetuner is installed here.
    """

    def __init__(self, setup: Setup) -> None:
        from krigetuner.run.local.processes import ProcessExecutor
        from krigetuner.run.ray.files import NodeFiles

        if version() != setup.version:
            raise RuntimeError(
                f"krigetuner: expected version {setup.version} on every node, as on the conductor's, got {version()} "
                f"on {platform.node()}; install the same one"
            )
        self._lock = threading.Lock()
        self._order: int | None = None
        self._reports: list[Report] = []
        self._shared: dict[str, Parcel] = {}
        # the cores stay Ray's affair: its workers of one node do not know which ones the others take
        self._files = NodeFiles(setup.search)
        self._luggage = Luggage(setup.files, setup.logs, self._files.directory / f"disk-{os.getpid()}")
        share = shares(1, setup.gpus if GPUS in os.environ or not setup.gpus else None, setup.cpus, present_machine())
        environment = {**share[0].environment, **self._luggage.environment}
        self._executor = ProcessExecutor(
            1, isolate=setup.isolate, logs=self._luggage.logs, divided=[Share(environment)]
        )
        self._mark = setup.mark
        self._closing = False

    def ready(self) -> str:
        """Answers when the actor has its resources and runs: with its host where that has another project directory."""
        self._files.open()
        return "" if self._mark is None or Path(self._mark).exists() else platform.node()

    def watch(self) -> None:
        """Never answers; its failure tells that the actor is gone."""
        threading.Event().wait()

    def run(self, job: Job, cargo: Cargo, stopped: bool, told: int) -> list[Report]:
        """Begins a job, unless it has begun, and gives its reports behind the first `told`.

        Args:
            job: with nothing to run.
            cargo: what it runs.
            stopped: whether it was asked to end early already.
            told: how many reports have arrived.
        """
        with self._lock:
            if self._order != cargo.order:
                self._luggage.unpack(job, cargo.fetched)
                package = Package(cargo.run, {key: self._file(key, stored) for key, stored in cargo.shared.items()})
                self._executor.submit(Job(job.number, job.attempt, job.trial_id, package, job.timeout))
                self._order, self._reports = cargo.order, []
        if stopped:
            self.stop(job.number)
        return self.more(told)

    def _file(self, key: str, stored: Stored) -> Parcel:
        """A shared value in the node's file."""
        if key not in self._shared:
            self._shared[key] = Parcel(stored.sizes, self._files.file(key, partial(loaded().get, stored.reference)))
        return self._shared[key]

    def more(self, told: int) -> list[Report]:
        """The job's reports behind the first `told`; waits for one, but not for ever."""
        end = time.monotonic() + BREATH
        while not self._closing and time.monotonic() < end:
            with self._lock:
                if len(self._reports) <= told:
                    self._executor.collect(self._reports.append, timeout=GLANCE)
                    self._luggage.keep(self._reports)
                if len(self._reports) > told:
                    return self._reports[told:]
        return []

    def stop(self, number: int) -> None:
        """Asks the job of that trial to end early."""
        self._executor.stop(number)

    def close(self) -> None:
        """Ends the child process and removes what it needed."""
        self._closing = True
        with self._lock:
            self._executor.close()
            try:
                self._luggage.close()
            finally:
                self._files.close()
