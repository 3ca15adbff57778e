"""The display of the trials of a search: who runs what, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from krigetuner.run.progress import Progress, assignments, duration, measured, number, standing


@dataclass
class Row:
    """One trial that runs.

    Attributes:
        worker: the name of the process that runs it.
        values: its hyperparameters.
        epoch, metrics: of the last report; None and empty before the first.
        began: clock reading.
    """

    worker: str
    values: Mapping[str, Any]
    epoch: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


class Board:
    """Shows the trials of all workers.

    Args:
        progress: where lines are shown, and a live table if it can be seen; it is opened and closed by others.
        single: whether trials run one after the other, which are shown more fully.
    """

    def __init__(self, progress: Progress, single: bool = False) -> None:
        self.progress = progress
        self._single = single
        if not single:
            progress.picture = self._picture
        self._rows: dict[str, Row] = {}

    def started(self, trial_id: str, worker: str, values: Mapping[str, Any], total: int | None) -> None:
        """A worker begins a trial."""
        if self._single:
            self.progress.started(trial_id, values, total)
            return
        self._rows[trial_id] = Row(worker, dict(values))
        self.progress.shown.total = total
        if self.progress.mode == "plain":
            self.progress.say(f"Trial {trial_id} on {worker}: {assignments(values)}")

    def known(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """The hyperparameters that a trial has asked for by now."""
        row = self._rows.get(trial_id)
        if row is not None:
            row.values = dict(values)
        elif self._single:
            self.progress.shown.values = dict(values)

    def reported(self, trial_id: str, step: int, metrics: Mapping[str, float]) -> None:
        """An epoch of a trial has ended."""
        if self._single:
            self.progress.reported(step, metrics)
        row = self._rows.get(trial_id)
        if row is not None:
            row.epoch, row.metrics = step, dict(metrics)

    def ended(self, trial_id: str, status: str, score: float | None, message: str | None) -> None:
        """A trial has ended, or waits to be run again."""
        row = self._rows.pop(trial_id, None)
        shown = self.progress.shown
        if not self._single:
            shown.trial_id, shown.trial_began = trial_id, time.monotonic() if row is None else row.began
        self.progress.ended(status, score, message)

    def _picture(self) -> Any:
        """The progress line, and a row for each trial that runs."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        shown = self.progress.shown
        table = Table(box=None, pad_edge=False)
        for title in ("worker", "trial", "running", "epoch"):
            table.add_column(title, no_wrap=True)
        for title in ("metrics", "hyperparameters"):  # what may wrap gives way; that of these does not wrap either
            table.add_column(title)
        for trial_id, row in list(self._rows.items()):
            epoch = "" if row.epoch is None else number(row.epoch + 1)
            took, metrics = duration(time.monotonic() - row.began), measured(row.metrics, shown.objective)
            cells = (row.worker, trial_id, took, epoch, metrics, assignments(row.values))
            table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells))
        return Group(standing(shown, len(self._rows)), table)
