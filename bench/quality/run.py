"""How good the best configuration is after N trials, beside the peers and without each of our own ingredients.

    python bench/quality/run.py [--contenders krigetuner random] [--tasks branin] [--seeds 5] [--trials 50] [--batch 8]
    python bench/quality/run.py --contenders krigetuner --without transforms shrinking       (or: all)
    python bench/quality/run.py --tasks failing --without feasibility
    python bench/quality/run.py --list

Every contender gets the same tasks, seeds, numbers of trials and the same noise. A score of 100 is the optimum and 0
the median best of ten random trials; the incumbent is chosen by what the search was told and judged by its true value.
Runs are written one by one; --resume keeps those in the file, also ones of an interpreter that has other libraries.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.quality.summary import Run, Scale
    from bench.quality.tasks import Task

ROOT = Path(__file__).resolve().parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "KRIGETUNER_THREADS")
SCALE_TRIALS = 2000
"""Random trials that a task's scale is made from."""


@dataclass(frozen=True)
class Job:
    """One run that is wanted."""

    contender: str
    without: str | None
    task: str
    seed: int
    trials: int
    batch: int

    @property
    def name(self) -> str:
        return f"{self.contender} without {self.without}" if self.without else self.contender

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self.name, self.task, self.seed, self.batch


def scale(task: Task) -> Scale:
    """The optimum and the median best of ten random trials."""
    import numpy as np
    from bench.quality.peers import parameters
    from bench.quality.summary import Scale

    from krigetuner.space.space import Space

    if task.ordinary is not None:
        return Scale(task.optimum, task.ordinary)
    space = Space(parameters(task))
    rng = np.random.default_rng(zlib.crc32(task.name.encode()))
    rows = space.sample(rng.random((SCALE_TRIALS, space.dimensions)))
    found = np.array([task.function(space.decode(row)) for row in rows])
    found[np.isnan(found)] = np.inf
    return Scale(task.optimum, float(np.median(found.reshape(-1, 10).min(axis=1))))


def play(job: Job) -> Run:
    """Runs one contender on one task with one seed."""
    import numpy as np
    from bench.quality.ablations import without
    from bench.quality.catalogue import everything
    from bench.quality.contenders import CONTENDERS
    from bench.quality.summary import Run, incumbents

    task, source = everything()[job.task], CONTENDERS[job.contender]
    seed = zlib.crc32(f"{job.task}/{job.seed}".encode()) % 2**31
    noise = task.noise * np.random.default_rng([seed, 1]).standard_normal(job.trials)
    noise[np.random.default_rng([seed, 2]).random(job.trials) < task.failures] = math.nan
    told, true, cpu = list[float](), list[float](), 0.0
    with without(job.without):
        contender = source.make(task, seed, job.batch, job.trials)
        while len(true) < job.trials:
            begin = time.process_time()
            asked = [contender.ask() for _ in range(min(job.batch, job.trials - len(true)))]
            cpu += time.process_time() - begin
            results = [task.function(values) for _, values in asked]
            seen = [loss + float(noise[len(true) + i]) for i, loss in enumerate(results)]
            begin = time.process_time()
            for (ticket, _), loss in zip(asked, seen, strict=True):
                contender.tell(ticket, loss)
            cpu += time.process_time() - begin
            told, true = told + seen, true + results
    best = incumbents([math.inf if math.isnan(v) else v for v in told], true)
    return Run(job.name, source.version or "", job.task, job.seed, job.batch, best, cpu)


def attempt(job: Job) -> Run | str:
    """The run, or what a contender ended it with: one library's fault does not end the comparison."""
    try:
        return play(job)
    except Exception as fault:
        return f"{job.name}, {job.task}, seed {job.seed} FAILED: {type(fault).__name__}: {fault}"


def results(jobs: list[Job], processes: int) -> Iterator[Run | str]:
    """The runs, as they end."""
    if processes < 2:
        yield from map(attempt, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=20) as pool:
        yield from pool.imap_unordered(attempt, jobs)


def wanted(asked: argparse.Namespace, absent: set[str]) -> list[Job]:
    """Every job that was asked for; seeds are the outer loop, so that a run cut short is balanced."""
    rows: list[tuple[str, str | None]] = [(name, None) for name in asked.contenders if name not in absent]
    rows += [("krigetuner", name) for name in asked.without]
    return [
        Job(contender, name, task, seed, asked.trials, asked.batch)
        for seed in range(asked.seeds)
        for task in asked.tasks
        for contender, name in rows
    ]


def stored(path: Path) -> list[Run]:
    """The runs in a file; none where there is no file."""
    from bench.quality.summary import Run

    if not path.exists():
        return []
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()]


def options() -> argparse.Namespace:
    """The command line, names checked."""
    from bench.quality.ablations import ABLATIONS
    from bench.quality.catalogue import GROUPS, everything, named
    from bench.quality.contenders import CONTENDERS
    from bench.quality.tasks import tasks

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME")
    parser.add_argument("--without", nargs="+", choices=[*ABLATIONS, "all"], default=[], metavar="INGREDIENT")
    parser.add_argument("--tasks", nargs="+", choices=[*everything(), *GROUPS], default=list(tasks()), metavar="TASK")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--at", type=int, nargs="+", help="report after so many trials (default: 20 %%, 50 %%, all)")
    parser.add_argument("--batch", type=int, default=1, help="trials that run at the same time")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "build" / "bench" / "quality.jsonl", help="a run on each line"
    )
    parser.add_argument("--resume", action="store_true", help="keep the runs in the file and make the missing ones")
    parser.add_argument("--list", action="store_true", help="list contenders, tasks and ingredients, and end")
    asked = parser.parse_args()
    for name in ("seeds", "trials", "batch", "jobs"):
        if getattr(asked, name) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(asked, name)}")
    asked.tasks = named(asked.tasks)
    asked.without = list(ABLATIONS) if "all" in asked.without else asked.without
    asked.at = asked.at or sorted({max(1, asked.trials // 5), max(1, asked.trials // 2), asked.trials})
    if not all(1 <= budget <= asked.trials for budget in asked.at):
        parser.error(f"--at: expected numbers from 1 to {asked.trials}, got {asked.at}")
    return asked


def announce(listing: bool) -> set[str]:
    """Prints which contenders there are, and returns the names of those that are not installed."""
    from bench.quality.ablations import ABLATIONS
    from bench.quality.catalogue import everything
    from bench.quality.contenders import CONTENDERS

    versions = {name: source.version for name, source in CONTENDERS.items()}
    for name, version in versions.items():
        missing = " and ".join(CONTENDERS[name].absent)
        print(f"{name:<20}{version or f'left out: {missing} not installed'}")
    if listing:
        print("tasks: " + ", ".join(everything()))
        for name, ablation in ABLATIONS.items():
            print(f"without {name:<20}{ablation.instead}")
    return {name for name, version in versions.items() if version is None}


def report(runs: list[Run], asked: argparse.Namespace) -> str:
    """The tables, of the runs that can be compared."""
    from bench.quality.catalogue import everything
    from bench.quality.summary import by_task, complete, differences, overall

    known = everything()
    scales = {name: scale(known[name]) for name in asked.tasks}
    fit = complete([run for run in runs if run.batch == asked.batch], asked.tasks, max(asked.at))
    if not fit:
        return "no contender has run on all tasks"
    left = {run.contender for run in runs} - {run.contender for run in fit}
    note = f"\nnot in the tables, for want of a task or of trials: {', '.join(sorted(left))}\n" if left else ""
    tables = [overall(fit, scales, asked.at), differences(fit, scales, asked.at, "krigetuner")]
    tables.append(by_task(fit, scales, max(asked.at)))
    return note + "\n" + "\n\n".join(filter(None, tables))


def main() -> None:
    os.environ.update(dict.fromkeys(THREADS, "1"), TF_CPP_MIN_LOG_LEVEL="3")
    sys.path.insert(0, str(ROOT))
    # the children of a pool find the package by this
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    asked = options()
    absent = announce(asked.list)
    if asked.list:
        return
    runs: dict[Any, Run] = {}
    if asked.resume:
        runs = {(r.contender, r.task, r.seed, r.batch): r for r in stored(asked.json)}
    jobs = [j for j in wanted(asked, absent) if j.key not in runs or len(runs[j.key].best) < j.trials]
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    with asked.json.open("a" if asked.resume else "w") as out:
        for done, run in enumerate(results(jobs, asked.jobs), 1):
            if isinstance(run, str):
                print(f"{done}/{len(jobs)} {run}", flush=True)
                continue
            runs[run.contender, run.task, run.seed, run.batch] = run
            out.write(json.dumps(asdict(run)) + "\n")
            out.flush()
            line = f"{done}/{len(jobs)} {run.contender}, {run.task}, seed {run.seed}: {run.best[-1]:.5g}"
            print(line, file=sys.stderr, flush=True)
    print(report(list(runs.values()), asked))


if __name__ == "__main__":
    main()
