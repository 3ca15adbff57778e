"""A worker's mirror of the study: the chief tells every event, and the worker folds them as the chief does."""

from __future__ import annotations

import copy
import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from krigetuner.errors import SearchEnded, StoreError
from krigetuner.run import plain
from krigetuner.run.ledger import Ledger
from krigetuner.run.network.link import Link
from krigetuner.store import events as e
from krigetuner.store.project import recorded
from krigetuner.store.replay import StudyState, fold
from krigetuner.tuners.network.wire_forms import event_of, report_of

logger = logging.getLogger(__name__)


class MirrorStore:
    """The events that a chief has told, without those of single steps, which are asked for when somebody wants them."""

    def __init__(self, link: Link, project: Path) -> None:
        self.link = link
        self._project = project
        self.events: list[tuple[int, e.Event]] = []

    def append(self, event: e.Event) -> NoReturn:
        """Refuses: the chief alone records."""
        raise StoreError(
            f"worker: expected the chief to record {event.kind}, got it from a worker; call the oracle's public methods"
        )

    def append_all(self, events: Sequence[e.Event]) -> NoReturn:
        """Refuses, as `append` does."""
        self.append(events[0])

    def read(self, after: int = 0, reports: bool = True) -> Iterator[tuple[int, e.Event]]:
        """The events behind a position, in order."""
        return iter([pair for pair in self.events if pair[0] > after])

    def state(self) -> StudyState:
        """The fold of the events."""
        return fold(self.events)

    def measurements(self, number: int | None = None) -> Iterator[e.TrialReported]:
        """The reported steps of one trial, or of all, from the chief, or from the database when the search is over.

        Raises:
            StoreError: the search is over, and the database cannot be read from here.
        """
        try:
            wanted = range(int(self.link.call("count"))) if number is None else [number]
            found = [report for n in wanted for report in self.link.call("measurements", number=n)]
        except SearchEnded:
            with closing(recorded(self._project)) as store:
                yield from store.measurements(number)
        else:
            yield from map(report_of, found)

    def recorded_state(self) -> StudyState:
        """The study as the database in the project directory has it, for a worker that came when all was over.

        Raises:
            StoreError: it cannot be read from here.
        """
        with closing(recorded(self._project)) as store:
            self.events = list(store.read(reports=False))
            return store.state()

    def close(self) -> None:
        """Does nothing: the chief closes."""


class MirrorLedger(Ledger):
    """The study as a worker knows it.

    Attributes:
        changed: numbers of trials that have changed since somebody emptied it.
        space_changed: whether the space has changed since somebody reset it.
    """

    def __init__(self, link: Link, project: Path) -> None:
        self._mirror = MirrorStore(link, project)
        super().__init__(self._mirror)
        self.changed: set[int] = set()
        self.space_changed = False
        self._lock = threading.Lock()

    def follow(self, link: Link) -> None:
        """Hears another link from now on: that of the next search."""
        self._mirror.link = link

    def read_recorded(self) -> None:
        """Takes the state from the database instead of from the chief, who is gone."""
        self._state = self._mirror.recorded_state()
        self.changed, self.space_changed = set(self._state.trials), True
        self._observed.forget()

    @property
    def state(self) -> StudyState:
        """The state of the study as the chief has told it."""
        self.await_chief()
        self._renew(self._mirror.link)
        return self._state

    def await_chief(self) -> None:
        """Waits for the chief where nobody has attended yet."""
        if not self._mirror.link.opened:
            self._mirror.link.await_news()

    def _renew(self, link: Link) -> None:
        """Folds what the chief has told meanwhile into a new state, so that whoever goes through the old one may."""
        with self._lock:
            for message in link.heard():
                if message.get("welcome", {}).get("from") == 0:
                    self._mirror.events, self._state = [], StudyState()
                    self._observed.forget()
                told = [pair for pair in map(event_of, message.get("events", ())) if pair[0] > self._state.position]
                if told:
                    self._fold(told)

    def _fold(self, told: list[tuple[int, e.Event]]) -> None:
        state = copy.copy(self._state)
        for name in ("parameters", "trials", "numbers", "ended", "waiting", "running", "saved"):
            setattr(state, name, copy.copy(getattr(state, name)))
        state.enqueued = deque(state.enqueued)
        for position, event in told:
            state.apply(position, event)
            self._mirror.events.append((position, event))
            if isinstance(event, e.SpaceGrew):
                self.space_changed = True
                self._redefined = None
                self._observed.forget()
            number = getattr(event, "number", None)
            if number is not None:
                self.changed.add(number)
                self._observed.touch(number)
        self._state = state

    def save_state(self, key: str, state: Mapping[str, Any]) -> None:
        """Has the chief record the state of a tuner."""
        try:
            self._mirror.link.call("save_state", key=plain.text(key), state=plain.data(state))
        except SearchEnded:
            logger.warning("the search is over, and the chief gone: the state %r of this worker was not recorded", key)

    def stopped(self, reason: str) -> None:
        """Does nothing: the chief records the end."""

    def close(self, reason: str | None = None) -> None:
        """Ends the link."""
        self._mirror.link.close()
