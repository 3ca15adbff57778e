"""A conductor that tests kill: opens a study and records trials as fast as it can, one line on stdout per event.

    python append_script.py DATABASE

A line `position checksum` is written, with one write, after the event of that position was acknowledged by the store.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import zlib
from collections.abc import Iterator

from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.trial.history import Origin


def story(first: int) -> Iterator[e.Event]:
    """Endless trials: three reports each; every third is interrupted, every fifth fails once."""
    for number in itertools.count(first):
        yield e.TrialAsked(number, f"{number:04d}", {"x": number / 7, "kind": "a"}, Origin("random"), 0, time=1.0)
        endings = [e.TrialInterrupted(number, 0, "stop", 2.0)] * (number % 3 == 0)
        endings += [e.TrialFailed(number, 1, "invalid", "Traceback " * 40, False, 3.0)] * (number % 5 == 0)
        metrics = {"loss": 1 / (number + 1), "val_loss": math.nan, "accuracy": math.inf}
        endings += [e.TrialFinished(number, ((metrics, 2),), metrics, 2, 0.5, None, 4.0)]
        for attempt, ending in enumerate(endings):
            yield e.TrialStarted(number, attempt, "w", 1.0)
            for step in range(3):
                yield e.TrialReported(number, attempt, 0, step, metrics, 1.5)
            yield ending


def main(path: str) -> None:
    """Goes on where the last process was killed."""
    store = DatabaseStore(path)
    state = store.state()
    if state.position == 0:
        opened = e.StudyOpened("s", {"name": "loss", "direction": "min"}, "random", {}, "cpp", 1, 0.0, "0.1")
        acknowledge(store.append(opened), opened)
    for number in sorted(state.running):
        requeued = e.TrialRequeued(number, "died", 9.0)
        acknowledge(store.append(requeued), requeued)
    for event in story(len(state.trials)):
        acknowledge(store.append(event), event)


def acknowledge(position: int, event: e.Event) -> None:
    """Says that an event is recorded."""
    os.write(1, f"{position} {checksum(event)}\n".encode())


def checksum(event: e.Event) -> int:
    """A number that two different events hardly share."""
    return zlib.crc32("".join(map(str, e.encode(event))).encode())


if __name__ == "__main__":
    main(sys.argv[1])
