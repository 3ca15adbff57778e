"""How a chief's search ended, in a file of the project directory, for workers that come when the chief is gone."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from krigetuner.store.artifacts import written_whole

NAME = "chief.json"
RECENT, PATIENCE = 300.0, 60.0
STARTED = time.time()
"""About when this process began, seconds since 1970."""


logger = logging.getLogger(__name__)


def leave(project: Path, over: Mapping[str, Any]) -> None:
    """Writes how the search ended; where there is no project directory, nobody could look."""
    if project.is_dir():
        try:
            with written_whole(project / NAME) as path:
                path.write_text(json.dumps({**over, "time": time.time()}), encoding="utf-8")
        except OSError as error:  # the search itself is recorded
            logger.warning("%s could not be written, so workers that come late will wait: %s", project / NAME, error)


def withdraw(project: Path) -> None:
    """Removes it: a search begins."""
    (project / NAME).unlink(missing_ok=True)


def find(project: Path, search: int, waited: float) -> dict[str, Any] | None:
    """How the search of that count ended; None when it did not, as far as is known.

    What ended before this process began may be an earlier run, whose chief comes again in a moment; only when it was
    recent, as for a worker that died near the end and was restarted, and no chief has come, it is believed.

    Args:
        project: the project directory.
        search: how many searches this process has begun.
        waited: seconds that this process has waited for a chief.
    """
    try:
        told = json.loads((project / NAME).read_text(encoding="utf-8"))
        ended, over = float(told["time"]), {name: str(told[name]) for name in ("kind", "reason", "run")}
        mine = ended >= STARTED or (STARTED - ended < RECENT and waited > PATIENCE)
        believed = mine and int(told["search"]) >= search
    except (OSError, ValueError, KeyError, TypeError):  # none there, or not ours
        return None
    return over if believed else None
