"""The files of trials that ran on other machines' disks, as the conductor sees them: sent there, and brought here."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from krigetuner.errors import StoreError
from krigetuner.run.messages import Failed, Finished, Job
from krigetuner.run.ray.luggage import unkept
from krigetuner.store.artifacts import MARK, trial_directory
from krigetuner.store.remote_files import RemoteFiles

AT_ONCE = 4
"""How many trials' files come at the same time."""

Final = Finished | Failed


class Arrivals:
    """Holds a trial's final report back until its files are here.

    Args:
        url: of the files.
        project: the project directory, on this machine.

    Raises:
        MissingDependency: fsspec, or the package of the protocol, is not installed.
        ValueError: fsspec does not know such a URL.
    """

    def __init__(self, url: str, project: str) -> None:
        self._remote = RemoteFiles(url)
        self._project = project
        self._known: set[str] = set()
        self._pool = ThreadPoolExecutor(AT_ONCE, "krigetuner-files")
        self._coming: list[tuple[Final, Future[None]]] = []

    def check(self) -> None:
        """Writes a file and removes it.

        Raises:
            StoreError: that is not allowed, or not possible.
        """
        self._remote.check()

    def needed(self, job: Job) -> tuple[str, ...]:
        """The trials whose files a job needs; what only this machine has of them is sent to the URL first.

        Raises:
            StoreError: it could not be sent.
        """
        own = [job.trial_id] if job.attempt else []
        found = [*own, *([job.parent_id] if job.parent_id is not None else [])]
        for trial_id in found:
            if trial_id not in self._known and self._has(trial_id):
                self._remote.put(trial_id, trial_directory(self._project, trial_id))
            self._known.add(trial_id)
        return tuple(found)

    def _has(self, trial_id: str) -> bool:
        """Whether files of a trial are here."""
        return any(p.is_file() and p.name != MARK for p in trial_directory(self._project, trial_id).rglob("*"))

    def bring(self, report: Final, trial_id: str) -> None:
        """Begins to fetch the files of a trial that has ended."""
        self._known.add(trial_id)
        directory = trial_directory(self._project, trial_id, create=True)
        self._coming.append((report, self._pool.submit(self._remote.get, trial_id, directory)))

    def __bool__(self) -> bool:
        """Whether reports wait for their files."""
        return bool(self._coming)

    def arrived(self) -> Iterator[Final]:
        """The reports whose files are here; a result whose files cannot be had is a failure."""
        for entry in [entry for entry in self._coming if entry[1].done()]:
            yield _judged(*entry)
            self._coming.remove(entry)

    def close(self) -> Iterator[Final]:
        """Waits for what is on its way."""
        self._pool.shutdown(wait=True)
        yield from self.arrived()


def _judged(report: Final, coming: Future[None]) -> Final:
    error = coming.exception()
    if error is None or isinstance(report, Failed):
        return report
    if not isinstance(error, StoreError | OSError):
        raise error
    return unkept(report, error)
