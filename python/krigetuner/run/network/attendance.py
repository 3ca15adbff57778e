"""Who is there: the workers of a chief, by what their connections tell.

A worker is one process. It attends over a connection, which ends when the process dies; then it has some seconds to
come back (the network may have failed, or the chief was too busy), before it is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Occupied(ValueError):
    """Another process of the same name is there."""


@dataclass(eq=False)
class Worker:
    """One process that works for the chief.

    Attributes:
        session: tells it from every other process.
        tuner_id: its name.
        host, pid: where it runs, for people.
        reports: False for the processes of a training on several machines that leave the reporting to one of them.
        shares: whether other processes may have the same name, since all of them train the same model.
        connection: the present attendance, None while there is none.
        silent_since: clock reading when the last attendance ended.
        busy: whether it was given a trial and has not asked for the next one yet.
        told: whether it has been told that the search is over.
        replies: the last replies by request, to be repeated when a reply was lost on its way.
        last: the trial that a process which does not report was given last.
    """

    session: str
    tuner_id: str
    host: str = ""
    pid: int = 0
    reports: bool = True
    shares: bool = False
    connection: object | None = None
    silent_since: float = 0.0
    busy: bool = False
    told: bool = False
    replies: dict[str, Any] = field(default_factory=dict)
    last: tuple[str, int] | None = None

    def __str__(self) -> str:
        return f"worker {self.tuner_id!r} (process {self.pid} on host {self.host!r})"


class Attendance:
    """The workers of one search; every method is called by one thread at a time.

    Args:
        patience: seconds that a worker may be away.
        clock: seconds from any moment.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._workers: dict[str, Worker] = {}

    def __iter__(self) -> Any:
        return iter(list(self._workers.values()))

    def __len__(self) -> int:
        return len(self._workers)

    def find(self, session: str) -> Worker | None:
        """The worker of a session, None when it was never there or is lost."""
        return self._workers.get(session)

    def arrive(self, worker: Worker) -> Worker:
        """A worker attends, for the first time or again.

        Returns:
            What is known of it.

        Raises:
            Occupied: a process of the same name is connected, and they do not share it.
        """
        for other in self._workers.values():
            same = other.session != worker.session and other.tuner_id == worker.tuner_id
            if same and other.connection is not None and not (worker.shares and other.shares):
                raise Occupied(
                    f"KERASTUNER_TUNER_ID: expected an id of its own for every worker, got {worker.tuner_id!r} from "
                    f"process {worker.pid} on host {worker.host!r}, which {other} has; give each process another one"
                )
        known = self._workers.setdefault(worker.session, worker)
        known.connection = object()
        return known

    def depart(self, worker: Worker, connection: object) -> None:
        """An attendance has ended; nothing happens when the worker has begun another one."""
        if worker.connection is connection:
            worker.connection, worker.silent_since = None, self._clock()

    def remove(self, worker: Worker) -> None:
        """The worker has said goodbye, or is lost."""
        self._workers.pop(worker.session, None)

    def overdue(self) -> list[Worker]:
        """The workers that have been away for too long."""
        now = self._clock()
        away = (w for w in self._workers.values() if w.connection is None)
        return [w for w in away if now - w.silent_since >= self.patience]

    def next_deadline(self) -> float | None:
        """Seconds until a worker that is away will be overdue; None when nobody is away."""
        now = self._clock()
        left = [w.silent_since + self.patience - now for w in self._workers.values() if w.connection is None]
        return max(min(left), 0.0) if left else None
