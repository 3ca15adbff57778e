"""One process of a search of several: python crew_script.py DIRECTORY MODE; its part comes from the environment.

The space is known inside a trial only. In the mode "kill" the worker "weak" is killed in its first trial; in the mode
"fail" every trial fails.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.compat import fault_driver


def run(trial: Any) -> float:
    x = trial.hyperparameters.Float("x", -1.0, 1.0)
    folder, worker = Path(sys.argv[1]), os.environ["KERASTUNER_TUNER_ID"]
    if sys.argv[2] == "fail":
        raise ZeroDivisionError("the user's own mistake")
    (folder / f"{worker}-{trial.trial_id}").touch()
    if worker == "weak":
        os.kill(os.getpid(), signal.SIGKILL)
    while trial.trial_id != "0" and not any(folder.glob("weak-*")):  # the weak one takes part too
        time.sleep(0.01)
    return float(x * x)


if __name__ == "__main__":
    fault_driver.searched(run, fault_driver.random_oracle(4), Path(sys.argv[1]))
