"""The files of trials on nodes that do not share the conductor's disk: fetched before a trial runs, sent after it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from krigetuner.errors import StoreError
from krigetuner.run.messages import Failed, Finished, Job, Report, Reported
from krigetuner.store.artifacts import ROOT, rooted, trial_directory
from krigetuner.store.remote_files import RemoteFiles

SHORTEST = 30.0
"""Seconds between two transfers while a trial runs."""

SHARE = 0.1
"""At most this share of the time goes into them."""


class Luggage:
    """A worker's side.

    Args:
        url: of the files; None where all nodes see the project directory, and nothing is to be done.
        project: the project directory, as the conductor has it.
        disk: a directory of this worker alone, for the files of the trial that runs.

    Attributes:
        environment: tells the processes that run trials where their files are.
        logs: the project directory here.
    """

    def __init__(self, url: str | None, project: str | None, disk: Path) -> None:
        self._remote = None if url is None or project is None else RemoteFiles(url)
        self._disk = disk
        self._job: Job | None = None
        self._sent_at = self._cost = 0.0
        self.environment = {} if self._remote is None else {ROOT: str(disk)}
        self.logs = project if self._remote is None or project is None else str(rooted(project, str(disk)))
        if self._remote is not None:
            self._remote.check()

    def unpack(self, job: Job, fetched: tuple[str, ...]) -> None:
        """Makes ready what a job needs.

        Args:
            job: that will run.
            fetched: trials whose files it needs, its own among them when it is not run for the first time.

        Raises:
            StoreError: they could not be fetched.
        """
        if self._remote is None or self.logs is None:
            return
        shutil.rmtree(self._disk, ignore_errors=True)
        for trial_id in fetched:
            self._remote.get(trial_id, trial_directory(self.logs, trial_id, create=True))
        if job.trial_id not in fetched:
            self._send(job)  # nothing: what an earlier search has left there is not this trial's
        self._job = job

    def keep(self, reports: list[Report]) -> None:
        """Sends what a trial has written, now and then and at its end; a failure to do so is then the trial's."""
        job, last = self._job, reports[-1] if reports else None
        if job is None:
            return
        if last is None or isinstance(last, Reported):
            if time.monotonic() - self._sent_at > max(SHORTEST, self._cost / SHARE):
                self._try_to_send(job)
            return
        self._job = None
        error = self._try_to_send(job)
        if error is not None and isinstance(last, Finished):
            reports[-1] = unkept(last, error)
        shutil.rmtree(self._disk, ignore_errors=True)

    def _try_to_send(self, job: Job) -> StoreError | None:
        """What came in the way, None for nothing."""
        try:
            self._send(job)
        except StoreError as error:
            self._sent_at = time.monotonic()
            return error
        return None

    def _send(self, job: Job) -> None:
        if self._remote is not None and self.logs is not None:
            began = time.monotonic()
            self._remote.put(job.trial_id, trial_directory(self.logs, job.trial_id))
            self._sent_at = time.monotonic()
            self._cost = self._sent_at - began

    def close(self) -> None:
        """Sends what the trial that was cut short has written."""
        job, self._job = self._job, None
        if job is not None:
            self._send(job)


def unkept(report: Finished, error: Exception) -> Failed:
    """What becomes of a result whose files are lost."""
    return Failed(report.number, report.attempt, "invalid", str(error), discovered=report.outcome.discovered)
