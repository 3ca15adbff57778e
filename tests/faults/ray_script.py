"""The search of a fault campaign on a Ray cluster.

    python ray_script.py DIRECTORY ADDRESS MAX_TRIALS

See campaign_script.py for the search itself and for the diaries that its processes write.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import campaign_script as script

import krigetuner as kt


class OnRay(script.Script):
    """The search; as a class of the main module it travels by value, with the place of the diaries."""

    def run_trial(self, trial: Any, data: Any, **options: Any) -> float:
        sys.stdout.write(f"this is {trial.trial_id}\n")
        return super().run_trial(trial, data, **options)


def main(directory: str, address: str, max_trials: str) -> None:
    """Starts the search or goes on with it."""
    warnings.simplefilter("ignore", kt.errors.KrigeTunerWarning)  # a campaign ends with another max_trials
    OnRay.diary = Path(directory) / "diary"
    OnRay.diary.mkdir(parents=True, exist_ok=True)
    tuner = OnRay(script.make_oracle("bayesian", int(max_trials)), directory=directory, project_name="search")
    tuner.search(script.DATA, verbose=0, executor=kt.RayExecutor(address=address))


if __name__ == "__main__":
    main(*sys.argv[1:])
