"""A search with two worker processes, in a script without a guard: `workers_script.py DIRECTORY TRIALS`."""

import sys
import time
from pathlib import Path

import krigetuner as kt

DIRECTORY = Path(sys.argv[1])


class Epochs(kt.BaseTuner):
    def run_trial(self, trial, *args, **kwargs):
        x = trial.hyperparameters.get("x")
        for epoch in range(5):
            self.oracle.report(trial.trial_id, epoch, {"loss": x + epoch})
            time.sleep(0.1)
        return (x - 0.3) ** 2


hp = kt.HyperParameters()
hp.Float("x", -1.0, 1.0)
oracle = kt.oracles.BayesianOptimizationOracle(max_trials=int(sys.argv[2]), seed=7, hyperparameters=hp)
tuner = Epochs(oracle, directory=DIRECTORY, project_name="search")
tuner.search(verbose=0, workers=2)
