"""What a suggestion costs as the history grows: ours in memory and with its database, beside Optuna's TPE.

    python bench/latency/asks.py [--sizes 30 100 300 1000] [--cycles 20] [--contenders krigetuner-memory] [--json FILE]

Processor time of one ask and tell behind n random observations of the same objective in 8 mixed dimensions, one thread,
each figure from a fresh process. The first cycle bears what was not yet done for the history (imports, the model's fit)
and stands apart; of the others the table shows the median, and the mean, which bears the fits that fall among them
(ours searches its hyperparameters when there are a fifth more trials: --cycles 200 meets that at n = 1,000).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SIZES = (30, 100, 300, 1000, 3000, 10000)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "KRIGETUNER_THREADS")
Values = dict[str, Any]
Step = Callable[[Callable[[Values], float]], None]
"""One ask and tell of an objective."""


def krigetuner(history: list[tuple[Values, float]], directory: str | None) -> Step:
    """The default oracle that knows the history; with a database where there is a directory."""
    from bench.latency.run import space

    import krigetuner as kt

    oracle = kt.oracles.BayesianOptimizationOracle(
        objective=kt.Objective("loss", "min"), max_trials=10**6, hyperparameters=space(kt), seed=1
    )
    oracle.verbose = 0
    if directory is not None:
        oracle._set_project_dir(directory, "bench")
    for values, loss in history:
        oracle.add_observation(values, {"loss": loss})

    def step(objective: Callable[[Values], float]) -> None:
        trial = oracle.create_trial("tuner0")
        oracle.update_trial(trial.trial_id, {"loss": objective(trial.hyperparameters.values)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)

    return step


def optuna_tpe(history: list[tuple[Values, float]], _: str | None) -> Step:
    """A study in memory with the default sampler that knows the history."""
    import optuna
    from bench.latency.run import space

    import krigetuner as kt

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    of = optuna.distributions
    spread: dict[str, Any] = {}
    for p in space(kt).space:
        if hasattr(p, "min_value"):
            kind = of.IntDistribution if p.integer else of.FloatDistribution
            spread[p.name] = kind(p.min_value, p.max_value, log=p.sampling == "log")
        else:
            spread[p.name] = of.CategoricalDistribution(list(p.values))
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    study.add_trials([optuna.trial.create_trial(params=v, distributions=spread, value=loss) for v, loss in history])

    def step(objective: Callable[[Values], float]) -> None:
        trial = study.ask(spread)
        study.tell(trial, objective(trial.params))

    return step


CONTENDERS: dict[str, tuple[str, bool, Callable[[list[tuple[Values, float]], str | None], Step]]] = {
    "krigetuner-memory": ("krigetuner", False, krigetuner),
    "krigetuner-database": ("krigetuner", True, krigetuner),
    "optuna-tpe": ("optuna", False, optuna_tpe),
}
"""The module needed, whether it gets a directory, and what makes its step."""


def random_history(size: int) -> list[tuple[Values, float]]:
    """Random configurations and their losses, the same for every contender."""
    from bench.latency.run import loss, space

    import krigetuner as kt

    rng = random.Random(size)
    parameters = list(space(kt).space)
    drawn = [{p.name: p.random_sample(rng.randrange(2**31)) for p in parameters} for _ in range(size)]
    return [(values, loss(values)) for values in drawn]


def measure(contender: str, size: int, cycles: int) -> dict[str, float]:
    """One figure, in this process: seconds of processor time."""
    from bench.latency.run import loss

    _, stored, make = CONTENDERS[contender]
    history = random_history(size)
    spent = []
    with tempfile.TemporaryDirectory() as directory:
        step = make(history, directory if stored else None)
        for _ in range(cycles + 1):
            begin = time.process_time()
            step(loss)
            spent.append(time.process_time() - begin)
    return {"first": spent[0], "median": statistics.median(spent[1:]), "mean": statistics.fmean(spent[1:])}


def fresh(contender: str, size: int, cycles: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--measure", contender, str(size), str(cycles)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(found: Mapping[str, Mapping[int, Mapping[str, float]]]) -> str:
    """Markdown: milliseconds, median / mean (first), by contender and size."""
    sizes = list(dict.fromkeys(size for row in found.values() for size in row))
    lines = ["| CPU ms per ask and tell: median / mean (first) | " + " | ".join(f"n = {n}" for n in sizes) + " |"]
    lines.append("| --- |" + " --: |" * len(sizes))
    for name, row in found.items():
        cells = [_cell(row[n]) if n in row else "-" for n in sizes]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figure: Mapping[str, float]) -> str:
    median, mean, first = (f"{1000 * figure[name]:.3g}" for name in ("median", "mean", "first"))
    return f"{median} / {mean} ({first})"


def main() -> None:
    os.environ.update(dict.fromkeys(THREADS, "1"))
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench" / "asks.json")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        contender, size, cycles = asked.measure
        print(json.dumps(measure(contender, int(size), int(cycles))))
        return
    found: dict[str, dict[int, Any]] = {}
    for name in asked.contenders:
        if importlib.util.find_spec(CONTENDERS[name][0]) is None:
            print(f"{name} left out: {CONTENDERS[name][0]} is not installed")
        else:
            found[name] = {}
    for size in asked.sizes:
        # contenders take turns, so that a disturbance of the machine meets all of them
        for name, row in found.items():
            row[size] = fresh(name, size, asked.cycles)
            print(f"n = {size}, {name}: {_cell(row[size])}", file=sys.stderr, flush=True)
    print(table(found))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
