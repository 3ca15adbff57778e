"""Requests that a chief refused: each kind is told of, and a flood of them is not repeated line by line."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable

from krigetuner.run.progress import tell

LONGEST = 300
"""Characters of a reason that are shown."""


class Refusals:
    """Tells of refused requests: of the first, the tenth, the hundredth and so on of each kind.

    Args:
        say: shows a line; on the standard error by default.
    """

    def __init__(self, say: Callable[[str], object] = tell) -> None:
        self._say = say
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, peer: str, reason: str) -> None:
        """One request of somebody at the address `peer` was refused."""
        text = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}..."
        kind = text.split(", got")[0][:80]
        with self._lock:
            if len(self._counts) > 1000:  # somebody makes up kinds
                self._counts.clear()
            self._counts[kind] += 1
            count = self._counts[kind]
        if re.fullmatch("10*", str(count)):
            line = ascii(text)[1:-1]  # a terminal obeys what is not printable
            so_far = f" (the {count}th of this kind)" if count > 1 else ""
            self._say(f"Chief: refused a request from {peer}{so_far}: {line}; the search goes on")
