"""A chief and its workers as real processes, killed and restarted: no trial is lost or run twice, nobody hangs."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.ports import free_port

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("worker_script.py")
PATIENCE = 150.0


class Crew:
    """The processes of one search."""

    def __init__(self, folder: Path, mode: str, max_trials: int) -> None:
        self.folder, self.mode, self.max_trials = folder, mode, max_trials
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, *names: str, **variables: str) -> None:
        for name in names:
            environment = os.environ | {
                "KERASTUNER_ORACLE_IP": "127.0.0.1",
                "KERASTUNER_ORACLE_PORT": str(self.port),
                "KERASTUNER_TUNER_ID": name,
                "KRIGETUNER_WORKER_TIMEOUT": "8",
                "KRIGETUNER_TOKEN": "a secret",
                **variables,
            }
            arguments = [str(SCRIPT), str(self.folder), self.mode, str(self.max_trials)]
            command = [sys.executable, "-X", "faulthandler", *arguments]
            self.processes[name] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        self.processes[name].send_signal(number)
        self.processes[name].communicate(timeout=PATIENCE)

    def ends(self, *names: str) -> dict[str, tuple[int, str]]:
        """Exit status and standard error of processes, all of which end by themselves."""
        found = {}
        for name in names:
            try:
                _, errors = self.processes[name].communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                for process in self.processes.values():
                    process.send_signal(signal.SIGABRT)
                stacks = {n: p.communicate()[1] for n, p in self.processes.items()}
                pytest.fail(f"{name} hangs\n" + "\n".join(f"--- {n}\n{text}" for n, text in stacks.items()))
            found[name] = (self.processes[name].returncode, errors)
        return found

    def diary(self, word: str) -> list[list[str]]:
        path = self.folder / "diary"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == word]

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self.folder / "diary").read_text()
            time.sleep(0.02)

    def trials(self) -> list[tuple[str, str, int, str]]:
        """Id, status, attempt and message of every trial."""
        return self.rows("SELECT trial_id, status, attempt, message FROM trials ORDER BY number")

    def rows(self, query: str) -> list[tuple[str, str, int, str]]:
        database = sqlite3.connect(self.folder / "search" / "study.sqlite")
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Callable[[str, int], Crew]]:
    made: list[Crew] = []

    def make(mode: str, max_trials: int) -> Crew:
        made.append(Crew(tmp_path, mode, max_trials))
        return made[-1]

    yield make
    for process in (p for c in made for p in c.processes.values()):
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_two_of_four_workers_are_killed(crew: Callable[[str, int], Crew]) -> None:
    c = crew("hold", 8)
    c.start("chief", "w1", "w2", "w3", "w4")
    c.until(lambda: len(c.diary("begin")) == 4)  # though the space was empty when the first one asked
    held = {worker: trial for worker, trial, _ in c.diary("begin")}
    assert len(set(held.values())) == 4
    c.kill("w1")
    c.kill("w2")
    (c.folder / "go").touch()
    ended = c.ends("chief", "w3", "w4")
    assert [status for status, _ in ended.values()] == [0, 0, 0], ended
    assert [row[:2] for row in c.trials()] == [(str(n), "COMPLETED") for n in range(8)]
    again = {row[0] for row in c.trials() if row[2] == 1}
    assert again == {held["w1"], held["w2"]}
    done = [trial for _, trial in c.diary("done")]
    assert sorted(done) == [str(n) for n in range(8)]  # no trial was finished twice
    values = {trial: {x for _, t, x in c.diary("begin") if t == trial} for trial in again}
    assert all(len(xs) == 1 for xs in values.values())  # the same values, to the last bit
    ends = {name: rest for name, *rest in c.diary("end")}
    assert ends["chief"] == ends["w3"] == ends["w4"]  # trials, best and seed are known everywhere


def test_the_chief_is_killed_and_restarted(crew: Callable[[str, int], Crew]) -> None:
    c = crew("hold", 5)
    c.start("chief", "w1", "w2", KRIGETUNER_WORKER_TIMEOUT="60")
    c.until(lambda: len(c.diary("begin")) == 2)
    c.kill("chief")
    (c.folder / "go").touch()
    c.until(lambda: len(c.diary("done")) == 2)  # the trials go on without a chief
    c.start("chief", KRIGETUNER_WORKER_TIMEOUT="60")
    ended = c.ends("chief", "w1", "w2")
    assert [status for status, _ in ended.values()] == [0, 0, 0], ended
    assert [row[:2] for row in c.trials()] == [(str(n), "COMPLETED") for n in range(5)]
    assert sorted(trial for _, trial, _ in c.diary("begin")) == [str(n) for n in range(5)]  # none was run again
    steps = "SELECT number, step, COUNT(*), MAX(value) FROM measurements WHERE name = 'odd' GROUP BY number, step"
    assert [row[2:] for row in c.rows(steps)] == [(1, float("inf"))] * 15  # every epoch once


def test_three_failures_end_everybody_with_the_users_traceback(crew: Callable[[str, int], Crew]) -> None:
    c = crew("crash", 20)
    c.start("chief", "w1", "w2")
    ended = c.ends("chief", "w1", "w2")
    for name, (status, errors) in ended.items():
        assert status == 1, name
        assert "ZeroDivisionError: the user's own mistake" in errors, name
        assert "Number of consecutive failures exceeded the limit of 3" in errors, name
    assert {row[1] for row in c.trials()} <= {"FAILED", "INTERRUPTED"}
    assert sum("in run_trial" in row[3] for row in c.trials()) == 3  # the traceback is in the record


def test_a_fatal_error_on_one_worker_ends_all(crew: Callable[[str, int], Crew]) -> None:
    c = crew("fatal", 10_000)
    c.start("chief", "w1", "w2")
    ended = c.ends("chief", "w1", "w2")
    assert all(status == 1 and "nobody can run this" in errors for status, errors in ended.values()), ended


def test_interrupts_and_a_worker_that_returns(crew: Callable[[str, int], Crew]) -> None:
    c = crew("hold", 4)
    c.start("chief", "w1")
    c.until(lambda: len(c.diary("begin")) == 1)
    c.start("w2")
    c.until(lambda: len(c.diary("begin")) == 2)
    c.kill("w1")
    c.start("w1")  # its former process has not been missed yet
    c.until(lambda: len(c.diary("begin")) == 3)
    assert c.diary("begin")[2] == c.diary("begin")[0]  # the same worker, trial and value
    c.kill("w2", signal.SIGINT)
    c.until(lambda: any(row[1] == "INTERRUPTED" for row in c.trials()))
    c.kill("chief", signal.SIGINT)
    (c.folder / "go").touch()
    ((status, errors),) = c.ends("w1").values()
    assert status == 1
    assert "the chief was interrupted" in errors
    assert [(row[0], row[1]) for row in c.trials()] == [("0", "INTERRUPTED"), ("1", "INTERRUPTED")]
    c.start("chief", "w1")
    assert [status for status, _ in c.ends("chief", "w1").values()] == [0, 0]
    assert [row[1] for row in c.trials()] == ["COMPLETED"] * 4


def test_a_worker_without_the_token_is_refused(crew: Callable[[str, int], Crew]) -> None:
    c = crew("quick", 2)
    c.start("chief")
    c.start("w1", KRIGETUNER_TOKEN="a guess")
    ((status, errors),) = c.ends("w1").values()
    assert status == 1
    assert "KRIGETUNER_TOKEN: expected the token of the chief" in errors
    c.start("w2")
    ended = c.ends("chief", "w2")
    assert [status for status, _ in ended.values()] == [0, 0], ended
