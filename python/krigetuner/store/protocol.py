"""The seam of the store: an append-only table of events, and plain tables beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from krigetuner.store.events import Event, TrialReported
from krigetuner.store.replay import StudyState


class Store(Protocol):
    """Keeps the events of one study. One process writes (it holds the lease); anybody reads."""

    def append(self, event: Event) -> int:
        """Records one event in one transaction, the plain tables with it, and returns its position (1, 2, ...).

        Raises:
            StoreError: nothing of the event was recorded (disk full, read-only, lease lost).
        """

    def append_all(self, events: Sequence[Event]) -> int:
        """Records all these events, at least one, in one transaction, and returns the position of the last.

        Raises:
            StoreError: none of them was recorded.
        """

    def read(self, after: int = 0, reports: bool = True) -> Iterator[tuple[int, Event]]:
        """The events behind position `after`, in order; `reports=False` leaves those of single steps out."""

    def state(self) -> StudyState:
        """The study as the plain tables have it; equal to the fold of all events."""

    def measurements(self, number: int | None = None) -> Iterator[TrialReported]:
        """Every reported step of one trial, or of all, in the order of trial, then of recording; those without a
        metric are left out.
        """

    def close(self) -> None:
        """Gives the lease back and closes the database; harmless when called twice."""
