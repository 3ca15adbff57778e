"""What a tuner costs beside KerasTuner: its import, a suggestion, and a trial that does nothing.

    taskset -c 0 python bench/latency/run.py [--sizes 10 30 100] [--cycles 5]

Each figure comes from a fresh process; both tuners run the same code, with the import changed. CPU seconds of one `ask`
and `tell` (create_trial, update_trial, end_trial, files or database included) after n random observations in 8 mixed
dimensions; trials per second of a random search whose objective is a constant.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

LIBRARIES = ("krigetuner", "keras_tuner")
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def space(kt: Any) -> Any:
    """Four floats, two of them logarithmic, two integers, a category and a switch."""
    hp = kt.HyperParameters()
    for i in range(2):
        hp.Float(f"float{i}", -1.0, 1.0)
        hp.Float(f"log{i}", 1e-5, 1e-1, sampling="log")
        hp.Int(f"int{i}", 1, 64)
    hp.Choice("category", ["a", "b", "c", "d"])
    hp.Boolean("switch")
    return hp


def loss(values: dict[str, Any]) -> float:
    """Smooth, with a few dimensions that matter."""
    bump = (values["float0"] - 0.3) ** 2 + 0.5 * (values["int0"] / 64 - 0.4) ** 2
    return float(bump + 0.2 * (values["category"] != "b") + 0.1 * values["switch"])


def suggestion(kt: Any, n: int, cycles: int) -> float:
    """Median CPU seconds of one ask and tell behind n observations."""
    oracle_class = kt.oracles.BayesianOptimizationOracle
    with tempfile.TemporaryDirectory() as directory:
        oracle = oracle_class(
            objective=kt.Objective("loss", "min"),
            max_trials=10**6,
            num_initial_points=n,
            hyperparameters=space(kt),
            seed=1,
        )
        oracle.verbose = 0
        oracle._set_project_dir(directory, "bench")
        spent = []
        for i in range(n + cycles):
            begin = time.process_time()
            trial = oracle.create_trial("tuner0")
            oracle.update_trial(trial.trial_id, {"loss": loss(trial.hyperparameters.values)})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            if i >= n:
                spent.append(time.process_time() - begin)
    return statistics.median(spent)


def overhead(kt: Any, trials: int) -> float:
    """Trials per second of a search whose objective costs nothing."""

    class Nothing(kt.RandomSearch):  # type: ignore[misc, name-defined]
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> float:
            return 1.0

    with tempfile.TemporaryDirectory() as directory:
        goal = kt.Objective("loss", "min")
        tuner = Nothing(objective=goal, max_trials=trials, hyperparameters=space(kt), directory=directory)
        begin = time.perf_counter()
        tuner.search(verbose=0)
        return trials / (time.perf_counter() - begin)


def measure(library: str, what: str, size: int, cycles: int) -> dict[str, float]:
    """One figure, in this process."""
    begin = time.perf_counter()
    kt = __import__(library)
    kt.BayesianOptimization, kt.HyperParameters  # noqa: B018 - ours loads a name when it is first used
    seconds = time.perf_counter() - begin
    if what == "import":
        return {"seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    return {"value": suggestion(kt, size, cycles) if what == "suggestion" else overhead(kt, size)}


def fresh(library: str, what: str, size: int = 0, cycles: int = 0) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--measure", library, what, str(size), str(cycles)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **THREADS})
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Runs all and prints a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 30, 100])
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        library, what, size, cycles = options.measure
        print(json.dumps(measure(library, what, int(size), int(cycles))))
        return
    print("| | " + " | ".join(LIBRARIES) + " |\n| --- |" + " --: |" * len(LIBRARIES))
    imports = [[fresh(library, "import") for _ in range(3)] for library in LIBRARIES]
    print("| import, s | " + " | ".join(f"{min(r['seconds'] for r in runs):.2f}" for runs in imports) + " |")
    print("| memory after it, MB | " + " | ".join(f"{runs[0]['mb']:.0f}" for runs in imports) + " |")
    for n in options.sizes:
        row = [1000 * fresh(library, "suggestion", n, options.cycles)["value"] for library in LIBRARIES]
        print(f"| suggestion after {n} trials, ms of CPU | " + " | ".join(f"{v:.1f}" for v in row) + " |")
    rates = [fresh(library, "overhead", options.trials)["value"] for library in LIBRARIES]
    print("| trials per second, empty objective | " + " | ".join(f"{v:.0f}" for v in rates) + " |")


if __name__ == "__main__":
    main()
