"""Objects whose state is plain data that can be kept in a JSON file; KerasTuner's `Stateful`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Stateful:
    """An object with `get_state` and `set_state`, which subclasses define; it is saved to and reloaded from a file."""

    def get_state(self) -> dict[str, Any]:
        """The state as plain data."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method get_state(); define it")

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `get_state` gave."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method set_state(state); define it")

    def save(self, fname: str | Path) -> str:
        """Writes the state as JSON, and returns what was written."""
        text = json.dumps(self.get_state())
        Path(fname).write_text(text, encoding="utf-8")
        return text

    def reload(self, fname: str | Path) -> None:
        """Takes over what `save` wrote."""
        self.set_state(json.loads(Path(fname).read_text(encoding="utf-8")))
