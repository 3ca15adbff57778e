"""The seam of search: an algorithm is a function of the history.

Laws (tests/contracts/algorithm.py): the same inputs give the same answer; values lie in the space and are active; no
configuration is repeated while an unseen one exists; running trials are respected; failed trials and infinite losses
never become best; the search of an exhausted space ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from krigetuner.space.space import Space
from krigetuner.trial.history import History, Origin, Value


@dataclass(frozen=True)
class Suggestion:
    """Values to try next, of the active parameters only, and where they came from."""

    values: Mapping[str, Value]
    origin: Origin


@dataclass(frozen=True)
class Wait:
    """Nothing to suggest until a running trial ends; `reason` is for the display."""

    reason: str


@dataclass(frozen=True)
class Done:
    """Nothing left to suggest; `reason` is shown to the user."""

    reason: str


Answer = list[Suggestion] | Wait | Done


class Algorithm(Protocol):
    """Decides what to try next. It keeps nothing that is not computed from its arguments."""

    name: str

    def ask(self, space: Space, history: History, count: int) -> Answer:
        """At most `count` suggestions, made as if they would run at the same time as those running in `history`.

        The number of the i-th suggested trial is `next_number(history) + i`; randomness is keyed by (seed, number).
        """
