"""A study that is kept in memory and gone with the process: `storage="memory"`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from krigetuner.errors import StoreError
from krigetuner.store.events import Event, TrialReported
from krigetuner.store.replay import StudyState, fold


class MemoryStore:
    """The store of one study in a list."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._reports: dict[int, list[TrialReported]] = {}
        self._closed = False

    def append(self, event: Event) -> int:
        """Keeps one event and returns its position.

        Raises:
            StoreError: the store was closed.
        """
        if self._closed:
            raise StoreError("store: expected an open store, got a closed one; open the study again")
        self._events.append(event)
        if isinstance(event, TrialReported) and event.metrics:
            self._reports.setdefault(event.number, []).append(event)
        return len(self._events)

    def append_all(self, events: Sequence[Event]) -> int:
        """Keeps events, at least one, and returns the position of the last."""
        return [self.append(event) for event in events][-1]

    def read(self, after: int = 0, reports: bool = True) -> Iterator[tuple[int, Event]]:
        """The events behind position `after`, in order; `reports=False` leaves those of single steps out."""
        for index in range(after, len(self._events)):
            if reports or not isinstance(self._events[index], TrialReported):
                yield index + 1, self._events[index]

    def state(self) -> StudyState:
        """The fold of all events."""
        return fold(self.read())

    def measurements(self, number: int | None = None) -> Iterator[TrialReported]:
        """Every reported step of one trial, or of all, in the order of trial, then of recording."""
        for key in sorted(self._reports) if number is None else [number]:
            yield from self._reports.get(key, ())

    def close(self) -> None:
        """Refuses further events; what was recorded can still be read."""
        self._closed = True
