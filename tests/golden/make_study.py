"""Writes study-v1.sqlite: a database as version 1 of the tables has it. Run it once per version, never again.

python tests/golden/make_study.py tests/golden/study-v1.sqlite
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.trial.history import Origin

RATE = {"class_name": "Float", "config": {"name": "rate", "min_value": 0.001, "max_value": 1.0, "conditions": []}}
WIDER = {"class_name": "Float", "config": {"name": "rate", "min_value": 0.001, "max_value": 2.0, "conditions": []}}
UNITS = {"class_name": "Int", "config": {"name": "units", "min_value": 8, "max_value": 64, "step": 8, "conditions": []}}
OBJECTIVE = {"name": "val_loss", "direction": "min"}
METRICS = {"loss": 0.5, "val_loss": 0.25}

EVENTS: tuple[e.Event, ...] = (
    e.StudyOpened("golden", OBJECTIVE, "bayesian", {"alpha": 1e-4, "max_trials": 5}, "cpp", 7, 1000.0, "0.1.0"),
    e.SpaceGrew((RATE,), (), 1000.0),
    e.TrialEnqueued({"rate": 0.125}, 1001.0),
    e.TrialAsked(0, "0000", {"rate": 0.125}, Origin("queue"), 3, True, "tuner0", 1001.0),
    e.TrialStarted(0, 0, "tuner0", 1002.0),
    e.TrialReported(0, 0, 0, 0, {"loss": math.nan, "val_loss": math.inf}, 1003.0),
    e.TrialReported(0, 0, 0, 1, METRICS, 1004.0),
    e.TrialReported(0, 0, 1, 0, {"loss": -math.inf, "val_loss": 0.75}, 1005.0),
    e.TrialFinished(
        0, ((METRICS, 1), ({"val_loss": 0.75}, 0)), METRICS, 1, 0.5, 0.0625, 1006.0, {"rate": 0.125, "units": 8}
    ),
    e.SpaceGrew((UNITS,), (), 1006.0),
    e.TrialAsked(
        1, "0001", {"rate": 0.5, "units": 16}, Origin("bayesian", note={"seconds": 0.01}), 10, True, "tuner0", 1007.0
    ),
    e.TrialStarted(1, 0, "tuner0", 1007.0),
    e.TrialFailed(1, 0, "invalid", "Traceback: it broke", False, 1008.0),
    e.TrialStarted(1, 1, "tuner0", 1009.0),
    e.TrialFailed(1, 1, "failed", "Traceback: it broke again", True, 1010.0),
    e.TrialAsked(2, "0002", {"rate": 1.0, "units": 24}, Origin("hyperband", 2, 1, "0000", 3), 15, True, None, 1011.0),
    e.TrialStarted(2, 0, "tuner1", 1012.0),
    e.TrialInterrupted(2, 0, "Ctrl-C", 1013.0),
    e.TrialAsked(3, "0003", {"rate": 0.75, "units": 32}, Origin("given"), 18, False, None, 1014.0),
    e.TrialFinished(3, ((METRICS, 0),), METRICS, 0, math.inf, None, 1014.0),
    e.TrialAsked(4, "0004", {"rate": 0.25, "units": 40}, Origin("bayesian"), 20, True, "tuner0", 1015.0),
    e.TrialStarted(4, 0, "tuner0", 1016.0),
    e.TrialReported(4, 0, 0, 0, METRICS, 1017.0),
    e.TrialRequeued(4, "the process ended", 1018.0),
    e.TrialStarted(4, 1, "tuner0", 1019.0),
    e.OptionsChanged(
        OBJECTIVE,
        "bayesian",
        {"alpha": 1e-3, "max_trials": 9},
        "numpy",
        7,
        "0.1.0",
        ("alpha: 0.0001 -> 0.001",),
        1020.0,
    ),
    e.SpaceGrew((WIDER,), ("rate",), 1020.0),
    e.StateSaved("mine", {"$float": "kept as it is", "best": math.nan, "list": [1, "x", None]}, 1021.0),
    e.TrialEnqueued({"rate": 0.875}, 1022.0),
    e.StudyClosed("max_time", 1023.0),
)

if __name__ == "__main__":
    path = Path(sys.argv[1])
    if path.exists():
        raise SystemExit(f"{path} is there already")
    store = DatabaseStore(path)
    for event in EVENTS:
        store.append(event)
    store.close()
    import sqlite3

    raw = sqlite3.connect(path)
    names = ", ".join(f"lease_{n} = NULL" for n in ("host", "pid", "machine", "birth", "expiry"))
    raw.execute(f"UPDATE studies SET {names}")
    raw.commit()
    raw.execute("PRAGMA journal_mode=DELETE")
    raw.execute("VACUUM")
    raw.close()
