"""How a chief's search ended, in a file of the project directory, for workers that come when the chief is gone."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from krigetuner.store.artifacts import written_whole

NAME = "chief.json"
STARTED = time.time()
"""About when this process began, seconds since 1970."""


def leave(project: Path, over: Mapping[str, Any]) -> None:
    """Writes how the search ended; where there is no project directory, nobody could look."""
    if project.is_dir():
        with written_whole(project / NAME) as path:
            path.write_text(json.dumps({**over, "time": time.time()}), encoding="utf-8")


def withdraw(project: Path) -> None:
    """Removes it: a search begins."""
    (project / NAME).unlink(missing_ok=True)


def find(project: Path, search: int) -> dict[str, Any] | None:
    """How the search of that count ended since this process began; None when it did not, as far as is known."""
    try:
        told = json.loads((project / NAME).read_text(encoding="utf-8"))
        ended, over = float(told["time"]), {name: str(told[name]) for name in ("kind", "reason", "run")}
        came_later = ended >= STARTED and int(told["search"]) >= search
    except (OSError, ValueError, KeyError, TypeError):  # none there, or not ours
        return None
    return over if came_later else None
