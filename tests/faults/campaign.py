"""A seeded campaign of faults against a search: kills and full disks at random moments, then an audit of the ledger.

    python -m tests.faults.campaign --crew alone|chief|processes --oracle bayesian --faults 200 --seed 1 [--postgresql]

The search has no end while faults go on; then it is ended, started once more, and has to end by itself. The audit is
tests/faults/campaign_ledger.py: every finished trial there exactly once, every acknowledged epoch there, no trial lost,
none begun again after its end, and every suggestion the one that the algorithm makes of the history it saw.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
from tests.faults import campaign_ledger as ledger
from tests.ports import free_port
from tests.postgresql import Server

from krigetuner.store.database import DatabaseStore

SCRIPT = Path(__file__).with_name("campaign_script.py")
PATIENCE = 120.0
ENDLESS = 10**6
WORKERS = 3
EARLY = 0.1
"""The share of faults that hit a search while it starts."""


class Hangs(Exception):
    """Nothing happens any more."""


class Crew:
    """The processes of one search, as the driver sees them.

    Args:
        kind: "alone", "chief" (a chief and workers) or "processes" (`search(workers=...)`).
        folder: where the project and the diaries lie.
        oracle: its short name.
        server: that keeps the study, None for the file in the project.
    """

    def __init__(self, kind: str, folder: Path, oracle: str, server: Server | None = None) -> None:
        self.kind, self.folder, self.oracle, self.server = kind, folder, oracle, server
        self.storage = None if server is None else server.create(f"campaign_{folder.name.lower()}")
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.names = ["chief", *(f"w{i}" for i in range(WORKERS))] if kind == "chief" else ["conductor"]
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.diary = ledger.Diary()
        self.port = free_port()

    @property
    def conductor(self) -> str:
        """The name of the process that records."""
        return self.names[0]

    @property
    def database(self) -> Path:
        """The study's file."""
        return self.folder / "search" / "study.sqlite"

    def start(self, max_trials: int) -> None:
        """Starts the processes that do not run."""
        for name in self.names:
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                continue
            environment = {**os.environ, "KRIGETUNER_WORKER_TIMEOUT": "2", "OMP_NUM_THREADS": "1"}
            environment["TMPDIR"] = str(self.temporary)
            if self.kind == "chief":
                environment |= {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(self.port)}
                environment |= {"KERASTUNER_TUNER_ID": name, "KRIGETUNER_TOKEN": "a secret"}
            workers = WORKERS if self.kind == "processes" else 0
            arguments = [str(self.folder), self.oracle, str(max_trials), str(workers), *filter(None, [self.storage])]
            with (self.folder / f"{name}.err").open("ab") as errors:
                command = [sys.executable, "-X", "faulthandler", str(SCRIPT), *arguments]
                self.processes[name] = subprocess.Popen(command, env=environment, stderr=errors, text=True)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Kills one of the processes, and waits until those that depend on it have gone too."""
        process = self.processes[name]
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(number)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise Hangs(f"{name} does not end after signal {number}\n{self.stacks()}") from error
        _, left = psutil.wait_procs(children, timeout=PATIENCE)
        if left:
            raise Hangs(f"the death of {name} left {left} behind")

    def workers(self) -> list[int]:
        """Processes that run trials and can be killed without the conductor."""
        if self.kind == "chief":
            return [p.pid for name, p in self.processes.items() if name != self.conductor and p.poll() is None]
        children = {child.pid for child in psutil.Process(self.processes[self.conductor].pid).children(recursive=True)}
        return [pid for pid in {entry[1] for entry in self.diary.entries[-200:]} if pid in children]

    def progress(self, entries: int) -> None:
        """Waits until the diaries have so many more entries, or the conductor has ended."""
        known = len(self.diary.entries)
        deadline = time.monotonic() + PATIENCE
        while len(self.diary.entries) < known + entries and self.alive():
            if time.monotonic() > deadline:
                raise Hangs(f"{self.kind}: no entry in any diary for {PATIENCE:g} seconds\n{self.stacks()}")
            time.sleep(0.005)
            self.diary.refresh(self.folder / "diary")

    def alive(self) -> bool:
        """Whether the conductor runs."""
        return self.processes[self.conductor].poll() is None

    def end(self) -> None:
        """Waits until every process has ended by itself."""
        for name, process in self.processes.items():
            try:
                status = process.wait(2 * PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise Hangs(f"{name} does not end\n{self.stacks()}") from error
            if status:
                raise Hangs(f"{name} ended with {status}\n{self.errors()}")

    def stacks(self) -> str:
        """Ends everything, and says where each process was."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGABRT)
                process.wait(PATIENCE)
        return self.errors(8000)

    def errors(self, characters: int = 2000) -> str:
        """The end of what the processes wrote to their standard errors."""
        return "\n".join(f"--- {p.name}\n{p.read_text()[-characters:]}" for p in sorted(self.folder.glob("*.err")))

    def close(self) -> None:
        """Leaves no process behind."""
        for process in self.processes.values():
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
            process.wait()


class Faults:
    """The faults, drawn with a seed.

    Args:
        crew: whose processes they hit.
        seed: of the draws.

    Attributes:
        done: how often each kind has hit.
    """

    def __init__(self, crew: Crew, seed: int) -> None:
        # which faults, and all else that is drawn: how often that is depends on the time that things take
        self.crew, self.order, self.chance = crew, random.Random(seed), random.Random(-1 - seed)
        self.done: Counter[str] = Counter()
        self.kinds: dict[str, tuple[float, Callable[[], bool]]] = {
            "conductor killed": (1.0, self.kill_conductor),
            "conductor terminated": (0.15, self.terminate_conductor),
            "disk full": (0.2 if crew.server is None else 0.0, self.fill_disk),
            "server killed": (0.0 if crew.server is None else 0.7, self.kill_server),
            "worker killed": (0.0 if crew.kind == "alone" else 1.5, self.kill_worker),
            "everything killed": (0.0 if crew.kind == "alone" else 0.2, self.kill_everything),
        }

    def strike(self) -> None:
        """Has one fault happen, at a random moment of a search that makes progress, or while it starts."""
        self.crew.start(ENDLESS)
        if self.order.random() < EARLY:
            time.sleep(self.chance.uniform(0.0, 1.5))
        else:
            self.crew.progress(self.chance.randint(1, 25))
            time.sleep(self.chance.uniform(0.0, 0.08))
        kind = self.order.choices(list(self.kinds), [weight for weight, _ in self.kinds.values()])[0]
        self.done[kind] += self.crew.alive() and self.kinds[kind][1]()

    def kill_conductor(self) -> bool:
        self.crew.kill(self.crew.conductor)
        return True

    def terminate_conductor(self) -> bool:
        """SIGTERM: running trials are recorded as interrupted."""
        self.crew.kill(self.crew.conductor, signal.SIGTERM)
        for name in self.crew.names[1:]:
            self.crew.kill(name)  # they would end by themselves, after having said so
        return True

    def kill_worker(self) -> bool:
        workers = self.crew.workers()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(sorted(workers)), signal.SIGKILL)
        return bool(workers)

    def kill_everything(self) -> bool:
        """As a machine that loses its power."""
        for process in self.crew.processes.values():
            process.send_signal(signal.SIGSTOP)
        for pid in self.crew.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in self.crew.names:
            self.crew.kill(name)
        return True

    def kill_server(self) -> bool:
        """The database server dies and comes back a little later; the search waits for it."""
        if self.crew.server is not None:
            self.crew.server.kill()
            time.sleep(self.chance.uniform(0.0, 1.0))
            self.crew.server.start("fsync=off")
            self.crew.progress(3)
        return True

    def fill_disk(self) -> bool:
        """The conductor's files cannot grow any more: it has to end, saying so."""
        log = self.crew.database.with_name("study.sqlite-wal")
        size = max(log.stat().st_size if log.exists() else 0, 60_000) + self.chance.randint(0, 20_000)
        process = self.crew.processes[self.crew.conductor]
        former = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:  # the log was begun anew: it has room
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, former)
            return False
        for name in self.crew.names[1:]:
            self.crew.kill(name)
        said = self.crew.errors()
        if "full disk" not in said and "disk is full" not in said:
            raise Hangs(f"the conductor ended with {process.returncode}, expected a word on the full disk\n{said}")
        return True


def run(crew: Crew, faults: int, seed: int, every: int = 1) -> tuple[Counter[str], list[str]]:
    """Runs a campaign; returns how often each kind of fault hit, and what is wrong in the end."""
    chance = Faults(crew, seed)
    try:
        while sum(chance.done.values()) < faults:
            chance.strike()
        crew.start(ENDLESS)
        crew.progress(10)
        for name in crew.names:
            crew.kill(name)
        events, _ = read(crew)
        asked = sum(type(event).__name__ == "TrialAsked" for _, event in events)
        crew.start(asked + 5)
        crew.end()
    finally:
        crew.close()
    return chance.done, audit(crew, every)


def read(crew: Crew) -> tuple[ledger.Numbered, ledger.StudyState]:
    """The record of a search that does not run."""
    store = DatabaseStore(crew.storage or crew.database, "search" if crew.storage else "study", read_only=True)
    try:
        return list(store.read()), store.state()
    finally:
        store.close()


def audit(crew: Crew, every: int = 1) -> list[str]:
    """All that is wrong with the record of a search that has come to its end."""
    events, state = read(crew)
    crew.diary.refresh(crew.folder / "diary")
    return [
        *(f"{path.name} was left behind" for path in crew.temporary.iterdir()),
        *ledger.record_problems(events, state),
        *ledger.result_problems(events, state, continued=crew.kind == "chief"),
        *ledger.diary_problems(crew.diary, events, synchronous=crew.kind == "alone"),
        *ledger.replay_problems(events, crew.oracle, every),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crew", choices=["alone", "chief", "processes"], default="alone")
    parser.add_argument("--oracle", choices=["random", "grid", "bayesian", "hyperband"], default="bayesian")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="replay one suggestion in so many")
    parser.add_argument("--postgresql", action="store_true", help="keep the study there, and kill the server too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = None
        if asked.postgresql:
            server = Server()
            stack.callback(server.remove)
            server.start("fsync=off")
        crew, began = Crew(asked.crew, Path(folder), asked.oracle, server), time.monotonic()
        done, problems = run(crew, asked.faults, asked.seed, asked.every)
        events, state = read(crew)
        said = ", ".join(f"{kind}: {count}" for kind, count in sorted(done.items()))
        line = (
            f"{asked.crew}, {asked.oracle}, seed {asked.seed}: {said}; {len(state.trials)} trials, {len(events)} events"
        )
        sys.stdout.write(f"{line}, {time.monotonic() - began:.0f} s, {len(problems)} problems\n")
        sys.stdout.write("".join(f"  {problem}\n" for problem in problems[:50]))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
