"""A worker's link to its chief: it attends, hears what happens in the study, and asks; it survives the chief's death.

A thread keeps the attendance and puts what it hears into an inbox; everything else happens in the thread that asks.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from krigetuner.errors import SearchEnded, StoreError
from krigetuner.run import faults
from krigetuner.run.network.role import Role
from krigetuner.run.network.wire import Message, Unreachable, Wire
from krigetuner.run.progress import tell

PROTOCOL = 2
"""Version of the messages; both sides must have the same."""

CALL_SECONDS = 60.0
WAIT_SECONDS = 20.0
"""How long the chief keeps a worker waiting at most before it answers that nothing has changed."""

TELL_AFTER = 3.0


class Link:
    """The connection of one worker process during one search.

    Args:
        role: of this process; where the chief is, and how long to wait for it.
        hello: gives what the chief is told at every attendance.
        done: the chief's search that this process has seen the end of, "" for none.
        last_word: gives how the search ended where the chief is gone, None while that is not known; it is handed the
            seconds since the link was made.

    Attributes:
        session: tells this process from every other.
        run: the chief's search.
        over: how the search ended; None while it goes on.
        missed: whether that was found out when the chief was gone.
    """

    def __init__(
        self,
        role: Role,
        hello: Callable[[], Message],
        done: str = "",
        last_word: Callable[[float], Message | None] = lambda waited: None,
    ) -> None:
        self._role, self._hello, self._done, self._last_word = role, hello, done, last_word
        self.session = uuid.uuid4().hex
        self.run = ""
        self._study: Any = None
        self.over: Message | None = None
        self.missed = False
        self._changed = threading.Condition()
        self._inbox: list[Message] = []
        self._heard = 0
        self._refused: Exception | None = None
        self._connected = False
        self._closed = False
        self._crowded: float | None = None
        self._made = time.monotonic()
        self._wire: Wire | None = None
        self._thread: threading.Thread | None = None

    # --- attending -------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the chief is there now, as far as is known."""
        return self._connected

    @property
    def opened(self) -> bool:
        """Whether it was ever opened."""
        return self._thread is not None

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def open(self) -> None:
        """Begins to attend, if that was not done before."""
        with self._changed:
            if self._thread is not None or self._closed:
                return
            self._wire = Wire(self._role.address, self._role.token, self._role.worker_timeout / 2)
            self._thread = threading.Thread(target=self._attend, name="krigetuner-link", daemon=True)
        atexit.register(self.close)
        self._thread.start()

    def _attend(self) -> None:
        """Attends until the search is over, and again after every interruption."""
        while not self._closed and self.over is None and self._refused is None:
            try:
                self._listen()
            except Unreachable:
                self._set(connected=False)
                time.sleep(0.2)
                self._look_for_last_word()
            except Exception as error:
                self._set(connected=False, refused=error)
        self._set(connected=False)

    def _look_for_last_word(self) -> None:
        """Finds out whether a search ended behind this worker's back that it has not seen the end of."""
        word = self._last_word(time.monotonic() - self._made)
        if word is not None and word["run"] != self._done:
            with self._changed:
                self.missed = self.over is None
                self.over = self.over or word
                self._changed.notify_all()

    def _listen(self) -> None:
        """One attendance."""
        if self._wire is None:
            return
        request = {
            **self._hello(),
            "protocol": PROTOCOL,
            "session": self.session,
            "tuner_id": self._role.tuner_id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "done": self._done,
            "position": self._heard,
            "study": self._study,
        }
        for message in self._wire.attend(request):
            if "again" in message:
                raise Unreachable("the chief's former search is ending")
            if "occupied" in message:
                self._yield_place(message["occupied"])
            with self._changed:
                self._hear(message)
                self._changed.notify_all()
        raise Unreachable("the attendance ended")

    def _yield_place(self, reason: str) -> NoReturn:
        """Another process has this one's name; it may be dead, and the chief may not have noticed yet."""
        self._crowded = self._crowded or time.monotonic()
        if time.monotonic() - self._crowded > self._role.worker_timeout:
            raise ValueError(reason)
        raise Unreachable(reason)

    def _hear(self, message: Message) -> None:
        if "refused" in message:
            self._refused = faults.restored(message["refused"])
        if "welcome" in message:
            welcome = message["welcome"]
            self.run, self._study, self._heard = welcome["run"], welcome["study"], welcome["from"]
            self._connected, self._crowded = True, None
            self._inbox.append(message)
        if "events" in message:
            self._inbox.append(message)
            self._heard = message["position"]
        if "over" in message:
            self.over, self._connected = message["over"], False

    def _set(self, connected: bool, refused: Exception | None = None) -> None:
        with self._changed:
            self._connected = connected
            self._refused = self._refused or refused
            self._changed.notify_all()

    def heard(self) -> list[Message]:
        """What the chief has told since this was asked last: welcomes and events, in order."""
        with self._changed:
            found, self._inbox = self._inbox, []
        return found

    def await_news(self) -> None:
        """Waits until what had happened when the present attendance began is in the inbox."""
        deadline = self._deadline(None)
        while True:
            self._await_connection(deadline, quiet_end=True)
            if self.over is not None:
                return
            try:
                self._until_heard(int(self._ask("position", {}, CALL_SECONDS)["position"]))
                return
            except Unreachable:
                time.sleep(0.1)

    # --- asking ----------------------------------------------------------------------------------------------------

    def call(self, method: str, patience: float | None = None, **arguments: Any) -> Any:
        """Asks the chief, again and again while it cannot be reached; it acts once.

        Args:
            patience: seconds to try; None for as long as a worker waits for its chief.

        Raises:
            Unreachable: `patience` was given, and is over.
            StoreError: the chief has not come within the time that a worker waits.
            SearchEnded: the search is over.
            Exception: what the chief's oracle raised, by its class where that is known here.
        """
        deadline, request_id = self._deadline(patience), uuid.uuid4().hex
        while True:
            self._await_connection(deadline, patience is not None)
            try:
                reply = self._ask(method, {"id": request_id, "arguments": arguments}, CALL_SECONDS)
                break
            except Unreachable:
                time.sleep(0.1)
        self._until_heard(int(reply["position"]))
        if "over" in reply:
            with self._changed:
                self.over, self._connected = self.over or reply["over"], False
        if "error" in reply:
            raise faults.restored(reply["error"])
        return reply["result"]

    def _ask(self, method: str, more: Mapping[str, Any], seconds: float) -> Any:
        if self._wire is None:
            raise Unreachable("not opened")
        reply = self._wire.call({"method": method, "session": self.session, **more}, seconds)
        if "unknown" in reply:
            raise Unreachable("the chief does not know this worker yet")
        return reply

    def wait(self, changes: int, seconds: float) -> None:
        """Waits until something has changed since the chief's count was `changes`.

        Args:
            seconds: how long to wait where no trial runs anywhere; else the chief decides.
        """
        self._await_connection(self._deadline(None), quiet_end=True)
        if self.over is not None:
            return
        try:
            self._ask("wait", {"arguments": {"changes": changes, "seconds": seconds}}, WAIT_SECONDS + CALL_SECONDS)
        except Unreachable:
            with self._changed:
                self._changed.wait(0.1)

    def _deadline(self, patience: float | None) -> float:
        return time.monotonic() + (self._role.chief_timeout if patience is None else patience)

    def _until_heard(self, position: int) -> None:
        """Waits until the events up to a position have come, unless the connection breaks."""
        with self._changed:
            self._changed.wait_for(lambda: self._heard >= position or not self._connected, 30.0)

    def _await_connection(self, deadline: float, short: bool = False, quiet_end: bool = False) -> None:
        """Waits for the chief, and says so when it takes long."""
        self.open()
        began, told = time.monotonic(), False
        while True:
            with self._changed:
                if not self._connected and self.over is None and self._refused is None:
                    self._changed.wait(max(min(deadline - time.monotonic(), 1.0), 0.0))
                if self._refused is not None:
                    raise self._refused
                if self.over is not None and not quiet_end:
                    raise self.ended()
                if self._connected or self.over is not None:
                    break
            if time.monotonic() >= deadline:
                self._give_up(short)
            if not told and not short and time.monotonic() - began > TELL_AFTER:
                told = True
                tell(f"Waiting for the chief at {self._role.address}, for {self._role.chief_timeout / 60:.0f} minutes")
        if told and self.over is None:
            tell(f"The chief at {self._role.address} is there")

    def _give_up(self, short: bool) -> None:
        if short:
            raise Unreachable(f"no chief at {self._role.address}")
        raise StoreError(
            f"chief: expected one at {self._role.address} within {self._role.chief_timeout:g} seconds, got no answer; "
            "start the script with a KERASTUNER_TUNER_ID that contains 'chief' there, and compare "
            "KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT"
        )

    def ended(self) -> SearchEnded:
        """The error that says why the search is over."""
        over = self.over or {}
        return SearchEnded(f"search: the chief ended it: {over.get('reason', 'it is over')}")

    def close(self) -> None:
        """Ends the attendance."""
        with self._changed:
            self._closed = True
            wire, self._wire = self._wire, None
            self._connected = False
            self._changed.notify_all()
        atexit.unregister(self.close)
        if wire is not None:
            wire.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2.0)
