"""Many workers at once: trials per second, how busy the slots are, and what it costs the process that conducts.

    python bench/scale/parallel.py --contenders krigetuner --trials 6000 --workers 30 --nap 1
    python bench/scale/parallel.py --contenders krigetuner keras_tuner optuna ray_tune --seconds 150 \
        --interpreter optuna=peers/bin/python ray_tune=peers/bin/python

A trial sleeps; so two cores can have thirty of them, and what a library itself costs is all that is seen. Slots are
busy while trials sleep; the share is of workers times the time from the first trial's begin to the last one's end, so
start-up is apart. CPU is that of the process that was started, and of all; memory is what only these processes use.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

SEARCHES = Path(__file__).with_name("sleepers.py")
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
EVERY = 5.0


@dataclass
class Sample:
    """A moment of a run: seconds since its begin, trials that had ended, CPU seconds and memory."""

    seconds: float
    trials: int
    cpu: float
    cpu_of_all: float
    megabytes: float
    megabytes_of_all: float


@dataclass
class Run:
    """What one contender did.

    Attributes:
        trials: that ended in the time.
        seconds: from the first trial's begin to the last one's end.
        startup: seconds until the first trial began.
        busy: share of the slots' time in which a trial ran.
        best: the least loss.
        file_megabytes: of everything in its folder but the diaries.
        suggestions: median milliseconds of a suggestion by the thousand trials, where the record has them.
    """

    name: str
    workers: int
    trials: int = 0
    seconds: float = 0.0
    startup: float = 0.0
    busy: float = 0.0
    best: float = 0.0
    file_megabytes: float = 0.0
    suggestions: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


def observe(process: subprocess.Popen[bytes], folder: Path, began: float, limit: float) -> list[Sample]:
    """Looks at a run every five seconds until it ends; it is interrupted some time after its limit."""
    root = psutil.Process(process.pid)
    samples: list[Sample] = []
    gone: dict[int, float] = {}
    while process.poll() is None:
        time.sleep(EVERY)
        cpu, total, own, of_all = 0.0, 0.0, 0.0, 0.0
        try:
            members = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            break
        for member in members:
            try:
                times, memory = member.cpu_times(), member.memory_full_info().uss / 2**20
            except psutil.Error:
                continue
            gone[member.pid] = times.user + times.system
            of_all += memory
            if member.pid == root.pid:
                cpu, own = gone[member.pid], memory
        total = sum(gone.values())
        samples.append(Sample(time.time() - began, len(diary(folder)), cpu, total, own, of_all))
        if time.time() - began > limit:
            process.send_signal(signal.SIGINT)
            break
    return samples


def diary(folder: Path) -> list[tuple[float, float, float]]:
    """Begin, end and loss of every trial; a line that is being written does not count."""
    lines = [line for path in (folder / "diary").glob("*") for line in path.read_text().split("\n")[:-1]]
    return sorted((float(a), float(b), float(c)) for a, b, c in map(str.split, lines))


def summarise(run: Run, folder: Path, began: float, seconds: float) -> Run:
    """Fills in what the diaries say, up to so many seconds after the first trial began."""
    entries = diary(folder)
    if not entries:
        return run
    first = entries[0][0]
    last = min(max(end for _, end, _ in entries), first + seconds)
    done = [entry for entry in entries if entry[1] <= last]
    spent = sum(min(end, last) - begin for begin, end, _ in entries if begin < last)
    run.trials, run.seconds, run.startup = len(done), last - first, first - began
    run.busy = spent / (run.workers * run.seconds)
    run.best = min(loss for *_, loss in done)
    files = (p for p in folder.rglob("*") if p.is_file() and p.parent.name != "diary")
    run.file_megabytes = sum(p.stat().st_size for p in files) / 2**20
    run.suggestions = suggestions(folder / "search" / "study.sqlite")
    return run


def suggestions(path: Path) -> list[float]:
    """Median milliseconds that suggestions took, a figure for each thousand trials of KrigeTuner's record."""
    if not path.exists():
        return []
    database = sqlite3.connect(path)
    rows = database.execute("SELECT body FROM events WHERE kind = 'TrialAsked' ORDER BY position").fetchall()
    database.close()
    took = [json.loads(body)["origin"]["note"].get("seconds", 0.0) for (body,) in rows]
    groups = [sorted(took[i : i + 1000]) for i in range(0, len(took), 1000)]
    return [1000 * group[len(group) // 2] for group in groups]


def measure(name: str, interpreter: str, asked: argparse.Namespace) -> Run:
    """Runs one contender."""
    with tempfile.TemporaryDirectory(dir=asked.folder) as directory:
        folder = Path(directory)
        (folder / "diary").mkdir()
        arguments = [name, directory, asked.workers, asked.trials, asked.seconds, asked.nap]
        command = [interpreter, str(SEARCHES), *map(str, arguments)]
        began = time.time()
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command, env={**os.environ, **THREADS}, stdout=output, stderr=output, start_new_session=True
            )
            samples = observe(process, folder, began, asked.seconds + asked.grace)
        run = summarise(Run(name, asked.workers, samples=samples), folder, began, asked.seconds)
        end(process)
        if not run.trials:
            print((folder / "output").read_text()[-3000:], file=sys.stderr)
    return run


def end(process: subprocess.Popen[bytes]) -> None:
    """Leaves nothing of a run behind."""
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
    for member in psutil.process_iter():
        try:
            if os.getsid(member.pid) == process.pid:
                member.kill()
        except (OSError, psutil.Error):
            continue
    process.wait()


def table(runs: list[Run]) -> str:
    """A row for each contender."""
    costs = "CPU of the conductor, s | CPU of all, s | conductor, MB | all, MB | files, MB"
    rows = [f"| | trials | in s | trials/s | slots busy | {costs} |", "| --- |" + " --: |" * 9]
    for run in runs:
        last = run.samples[-1] if run.samples else Sample(0, 0, 0, 0, 0, 0)
        most = max((s.megabytes for s in run.samples), default=0.0)
        everything = max((s.megabytes_of_all for s in run.samples), default=0.0)
        cells = [run.name, f"{run.trials:,}", f"{run.seconds:.0f}", f"{run.trials / max(run.seconds, 1e-9):.1f}"]
        cells += [f"{100 * run.busy:.1f} %", f"{last.cpu:.0f}", f"{last.cpu_of_all:.0f}", f"{most:.0f}"]
        rows.append("| " + " | ".join([*cells, f"{everything:.0f}", f"{run.file_megabytes:.0f}"]) + " |")
    return "\n".join(rows)


def course(run: Run) -> str:
    """Memory, CPU and suggestions over the trials of one run."""
    rows = ["| trials | conductor, MB | its CPU per trial, ms | a suggestion, ms |", "| --: |" + " --: |" * 3]
    before = Sample(0, 0, 0, 0, 0, 0)
    for index, took in enumerate(run.suggestions):
        reached = [s for s in run.samples if s.trials >= min(1000 * (index + 1), run.trials - run.workers)]
        if reached:
            now = reached[0]
            per_trial = 1000 * (now.cpu - before.cpu) / max(now.trials - before.trials, 1)
            rows.append(f"| {now.trials:,} | {now.megabytes:.0f} | {per_trial:.1f} | {took:.1f} |")
            before = now
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", nargs="+", default=["krigetuner"])
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--trials", type=int, default=6000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--nap", type=float, default=1.0)
    parser.add_argument("--grace", type=float, default=60.0, help="seconds to start and to end")
    parser.add_argument("--interpreter", nargs="*", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--folder", help="where the searches keep their files")
    parser.add_argument("--json", type=Path, help="a file for the runs, line by line")
    asked = parser.parse_args()
    interpreters = dict(pair.split("=", 1) for pair in asked.interpreter)
    runs = []
    for name in asked.contenders:
        runs.append(measure(name, interpreters.get(name, sys.executable), asked))
        if asked.json:
            with asked.json.open("a") as file:
                file.write(json.dumps(asdict(runs[-1])) + "\n")
    print(table(runs))
    for run in runs:
        if run.suggestions:
            print(f"\n{run.name}, over the trials:\n\n{course(run)}")


if __name__ == "__main__":
    main()
