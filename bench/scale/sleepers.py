"""Searches of a function that sleeps, by several libraries with many workers; run by parallel.py, one process each.

    python bench/scale/sleepers.py NAME DIRECTORY WORKERS TRIALS SECONDS NAP

Every trial appends a line to DIRECTORY/diary/<process>: when it began, when it ended, its loss.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What is asked of a search.

    Attributes:
        folder: for its files.
        workers: how many trials run at any moment.
        trials, seconds: it ends after so many, or so much time.
        nap: seconds of a trial.
    """

    folder: Path
    workers: int
    trials: int
    seconds: float
    nap: float

    def trial(self, values: Mapping[str, Any]) -> float:
        """Sleeps, and writes the diary."""
        began = time.time()
        time.sleep(self.nap)
        loss = smooth(values)
        folder = self.folder / "diary"
        folder.mkdir(exist_ok=True)
        with (folder / str(os.getpid())).open("a") as file:
            file.write(f"{began} {time.time()} {loss!r}\n")
        return loss


def smooth(values: Mapping[str, Any]) -> float:
    """A loss of eight mixed dimensions, a few of which matter."""
    bump = (values["float0"] - 0.3) ** 2 + 0.5 * (values["int0"] / 64 - 0.4) ** 2
    return float(bump + 0.2 * (values["category"] != "b") + 0.1 * bool(values["switch"]))


def hyperparameters(kt: Any) -> Any:
    """The space, for KerasTuner and for KrigeTuner."""
    hp = kt.HyperParameters()
    for i in range(2):
        hp.Float(f"float{i}", -1.0, 1.0)
        hp.Float(f"log{i}", 1e-5, 1e-1, sampling="log")
        hp.Int(f"int{i}", 1, 64)
    hp.Choice("category", ["a", "b", "c", "d"])
    hp.Boolean("switch")
    return hp


def krigetuner(plan: Plan, kind: str = "BayesianOptimizationOracle") -> None:
    """One process conducts, spawned ones run the trials."""
    import krigetuner as kt

    class Sleeper(kt.BaseTuner):
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> float:
            return plan.trial(trial.hyperparameters.values)

    oracle = getattr(kt.oracles, kind)(
        objective=kt.Objective("loss", "min"),
        max_trials=plan.trials,
        max_time=plan.seconds,
        hyperparameters=hyperparameters(kt),
        seed=1,
    )
    Sleeper(oracle, directory=plan.folder, project_name="search").search(workers=plan.workers, verbose=0)


def krigetuner_random(plan: Plan) -> None:
    """The same with random search."""
    krigetuner(plan, "RandomSearchOracle")


def keras_tuner(plan: Plan) -> None:
    """A chief and workers; forked, so that TensorFlow is loaded once."""
    import keras_tuner as kt

    class Sleeper(kt.Tuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> float:
            return plan.trial(trial.hyperparameters.values)

    def play(name: str) -> None:
        os.environ |= {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": "29517"}
        os.environ["KERASTUNER_TUNER_ID"] = name
        oracle = kt.oracles.BayesianOptimizationOracle(
            objective=kt.Objective("loss", "min"),
            max_trials=plan.trials,
            hyperparameters=hyperparameters(kt),
            seed=1,
        )
        oracle.verbose = 0
        Sleeper(oracle, lambda hp: None, directory=str(plan.folder), project_name="search").search(verbose=0)

    for i in range(plan.workers):
        if os.fork() == 0:
            time.sleep(1.0)
            play(f"worker{i}")
            os._exit(0)
    play("chief")


def optuna(plan: Plan) -> None:
    """As many processes as workers on one SQLite file, TPE with its constant liar."""
    import optuna as op

    op.logging.set_verbosity(op.logging.ERROR)
    url = f"sqlite:///{plan.folder}/study.db"
    op.create_study(storage=url, study_name="s")

    def objective(trial: Any) -> float:
        values: dict[str, Any] = {}
        for i in range(2):
            values[f"float{i}"] = trial.suggest_float(f"float{i}", -1.0, 1.0)
            values[f"log{i}"] = trial.suggest_float(f"log{i}", 1e-5, 1e-1, log=True)
            values[f"int{i}"] = trial.suggest_int(f"int{i}", 1, 64)
        values["category"] = trial.suggest_categorical("category", ["a", "b", "c", "d"])
        values["switch"] = trial.suggest_categorical("switch", [True, False])
        return plan.trial(values)

    for i in range(plan.workers):
        if os.fork() == 0:
            sampler = op.samplers.TPESampler(seed=i, constant_liar=True)
            study = op.load_study(study_name="s", storage=url, sampler=sampler)
            study.optimize(objective, timeout=plan.seconds, n_trials=-(-plan.trials // plan.workers))
            os._exit(0)
    for _ in range(plan.workers):
        os.wait()


def ray_tune(plan: Plan, searcher: Any = None) -> None:
    """Ray Tune's random search; actors are used again."""
    import ray
    from ray import tune

    def objective(config: Mapping[str, Any]) -> dict[str, float]:
        return {"loss": plan.trial(config)}

    space: dict[str, Any] = {"category": tune.choice(["a", "b", "c", "d"]), "switch": tune.choice([True, False])}
    for i in range(2):
        space |= {f"float{i}": tune.uniform(-1.0, 1.0), f"log{i}": tune.loguniform(1e-5, 1e-1)}
        space |= {f"int{i}": tune.randint(1, 65)}
    ray.init(address="local", num_cpus=plan.workers, include_dashboard=False, log_to_driver=False)
    config = tune.TuneConfig(
        metric="loss",
        mode="min",
        num_samples=plan.trials,
        time_budget_s=plan.seconds + 60,  # it begins before the actors
        max_concurrent_trials=plan.workers,
        search_alg=searcher,
        reuse_actors=True,
    )
    run = tune.RunConfig(storage_path=str(plan.folder / "ray"), verbose=0)
    tune.Tuner(objective, param_space=space, tune_config=config, run_config=run).fit()


def ray_optuna(plan: Plan) -> None:
    """Ray Tune with Optuna's TPE."""
    from ray.tune.search.optuna import OptunaSearch

    ray_tune(plan, OptunaSearch())


SEARCHES: dict[str, Callable[[Plan], None]] = {
    f.__name__: f for f in (krigetuner, krigetuner_random, keras_tuner, optuna, ray_tune, ray_optuna)
}


def main(name: str, folder: str, workers: str, trials: str, seconds: str, nap: str) -> None:
    SEARCHES[name](Plan(Path(folder), int(workers), int(trials), float(seconds), float(nap)))


if __name__ == "__main__":
    main(*sys.argv[1:])
