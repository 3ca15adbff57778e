"""What a search shows while it runs: a live table where it can be seen, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

Mode = Literal["silent", "quiet", "plain", "live"]

LONGEST_REASON = 500
"""Characters of a failure's reason that are shown; the record has all of it."""

UNSHOWN = (OSError, ValueError)
"""What a display raises whose terminal, pipe or disk is gone, or that was closed. News never end a search."""


@dataclass
class Shown:
    """The figures on display.

    Attributes:
        objective: the metric's name.
        total: planned number of trials, None when not limited.
        ended: trials that have ended, failed ones too.
        best_score, best_trial, best_values: of the best trial so far; None and empty before the first.
        trial_id, values, epoch, metrics: of the trial that runs; `epoch` is None before the first report.
        began, trial_began: clock readings, seconds.
    """

    objective: str
    total: int | None = None
    ended: int = 0
    best_score: float | None = None
    best_trial: str | None = None
    best_values: Mapping[str, Any] = field(default_factory=dict)
    trial_id: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    trial_began: float = 0.0


class Progress:
    """Takes the news of a search and shows them.

    Args:
        mode: "silent", "quiet" (why trials failed, and one line at the end), "plain" (two lines per trial), or "live"
            (rich's live display).
        shown: the figures to begin with.

    Attributes:
        picture: what the live display draws.
    """

    def __init__(self, mode: Mode, shown: Shown) -> None:
        self.mode = mode
        self.shown = shown
        self.picture: Callable[[], Any] = lambda: _picture(shown)
        self._live: Any = None

    def open(self) -> None:
        """Begins the display."""
        self.shown.began = time.monotonic()
        if self.mode == "live":
            self._live = _live_display(self)
            with suppress(*UNSHOWN):
                self._live.start()

    def started(self, trial_id: str, values: Mapping[str, Any], total: int | None) -> None:
        """A trial begins."""
        s = self.shown
        s.trial_id, s.values, s.total, s.epoch, s.metrics = trial_id, dict(values), total, None, {}
        s.trial_began = time.monotonic()
        if self.mode == "plain":
            self._print(f"Trial {trial_id} ({_of(s.ended + 1, total)}): {assignments(values)}")

    def reported(self, step: int, metrics: Mapping[str, float]) -> None:
        """An epoch of the running trial has ended."""
        self.shown.epoch, self.shown.metrics = step, dict(metrics)

    def ended(self, status: str, score: float | None, message: str | None) -> None:
        """The running trial has ended, or waits to be run again."""
        s = self.shown
        took = duration(time.monotonic() - s.trial_began)
        if status in {"COMPLETED", "FAILED"}:
            s.ended += 1
        result = f"{s.objective} {number(score)}" if score is not None else status.lower()
        best = "" if s.best_score is None else f"; best {number(s.best_score)} (trial {s.best_trial})"
        reason = failure_reason(message)
        if self.mode in {"plain", "live"}:
            self._print(f"Trial {s.trial_id} {result} after {took}{best}")
        if reason and self.mode != "silent":
            self._print(f"Trial {s.trial_id} {status.lower()}: {reason}")
        s.trial_id = None

    def best(self, score: float | None, trial_id: str | None, values: Mapping[str, Any]) -> None:
        """The best trial so far."""
        self.shown.best_score, self.shown.best_trial, self.shown.best_values = score, trial_id, dict(values)

    def close(self, reason: str = "") -> None:
        """Ends the display."""
        if self._live is not None:
            with suppress(*UNSHOWN):
                self._live.stop()
            self._live = None
        if reason and self.mode != "silent":
            s = self.shown
            best = "" if s.best_score is None else f"; best {s.objective} {number(s.best_score)} (trial {s.best_trial})"
            self._print(f"Search ended after {duration(time.monotonic() - s.began)}: {reason}{best}")

    def say(self, line: str) -> None:
        """Shows a line about the search."""
        self._print(line)

    def _print(self, line: str) -> None:
        with suppress(*UNSHOWN):
            if self._live is not None:
                self._live.console.print(line, markup=False, highlight=False)
            else:
                show(line)


def mode_for(verbose: Any) -> Mode:
    """The mode for `search(verbose=...)`: None or "auto" is live where that can be seen and quiet elsewhere, 0 silent.

    With an explicit 1 or 2 the training writes its own lines, which a live display would not stand.
    """
    if verbose is None or verbose == "auto":
        return "live" if _is_interactive() else "quiet"
    return "plain" if int(verbose) else "silent"


def _is_interactive() -> bool:
    if "ipykernel" in sys.modules:
        return find_spec("ipywidgets") is not None  # rich draws with it in notebooks
    return bool(getattr(sys.stdout, "isatty", lambda: False)())


TO_GO_ON = "call search() again, or run the script again without overwrite=True, to go on"


def tell_interrupted(trial_ids: Sequence[str], ways_on: str = TO_GO_ON) -> None:
    """Says on the standard error what has become of an interrupted search, and how to go on.

    Args:
        trial_ids: of the trials that ran.
        ways_on: what to do now.
    """
    one, trials = len(trial_ids) == 1, ", ".join(sorted(trial_ids))
    cut = f"trial {trials} was" if one else f"trials {trials} were"
    kept = f"{cut} recorded as interrupted and will run first" if trials else "every trial was recorded"
    tell(f"Search interrupted: {kept}; {ways_on}")


def tell(line: str) -> None:
    """Writes a line that the user did not ask for to the standard error, if it can be written."""
    with suppress(*UNSHOWN):
        print(line, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Writes text that the user asked to see to the standard output; what that cannot encode is shown as escapes."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError as error:
        print(text.encode(error.encoding, "backslashreplace").decode(error.encoding), flush=True)


def _live_display(progress: Progress) -> Any:
    """A rich Live that draws `progress` four times a second."""
    from rich.console import Console
    from rich.live import Live

    class View:
        def __rich__(self) -> Any:
            return progress.picture()

    return Live(View(), console=Console(), refresh_per_second=4, transient=True)


def _picture(s: Shown) -> Any:
    """The progress line, and a table of the running trial's hyperparameters beside the best ones."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    now = time.monotonic()
    line = standing(s, int(s.trial_id is not None))
    table = Table(box=None, pad_edge=False)
    for title, style in (("hyperparameter", ""), (f"trial {s.trial_id or ''}", "bold"), ("best so far", "green")):
        table.add_column(title, style=style)
    for name in [*s.values, *[n for n in s.best_values if n not in s.values]]:
        table.add_row(Text(name), Text(number(s.values.get(name, "-"))), Text(number(s.best_values.get(name, "-"))))
    epoch = "" if s.epoch is None else f"epoch {s.epoch + 1}: {measured(s.metrics, s.objective)}"
    return Group(
        line, table, Text(f"running {duration(now - s.trial_began)}  {epoch}" if s.trial_id else "", style="dim")
    )


def standing(s: Shown, running: int) -> Any:
    """The line of a live display: how many trials, how long, and the best."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    now = time.monotonic()
    line = Table.grid(padding=(0, 1))
    count = s.ended + running
    head = [Text(f"Trial {_of(count, s.total)}", style="bold"), Text(duration(now - s.began), style="cyan")]
    best = "" if s.best_score is None else f"best {s.objective} {number(s.best_score)} (trial {s.best_trial})"
    bar = [ProgressBar(total=s.total, completed=min(s.ended, s.total), width=30)] if s.total else []
    line.add_row(*head[:1], *bar, head[1], Text(best, style="green"))
    return line


def measured(metrics: Mapping[str, float], objective: str) -> str:
    """An epoch's metrics, the objective first."""
    names = sorted(metrics, key=lambda name: name != objective)
    return "  ".join(f"{name} {number(metrics[name])}" for name in names[:6])


def number(value: Any) -> str:
    """A value for people: floats with five digits."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Seconds as 3.2s, 4m 05s or 2h 03m."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def failure_reason(message: str | None) -> str:
    """The first line of why a trial failed, of the exception where the message is a traceback; not endless."""
    lines = [line for line in (message or "").splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if starts:
        lines = [line for line in lines[starts[-1] + 1 :] if not line.startswith(" ")] or lines[-1:]
    reason = lines[0].strip() if lines else ""
    return reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON] + " ..."


def _of(count: int, total: int | None) -> str:
    return f"{count} of {total}" if total is not None else str(count)


def assignments(values: Mapping[str, Any]) -> str:
    """Hyperparameter values in one line."""
    return ", ".join(f"{name}={number(value)}" for name, value in values.items()) or "no hyperparameters yet"
