"""A search with two worker processes, in a script without a guard: `workers_script.py DIRECTORY TRIALS`.

The last trial does not end before DIRECTORY/go is there.
"""

import sys
import time
from pathlib import Path

import krigetuner as kt

DIRECTORY, TRIALS = Path(sys.argv[1]), int(sys.argv[2])


class Epochs(kt.BaseTuner):
    def run_trial(self, trial, *args, **kwargs):
        x = trial.hyperparameters.get("x")
        for epoch in range(5):
            self.oracle.report(trial.trial_id, epoch, {"loss": x + epoch})
            time.sleep(0.1)
        while trial.number == TRIALS - 1 and not (DIRECTORY / "go").exists():
            time.sleep(0.01)
        return (x - 0.3) ** 2


hp = kt.HyperParameters()
hp.Float("x", -1.0, 1.0)
oracle = kt.oracles.BayesianOptimizationOracle(max_trials=TRIALS, seed=7, hyperparameters=hp)
tuner = Epochs(oracle, directory=DIRECTORY, project_name="search")
tuner.search(verbose=0, workers=2)
