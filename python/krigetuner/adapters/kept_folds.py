"""The finished folds of a trial that runs, kept in a file: a trial that was cut short goes on from there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from krigetuner.adapters.fold_means import numbers
from krigetuner.store.artifacts import kept_whole, remove_leftovers

logger = logging.getLogger(__name__)
NAME = "folds.json"
WORTH_KEEPING = 0.5
"""Seconds: folds that were quicker are run again."""


class KeptFolds:
    """Metrics of the finished folds of one attempt.

    Args:
        directory: of the trial; made with the first file.
        key: names what the folds are: indices, data and metrics. Folds under another key are not taken over.
        again: whether this attempt follows one of the same trial; a first attempt takes nothing over, since what lies
            there is another study's.

    Attributes:
        folds: metrics of each finished fold, in order.
    """

    def __init__(self, directory: str | Path, key: str, again: bool) -> None:
        self._file = Path(directory) / NAME
        self._key = key
        self._unwritten = 0.0
        self.folds: list[Mapping[str, Any]] = self._read() if again else []
        if not again:
            self.remove()

    def _read(self) -> list[Mapping[str, Any]]:
        remove_leftovers(self._file.parent)
        try:
            state: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except ValueError as error:
            logger.warning("%s cannot be read, the folds are run again: %s", self._file, error)
            return []
        return list(state["folds"]) if state["key"] == self._key else []

    def add(self, metrics: Mapping[str, Any], seconds: float) -> None:
        """Adds a finished fold that took so many seconds, and writes when there is enough to lose."""
        self.folds.append(metrics)
        self._unwritten += seconds
        if self._unwritten >= WORTH_KEEPING:
            self._unwritten = 0.0
            with kept_whole(self._file) as beside:
                beside.write_text(json.dumps({"key": self._key, "folds": [numbers(f) for f in self.folds]}), "utf-8")

    def remove(self) -> None:
        """Forgets what was kept, and removes the directory when nothing else is in it."""
        self._file.unlink(missing_ok=True)
        directory = self._file.parent
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
