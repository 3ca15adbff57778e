"""The executor of Ray clusters: each trial runs in a process of its own under an actor that holds its resources.

User code never runs in the actor itself. So a trial that crashes kills its process and is its own failure, told by the
actor; an actor that is gone took the trial with it, which is run again.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from krigetuner.errors import KrigeTunerWarning
from krigetuner.run.interrupts import uninterrupted
from krigetuner.run.local.worker import packed_away
from krigetuner.run.messages import Deliver, Failed, Job, Report, Reported
from krigetuner.run.ray import cluster as ray_cluster
from krigetuner.run.ray.arrivals import Arrivals
from krigetuner.run.ray.cargo import Cargo, Depot
from krigetuner.run.ray.slots import Event, Slots
from krigetuner.run.ray.worker import Setup
from krigetuner.run.version import version

Key = tuple[int, int]
LOSSES = 2
"""How often a trial is run again after its worker or node was lost."""

BETWEEN = 0.05
"""Seconds between looks at whether files have come."""

FAREWELL = 5.0
"""Seconds that workers have to end their processes and remove their files."""

LONG_FAREWELL = 60.0
"""The same where they send the files of trials that were cut short."""

GLANCE = 5.0
"""Seconds after which the cluster's size is looked at again."""

LONE_WAIT = 30.0
"""Seconds without any worker after which a warning says what is asked for and what there is."""


@dataclass
class Errand:
    """A job on its way.

    Attributes:
        job: as submitted, but for its `run`.
        cargo: that work, packed.
        losses: how often its worker was lost.
        stopped: whether it was asked to end early.
        told: how often each (execution, step) was reported.
        again: of those, what the present run has yet to repeat, and is not told twice.
    """

    job: Job
    cargo: Cargo
    losses: int = 0
    stopped: bool = False
    told: Counter[tuple[int | None, int]] = field(default_factory=Counter)
    again: Counter[tuple[int | None, int]] = field(default_factory=Counter)

    def is_news(self, report: Report) -> bool:
        """Whether a report says something that an earlier run of the same job has not said."""
        if not isinstance(report, Reported) or report.discovered is not None:
            return True
        step = (report.execution, report.step)
        if self.again[step] > 0:
            self.again[step] -= 1
            return False
        self.told[step] += 1
        return True

    def cargo_again(self) -> Cargo:
        """The work for another worker than the one that was lost: the trial goes on from what that one has sent."""
        return replace(self.cargo, fetched=tuple({*self.cargo.fetched, self.job.trial_id}))

    def lose(self) -> None:
        """The worker is gone; the next run repeats what this one has told."""
        self.losses += 1
        self.again = self.told.copy()


class RayExecutor:
    """Runs trials on a Ray cluster; keeps the laws of tests/contracts/executor.py.

    Nothing is started before the search. Ray places the workers, one trial each at a time; what it scales, follows: a
    cluster that grows is used, and a lost node costs no trial. Its `capacity` is the number of workers that run.

    Args:
        num_workers: trials at a time; None for as many as the cluster has room for, at any moment.
        resources_per_trial: in Ray's units, default {"CPU": 1}; "GPU", "memory" in bytes, custom ones.
        address: of a running cluster, "auto" for the one of this machine; None takes RAY_ADDRESS, or starts a cluster
            of this machine that ends with the search. A process that has called `ray.init` uses what that joined.
        isolate: a fresh process for every trial.
        logs: the project directory, in whose trial directories the output goes; the search fills it in.
        files: URL of a directory for the trials' files, such as "s3://bucket/search", one for each project, where
            nodes do not share a disk with this machine; a trial's files come to its directory here when it has ended.
            None where all nodes see the project directory.
        runtime_env: Ray's environment of the workers, such as {"env_vars": {...}, "pip": [...]}.

    Raises:
        MissingDependency: Ray is not installed.
        ValueError: an argument is none of those.
    """

    def __init__(
        self,
        num_workers: int | None = None,
        resources_per_trial: Mapping[str, float] | None = None,
        address: str | None = None,
        *,
        isolate: bool = False,
        logs: str | Path | None = None,
        files: str | None = None,
        runtime_env: Mapping[str, Any] | None = None,
    ) -> None:
        ray_cluster.require_ray()
        whole = isinstance(num_workers, int) and not isinstance(num_workers, bool) and num_workers > 0
        if num_workers is not None and not whole:
            raise ValueError(
                f"num_workers: expected a positive number, or None for as many as fit, got {num_workers!r}; correct it"
            )
        self.num_workers = num_workers
        self.resources = ray_cluster.checked_resources(resources_per_trial)
        self.address = address
        self.isolate = isolate
        self.logs: str | Path | None = logs
        self._own_logs = logs
        self.files = files
        self.runtime_env = runtime_env
        self._slots: Slots | None = None
        self._ours = False
        self._errands: dict[Key, Errand] = {}
        self._backlog: deque[Key] = deque()
        self._owed: deque[Report] = deque()
        self._depot = Depot()
        self._arrivals: Arrivals | None = None
        self._mark: Path | None = None

    @property
    def capacity(self) -> int:
        """How many workers run at present; the first call waits for one.

        Raises:
            ConnectionError: there is no cluster at the address.
            ValueError: this machine does not have what one trial needs.
            RuntimeError: workers cannot be started; the message has the reason.
        """
        slots = self._open()
        slots.tend()
        if slots.starting:
            self._grown(0.0)
        return slots.ready

    def _open(self) -> Slots:
        """Joins or starts the cluster and waits for the first worker."""
        if self._slots is None:
            try:
                self._ours, started = ray_cluster.join(self.address, self.runtime_env)
                logs = None if self.logs is None else str(Path(self.logs).absolute())
                self._arrivals = self._open_arrivals(logs)
                beside = None if self._ours else self.runtime_env  # else the connection has it
                self._slots = Slots(self._setup(logs), self.resources, self.num_workers, beside)
                if started:
                    self._compare()
                self._mind_gpus()
                self._await_a_worker(self._slots)
            except BaseException:
                self.close()
                raise
        return self._slots

    def _setup(self, logs: str | None) -> Setup:
        """What the workers are told."""
        cpus = max(1, int(self.resources.get("CPU", 1)))
        gpus = float(self.resources.get("GPU", 0))
        search = uuid4().hex
        if logs is not None and self.files is None and Path(logs).is_dir():
            self._mark = Path(logs, f".writing-{search}")
            self._mark.touch()
        mark = None if self._mark is None else str(self._mark)
        return Setup(search, cpus, gpus, self.isolate, logs, self.files, mark, version())

    def _open_arrivals(self, project: str | None) -> Arrivals | None:
        """What brings the trials' files here, when they are at a URL."""
        if self.files is None:
            return None
        if project is None:
            raise ValueError("logs: expected the project directory, since `files` has a URL, got None; name it")
        made = Arrivals(self.files, project)
        made.check()
        return made

    def _compare(self) -> None:
        """What is asked for against what this machine has, which no autoscaler will enlarge."""
        fitting = ray_cluster.room(self.resources)
        if not fitting:
            raise ValueError(
                f"resources_per_trial: expected what this machine has, {ray_cluster.offers()}, got {self.resources}; "
                "ask for less, or give the address of a larger cluster"
            )
        if self.num_workers is not None and self.num_workers > fitting:
            warnings.warn(
                f"num_workers: expected at most {fitting}, since this machine has {ray_cluster.offers()} and a trial "
                f"takes {self.resources}, got {self.num_workers}; only {fitting} run at a time",
                KrigeTunerWarning,
                stacklevel=6,
            )

    def _mind_gpus(self) -> None:
        """Ray shows a worker no GPU that was not asked for, which is seldom meant where there are some."""
        if "GPU" not in self.resources and ray_cluster.room({"GPU": 1}):
            warnings.warn(
                f"gpus_per_trial: expected a number, since the cluster has GPUs, {ray_cluster.offers()}, got none, so "
                'that trials see none of them; give gpus_per_trial=1 (a RayExecutor: "GPU": 1), or 0',
                KrigeTunerWarning,
                stacklevel=6,
            )

    def _await_a_worker(self, slots: Slots) -> None:
        """Waits until a trial can run; a warning says why it takes long."""
        began, warned = time.monotonic(), False
        while not slots.ready:
            slots.tend()
            list(slots.listen(1.0))
            if not warned and not slots.ready and time.monotonic() - began > LONE_WAIT:
                warned = True
                warnings.warn(
                    f"resources_per_trial: expected free nodes for {self.resources}, got none in {LONE_WAIT:.0f} s; "
                    f"the cluster has {ray_cluster.offers()} in all; the search waits until Ray has room",
                    KrigeTunerWarning,
                    stacklevel=5,
                )

    def submit(self, job: Job) -> None:
        """Takes a job; one for which no worker is free waits here.

        Raises:
            TypeError: the job cannot be pickled; the message names the attribute.
        """
        self._open()
        key = (job.number, job.attempt)
        needed = () if self._arrivals is None else self._arrivals.needed(job)
        self._errands[key] = Errand(replace(job, run=packed_away), self._depot.cargo(job, needed))
        self._backlog.append(key)
        self._hand_out()

    def collect(self, deliver: Deliver, timeout: float | None = None) -> int:
        """Hands out the reports that have come; returns early with none when `capacity` has grown, or without jobs."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            count = self._deliver(deliver)
            left = deadline - time.monotonic()
            if count or not (self._errands or self._arrivals):
                return count
            longest = BETWEEN if self._arrivals else GLANCE
            if self._grown(max(0.0, min(left, longest))) or (left <= 0 and not self._owed):
                return 0

    def _deliver(self, deliver: Deliver) -> int:
        """Hands out what is owed."""
        count = 0
        while self._owed:
            with uninterrupted():
                deliver(self._owed.popleft())
            count += 1
        return count

    def _grown(self, seconds: float) -> bool:
        """Listens to the workers; whether only their number has grown meanwhile."""
        slots = self._open()
        slots.tend()
        before = slots.ready
        for event in slots.listen(seconds):
            self._take(event)
        self._owed.extend(self._arrivals.arrived() if self._arrivals else ())
        self._hand_out()
        return slots.ready > before and not self._owed

    def _take(self, event: Event) -> None:
        """One event: reports, or a loss."""
        errand = self._errands.get(event.slot.job) if event.slot.job is not None else None
        if errand is None:
            return
        key = (errand.job.number, errand.job.attempt)
        if event.loss is not None:
            self._rerun(key, errand, event.loss)
            return
        for report in event.reports:
            if isinstance(report, Reported) or self._arrivals is None:
                self._owed.extend([report] if errand.is_news(report) else [])
            else:
                self._arrivals.bring(report, errand.job.trial_id)
        if event.reports and not isinstance(event.reports[-1], Reported):
            del self._errands[key]
            event.slot.become_idle()
        else:
            event.slot.more()

    def _rerun(self, key: Key, errand: Errand, loss: Exception) -> None:
        """A job whose worker is gone: again from the beginning, or the end of it."""
        errand.lose()
        if errand.losses <= LOSSES:
            self._backlog.appendleft(key)
            return
        del self._errands[key]
        message = (
            f"The trial's worker or its node was lost {errand.losses} times; it is not run again. Last of it: {loss}"
        )
        self._owed.append(Failed(*key, "failed", message))

    def _hand_out(self) -> None:
        """Gives what waits to workers that are free."""
        while self._backlog and self._slots is not None and (slot := self._slots.idle()) is not None:
            key = self._backlog.popleft()
            errand = self._errands[key]
            slot.run(errand.job, errand.cargo_again() if errand.losses else errand.cargo, errand.stopped)

    def stop(self, number: int) -> None:
        """Asks the job of that trial to end early."""
        for key, errand in self._errands.items():
            slot = self._slots.of(key) if key[0] == number and self._slots is not None else None
            errand.stopped = errand.stopped or key[0] == number
            if slot is not None:
                slot.stop(number)

    def close(self) -> None:
        """Ends the workers with what they run, which the next `collect` reports as interrupted; a later `submit` begins
        anew. A cluster that was started here ends, another one is left as it is.
        """
        self.logs = self._own_logs  # the next search may be another project's
        slots, self._slots = self._slots, None
        try:
            if slots is not None:
                for event in slots.listen(0):
                    self._take(event)
        finally:
            for key in self._errands:
                self._owed.append(Failed(*key, "interrupted", "the executor was closed while it ran"))
            self._errands.clear()
            self._backlog.clear()
            self._depot.clear()
            try:
                if slots is not None:
                    slots.close(LONG_FAREWELL if self.files else FAREWELL)
                if self._arrivals is not None:
                    self._owed.extend(self._arrivals.close())
            finally:
                self._arrivals = None
                if self._mark is not None:
                    self._mark.unlink(missing_ok=True)
                    self._mark = None
                if self._ours:
                    self._ours = False
                    ray_cluster.leave()
