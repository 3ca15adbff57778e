r"""What a trial costs in one process: trials per second of a random search whose objective costs nothing.

    python bench/scale/throughput.py [--trials 10000] [--seconds 60] [--rounds 1] \
        [--interpreter optuna=peers/bin/python]
    python bench/scale/throughput.py --volume 10000 --epochs 50

Every contender records every trial as it does by default, in a fresh process each, one after the other, and in every
round again; it stops at so many trials or seconds. Rates are by the thousand trials, in seconds of the clock and of
the processor: on a machine that others use too, only the latter mean something. `--volume` fills a study with trials of
many epochs, and opens it again: seconds, memory of the process, size of the database.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

CONTENDERS = (
    "krigetuner-sqlite", "krigetuner-memory", "krigetuner-postgresql", "keras_tuner", "optuna-sqlite", "optuna-journal",
    "optuna-memory",
)  # fmt: skip
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
RANGES = {"x": (-5.0, 5.0), "y": (1e-5, 1e-1)}


class Meter:
    """Counts trials; ends the search when there are enough.

    Attributes:
        marks: clock and processor seconds after every so many trials.
    """

    def __init__(self, trials: int, seconds: float) -> None:
        self._trials, self._every = trials, max(trials // 10, 1)
        self._seconds, self._end = seconds, 0.0
        self.count = 0
        self.marks: list[tuple[int, float, float]] = []

    def begin(self) -> None:
        """Starts the clock."""
        self._end = time.perf_counter() + self._seconds
        self.marks = [(0, time.perf_counter(), time.process_time())]

    def trial(self) -> bool:
        """Counts one; whether another may follow."""
        self.count += 1
        over = self.count >= self._trials or time.perf_counter() >= self._end
        if over or self.count % self._every == 0:
            self.marks.append((self.count, time.perf_counter(), time.process_time()))
        return not over


def loss(x: float, y: float, n: int, kind: str) -> float:
    """Anything."""
    return (x - 0.3) ** 2 + y + 0.01 * n + (kind == "b")


def tuner_search(library: str, storage: str | None, meter: Meter, directory: str) -> None:
    """KerasTuner's interface; an exception in a hook ends the search."""
    kt: Any = __import__(library)
    hp = kt.HyperParameters()
    hp.Float("x", *RANGES["x"])
    hp.Float("y", *RANGES["y"], sampling="log")
    hp.Int("n", 1, 50)
    hp.Choice("kind", ["a", "b", "c"])

    class Over(Exception):
        pass

    class Tuner(kt.engine.base_tuner.BaseTuner):  # type: ignore[misc]
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> float:
            values = trial.hyperparameters.values
            return loss(values["x"], values["y"], values["n"], values["kind"])

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            if not meter.trial():
                raise Over

    oracle = kt.oracles.RandomSearchOracle(kt.Objective("loss", "min"), max_trials=10**6, hyperparameters=hp, seed=1)
    more = {"storage": storage} if library == "krigetuner" else {}
    tuner = Tuner(oracle, directory=directory, project_name="bench", **more)
    meter.begin()
    try:
        tuner.search(verbose=0)
    except Over:
        return


def optuna_search(storage: str, meter: Meter, directory: str) -> None:
    """Optuna's random search."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = Path(directory) / "study"
    place: Any = None
    if storage == "sqlite":
        place = f"sqlite:///{path}"
    elif storage == "journal":
        place = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    study = optuna.create_study(storage=place, sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial: Any) -> float:
        x, y = trial.suggest_float("x", *RANGES["x"]), trial.suggest_float("y", *RANGES["y"], log=True)
        return loss(x, y, trial.suggest_int("n", 1, 50), trial.suggest_categorical("kind", ["a", "b", "c"]))

    def count(study: Any, trial: Any) -> None:
        if not meter.trial():
            study.stop()

    meter.begin()
    study.optimize(objective, callbacks=[count])


def run(name: str, trials: int, seconds: float) -> dict[str, Any]:
    """One contender in this process."""
    library, _, storage = name.partition("-")
    server = None
    with tempfile.TemporaryDirectory(prefix="throughput-") as directory:
        place = {"memory": "memory"}.get(storage)
        if storage == "postgresql":
            from tests.postgresql import Server

            server = Server()
            server.start()
            place = server.create("bench")
        meter = Meter(trials, seconds)
        try:
            if library == "optuna":
                optuna_search(storage, meter, directory)
            else:
                tuner_search(library, place, meter, directory)
        finally:
            if server is not None:
                server.remove()
    return {"name": name, "marks": meter.marks, "megabytes": psutil.Process().memory_info().rss / 2**20}


def volume(trials: int, epochs: int) -> dict[str, float]:
    """A study of trials with many epochs, and its resume in another process."""
    with tempfile.TemporaryDirectory(prefix="volume-") as directory:
        here = [sys.executable, __file__, "--directory", directory, "--volume", str(trials), "--epochs", str(epochs)]
        found: dict[str, float] = {}
        for step in ("fill", "resume"):
            done = subprocess.run([*here, "--step", step], env=os.environ | THREADS, check=True, capture_output=True)
            found |= json.loads(done.stdout.splitlines()[-1])
        files = Path(directory).rglob("study.sqlite*")
        return found | {"megabytes_of_database": sum(f.stat().st_size for f in files) / 2**20}


def volume_step(step: str, directory: str, trials: int, epochs: int) -> dict[str, float]:
    """Fills the study, or opens it again and goes on for one trial."""
    import krigetuner as kt

    process = psutil.Process()
    hp = kt.HyperParameters()
    hp.Float("x", *RANGES["x"])
    hp.Int("n", 1, 50)
    oracle = kt.oracles.RandomSearchOracle("val_loss", max_trials=10**6, hyperparameters=hp, seed=1)
    before, begin = process.memory_info().rss / 2**20, time.process_time()
    oracle._set_project_dir(directory, "volume")
    opened = time.process_time() - begin
    half = 0.0
    for number in range(trials if step == "fill" else 1):
        trial = oracle.create_trial("tuner0")
        if number == 0:
            first = time.process_time() - begin
        for epoch in range(epochs):
            metrics = {"loss": 1.0 / (epoch + 1), "val_loss": 1.0 / (epoch + number + 1), "accuracy": 0.5}
            oracle.report(trial.trial_id, epoch, metrics)
        oracle.update_trial(trial.trial_id, metrics, step=epochs - 1)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        if number == trials // 2:
            half = process.memory_info().rss / 2**20
    memory = process.memory_info().rss / 2**20
    oracle.close()
    if step == "resume":
        return {"resume_opened": opened, "resume_first_trial": first, "resume_megabytes": memory}
    return {
        "fill_seconds": time.process_time() - begin,
        "megabytes_before": before,
        "megabytes_half": half,
        "megabytes": memory,
    }


def rates(marks: list[list[float]]) -> str:
    """Trials per second of the clock, and by parts per second of the processor."""
    (_, begin, cpu), (count, end, cpu_end) = marks[0], marks[-1]
    parts = [f"{(b[0] - a[0]) / max(b[2] - a[2], 1e-9):.0f}" for a, b in pairwise(marks)]
    return f"| {count} | {count / (end - begin):.0f} | {count / (cpu_end - cpu):.0f} | {' '.join(parts)} |"


def main() -> None:
    """Prints tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="*", default=CONTENDERS)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--interpreter", nargs="*", default=[], metavar="LIBRARY=PYTHON")
    parser.add_argument("--volume", type=int, metavar="TRIALS")
    parser.add_argument("--epochs", type=int, default=50)
    for hidden in ("--contender", "--step", "--directory"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(volume_step(options.step, options.directory, options.volume, options.epochs)))
    elif options.volume:
        for name, value in volume(options.volume, options.epochs).items():
            print(f"{name:<24} {value:.2f}")
    elif options.contender:
        print(json.dumps(run(options.contender, options.trials, options.seconds)))
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """All contenders in turn, round by round."""
    interpreters = dict(each.split("=", 1) for each in options.interpreter)
    print("| contender | trials | per second | per CPU second | by parts, per CPU second | MB |")
    print("|---|--:|--:|--:|--:|--:|")
    found: dict[str, list[float]] = {}
    root = str(Path(__file__).parents[2])
    for _ in range(options.rounds):
        for name in options.contenders:
            python = interpreters.get(name.partition("-")[0], sys.executable)
            command = [python, __file__, "--contender", name, "--trials", str(options.trials)]
            command += ["--seconds", str(options.seconds)]
            environment = os.environ | THREADS | {"PYTHONPATH": root}
            done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
            if done.returncode:
                print(f"| {name} | failed: {done.stderr.strip().splitlines()[-1]} |")
                continue
            result = json.loads(done.stdout.splitlines()[-1])
            print(f"| {name} {rates(result['marks'])} {result['megabytes']:.0f} |", flush=True)
            (_, _, begin), (count, _, end) = result["marks"][0], result["marks"][-1]
            found.setdefault(name, []).append(count / (end - begin))
    if options.rounds > 1:
        for name, values in found.items():
            print(f"{name}: median {statistics.median(values):.0f} trials per CPU second")


if __name__ == "__main__":
    main()
