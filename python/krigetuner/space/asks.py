"""Which values of a search space the code of a trial has looked at."""

from __future__ import annotations

BUILD = "tuner/build"
"""Stands among the names where code has called a hypermodel's `build`."""


class Asks:
    """The names whose values code has asked for, in the order in which it first did.

    Where it cannot be seen which ones code looks at (all values as one dict, plain data, a pickled copy), it may have
    looked at all.
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._everything = False

    def add(self, name: str) -> None:
        """Notes one name."""
        self._names[name] = None

    def add_everything(self) -> None:
        """Notes that code may have seen all values."""
        self._everything = True

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names; None where they are not known: code that asked for none may have its values from elsewhere."""
        return None if self._everything or not self._names.keys() - {BUILD} else tuple(self._names)

    def copy(self) -> Asks:
        """Other notes that begin with the same names."""
        twin = Asks()
        twin._names, twin._everything = dict(self._names), self._everything
        return twin
