"""Both stores keep the contract, and a database keeps it across a reopening."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given
from tests.contracts.store import StoreContract, portrait, stories, texts

from krigetuner.store.database import DatabaseStore
from krigetuner.store.events import Event
from krigetuner.store.memory import MemoryStore
from krigetuner.store.protocol import Store
from krigetuner.store.replay import fold


class TestMemory(StoreContract):
    @contextmanager
    def make(self) -> Iterator[Store]:
        yield MemoryStore()


class TestFile(StoreContract):
    @contextmanager
    def make(self) -> Iterator[Store]:
        with tempfile.TemporaryDirectory() as folder:
            store = DatabaseStore(Path(folder) / "study.sqlite")
            try:
                yield store
            finally:
                store.close()

    @given(story=stories(24))
    def test_a_reopened_study_is_the_same_and_goes_on(self, story: list[Event]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.sqlite"
            for start in range(0, len(story), 7):
                store = DatabaseStore(path)
                for event in story[start : start + 7]:
                    store.append(event)
                assert portrait(store.state()) == portrait(fold(enumerate(story[: start + 7], 1)))
                store.close()
            reader = DatabaseStore(path, read_only=True)
            assert texts(event for _, event in reader.read()) == texts(story)
            reader.close()


class TestUrlInMemory(StoreContract):
    @contextmanager
    def make(self) -> Iterator[Store]:
        store = DatabaseStore("sqlite://", study="any")
        try:
            yield store
        finally:
            store.close()
