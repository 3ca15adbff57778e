"""The chief of a search of several processes: it owns the oracle and the record, and workers ask it for trials.

One lock, the oracle's, is held while a request is dealt with, so that the oracle sees one caller at a time.
"""

from __future__ import annotations

import threading
import time
import uuid
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from krigetuner.errors import KrigeTunerWarning
from krigetuner.run import faults
from krigetuner.run.board import Board
from krigetuner.run.interrupts import Interrupts
from krigetuner.run.network import last_word
from krigetuner.run.network.attendance import Attendance, Occupied, Worker
from krigetuner.run.network.link import PROTOCOL, WAIT_SECONDS
from krigetuner.run.network.role import ID, TOKEN, Role
from krigetuner.run.network.wire import THREADS, Message, Server
from krigetuner.run.opening import objective_config
from krigetuner.run.progress import Progress, tell, tell_interrupted
from krigetuner.tuners.network import requests
from krigetuner.tuners.network.assignment import Assignment, Ending
from krigetuner.tuners.network.wire_forms import event_data
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.synchronized import lock_of

BATCH = 1000
"""How many events go into one message."""

HURRY = 2.0
"""Seconds that a chief which was interrupted takes to tell its workers."""

LONELY = 30.0
"""Seconds without any worker after which a chief says where it waits for them."""

MOST = THREADS // 2
"""How many workers there may be: the threads that are left answer them."""

REPLIES = 16
"""How many replies to a worker are kept, in case one was lost on its way."""


class Service:
    """Answers the workers of one search.

    Args:
        oracle: that decides and records.
        patience: seconds that a worker may be away before it is lost.
        progress: where news are shown.
    """

    def __init__(self, oracle: Oracle, patience: float, progress: Progress) -> None:
        self._oracle = oracle
        self._changed = threading.Condition(lock_of(oracle))
        self._workers = Attendance(patience)
        self.work = Assignment(oracle, self._workers, patience, Board(progress))
        self._run = uuid.uuid4().hex
        self._events: list[list[Any]] = []
        self._seen = 0
        with self._changed:
            self._note_events()

    def _note_events(self) -> None:
        """Takes the events that were recorded since the last time, and wakes those who wait for some."""
        ledger = self._oracle._ledger
        if ledger.state.position > self._seen:
            known = len(self._events)
            self._events += [event_data(*pair) for pair in ledger.changes(self._seen)]
            self._seen = ledger.state.position
            if len(self._events) > known:
                self._changed.notify_all()

    @property
    def _position(self) -> int:
        """The position of the last event that workers hear of."""
        return int(self._events[-1][0]) if self._events else 0

    # --- requests --------------------------------------------------------------------------------------------------

    def answer(self, request: Message) -> Message:
        """The reply to one request.

        Raises:
            Malformed: it is none; nothing was done.
        """
        session, method, identity, arguments = requests.call(request)
        with self._changed:
            worker = self._workers.find(session)
            if worker is None:
                return {"unknown": True}
            if method == "position":
                return {"position": self._position}
            if method == "wait":
                return self._wait(**arguments)
            known = worker.replies.get(identity)
            if known is None:
                known = self._reply(worker, method, arguments)
                worker.replies[identity] = known
                while len(worker.replies) > REPLIES:
                    del worker.replies[next(iter(worker.replies))]
            return known

    def _reply(self, worker: Worker, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What comes of one request: a result or an error, and up to where the worker should have heard."""
        reply: dict[str, Any] = {}
        try:
            reply["result"] = self.work.act(worker, method, arguments)
        except Exception as error:
            self.work.judge(method, error)
            reply["error"] = faults.described(error)
        if method != "report" or arguments.get("hyperparameters") is not None:
            self._note_events()
        if self.work.over is not None:
            reply["over"], worker.told = self.told(), True
            self._changed.notify_all()
        return {**reply, "position": self._position}

    def _wait(self, changes: int, seconds: float) -> Message:
        """Answers when the count of changes is another, the search is over, or it has taken long enough."""
        others = self._oracle.ongoing_trials or any(w.busy for w in self._workers)
        longest = WAIT_SECONDS if others else min(seconds, WAIT_SECONDS)
        longest = min(longest, self.work.seconds_reserved() or longest)
        self._changed.wait_for(lambda: self.work.changes != changes or self.work.over is not None, longest)
        return {"position": self._position}

    # --- attendance ------------------------------------------------------------------------------------------------

    def attend(self, request: Message, when_ended: Callable[[Callable[[], None]], Any]) -> Iterator[Message]:
        """Tells one worker what happens until the search is over or its connection has ended.

        Raises:
            Malformed: the request is none.
        """
        request = requests.checked("attendance", request, requests.ATTENDANCE)
        if self.work.over is not None and request["done"] == self._run:
            yield {"again": True}
            return
        try:
            with self._changed:
                worker, position = self._welcome(request)
                connection, study = worker.connection, self._oracle._ledger.state.created
        except Occupied as error:
            yield {"occupied": str(error)}
            return
        except Exception as error:
            yield {"refused": faults.described(error)}
            return
        when_ended(lambda: self._depart(worker, connection))
        yield {"welcome": {"run": self._run, "from": position, "study": study}}
        late = request["search"] < self._oracle._searches
        while True:
            message = self._news(worker, connection, position, late)
            if message is None:
                return
            position = int(message.get("position", position))
            worker.told = "over" in message  # the worker may leave before it has taken the message in full
            yield message
            if worker.told:
                return

    def _news(self, worker: Worker, connection: object, position: int, late: bool) -> Message | None:
        """Waits for what there is to tell a worker: events, then the end; None when its connection has ended.

        A worker that is `late` has come for an earlier search of this chief.
        """

        def something() -> bool:
            over = late or self.work.over is not None
            return self._position > position or over or worker.connection is not connection

        with self._changed:
            self._changed.wait_for(something)
            if worker.connection is not connection:
                return None
            batch = self._after(position)
        if batch:
            return {"events": batch, "position": int(batch[-1][0])}
        return {"over": self.told()}

    def _after(self, position: int) -> list[list[Any]]:
        """The first events behind a position."""
        first = bisect_right(self._events, position, key=itemgetter(0))
        return self._events[first : first + BATCH]

    def _welcome(self, request: Message) -> tuple[Worker, int]:
        """Takes a worker in, and says from which position on it has to be told.

        Raises:
            ValueError: it does not belong to this search.
            Occupied: another process has its name.
        """
        if request["protocol"] != PROTOCOL:
            raise ValueError(
                f"worker: expected version {PROTOCOL} of the chief's protocol, got {request['protocol']}; install "
                "the same version of krigetuner for the chief and all workers"
            )
        mine = objective_config(self._oracle.objective)
        if request["objective"] != mine:
            raise ValueError(
                f"objective: expected that of the chief, {mine}, got {request['objective']}; run the same script "
                "for the chief and all workers"
            )
        if len(self._workers) >= MOST and self._workers.find(request["session"]) is None:
            raise ValueError(f"worker: expected at most {MOST} of them, got another one; start fewer processes")
        if self.work.over is None and request["reports"]:
            self._oracle.update_space(request["space"])
            self._note_events()
        known = ("session", "tuner_id", "host", "pid", "reports", "shares")
        worker = self._workers.arrive(Worker(**{name: request[name] for name in known}))
        self._changed.notify_all()
        if self.work.over is None:
            self.work.take_up(worker, request["holding"])
            self._note_events()
        same = request["study"] == self._oracle._ledger.state.created
        heard = request["position"]
        return worker, heard if same and heard <= self._position else 0

    def _depart(self, worker: Worker, connection: object) -> None:
        """The connection of a worker has ended."""
        with self._changed:
            self._workers.depart(worker, connection)
            self._changed.notify_all()

    # --- the chief's own thread ------------------------------------------------------------------------------------

    def attended(self, seconds: float) -> bool:
        """Waits for the first worker; whether it has come in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._workers) > 0 or self.work.over is not None, seconds)

    def until_over(self, interrupts: Interrupts) -> Ending:
        """Waits for the end, and looks after workers that are lost meanwhile."""
        with self._changed:
            while self.work.over is None:
                self._changed.wait(self._workers.next_deadline())
                with interrupts.held():
                    for worker in self._workers.overdue():
                        self.work.lose(worker)
                    self._note_events()
            return self.work.over

    def finish(self, kind: str, reason: str, error: Exception | None = None) -> list[str]:
        """Ends the search for all, and gives the trials that ran."""
        with self._changed:
            cut = self.work.finish(kind, reason, error)
            self._note_events()
            self._changed.notify_all()
        return cut

    def told(self) -> dict[str, Any]:
        """What workers are told of the end; of that of an earlier search while this one goes on."""
        over = self.work.over
        if over is None:
            return {"run": "", **Ending("done", "it had ended before this worker came").told()}
        return {"run": self._run, "search": self._oracle._searches, **over.told()}

    def until_told(self, seconds: float) -> None:
        """Waits until every worker knows that the search is over, or is lost."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._changed.notify_all()
            while True:
                late = self._workers.overdue()
                missing = [w for w in self._workers if not w.told and w not in late]
                left = deadline - time.monotonic()
                if not missing or left <= 0:
                    return
                self._changed.wait(min(left, 0.05))


def serve(oracle: Oracle, role: Role, progress: Progress, project: Path) -> str:
    """Serves the workers of one search until it is over, and returns the reason.

    Raises:
        RuntimeError: the address cannot be used; or what ended the search, such as too many failed trials.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the workers have been told.
    """
    if not role.loopback and role.token is None:
        warnings.warn(
            f"KERASTUNER_ORACLE_IP: the chief listens at {role.address}, which other machines can reach, without a "
            f"token; set {TOKEN} to the same secret for the chief and all workers, unless the network is trusted",
            KrigeTunerWarning,
            stacklevel=4,
        )
    service = Service(oracle, role.worker_timeout / 2, progress)
    server = Server(role.address, role.token, service.answer, service.attend, role.worker_timeout / 2)
    last_word.withdraw(project)
    reason = ""
    progress.open()
    with Interrupts() as interrupts:
        try:
            if not service.attended(LONELY):
                tell(f"Waiting for workers at {role.address}: the same script, each with a {ID} without 'chief' in it")
            ending = service.until_over(interrupts)
            last_word.leave(project, service.told())
            reason = type(ending.error).__name__ if ending.error else ending.reason
            service.until_told(role.worker_timeout)
        except Exception as error:
            service.finish("failed", f"{type(error).__name__}: {error}", error)
            service.until_told(HURRY)
            raise
        except BaseException as error:  # KeyboardInterrupt
            with interrupts.held():
                cut = service.finish("interrupted", f"the chief was interrupted ({error})")
                last_word.leave(project, service.told())
                service.until_told(HURRY)
            if not reason:
                tell_interrupted(cut)
            raise
        finally:
            progress.close(reason)
            server.stop(1.0)
    if ending.error is not None:
        raise ending.error
    return ending.reason
