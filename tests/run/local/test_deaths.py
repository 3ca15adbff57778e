"""Workers die in every way: the trial fails with the reason, the worker is replaced, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.contracts import executor as laws
from tests.run.local import process_jobs as jobs

from krigetuner.errors import FatalValueError
from krigetuner.run.local.processes import ProcessExecutor
from krigetuner.run.local.resources import Share
from krigetuner.run.messages import Failed, Finished, Job, Report, Reported


@pytest.fixture(scope="module")
def two() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(2)
    yield executor
    executor.close()


def children() -> list[int]:
    return [p.pid for p in psutil.Process().children(recursive=True)]


def alive(number: int) -> bool:
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(numbers: list[int], seconds: float = 120.0) -> bool:
    """Whether these processes end in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(map(alive, numbers)):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (jobs.segmentation_fault, "SIGSEGV (a fault of native code)"),
        (jobs.segmentation_fault, "in segmentation_fault"),
        (jobs.exit_at_once, "exit code 3"),
        (jobs.exit_politely, "no data today"),
        (jobs.interrupt_itself, "KeyboardInterrupt"),
        (jobs.killed, "SIGKILL (killed from outside, perhaps because the memory ran out)"),
        (jobs.killed, "The last lines of its output:\nloading a terabyte"),
        (jobs.close_every_file, "SIGKILL"),
        (jobs.unreadable_result, "expected plain data, got ValueError"),
        (jobs.result_that_stays, "cannot pickle 'generator' object"),
        (jobs.own_error, "1 and 2"),
    ],
)
def test_a_death_is_the_failure_of_its_trial_and_no_other(two: ProcessExecutor, run: Any, text: str) -> None:
    failed, *others = jobs.results(two, [run, laws.answer, laws.answer])
    assert isinstance(failed, Failed)
    assert failed.kind == "invalid"
    assert text in failed.message
    assert all(isinstance(other, Finished) for other in others)


@pytest.mark.parametrize("run", [jobs.endless, jobs.endless_in_native_code])
def test_a_trial_that_hangs_is_ended_and_shows_where(two: ProcessExecutor, run: Any) -> None:
    hung, other = jobs.results(two, [run, laws.answer], timeout=2.5)
    assert isinstance(hung, Failed)
    assert hung.kind == "invalid"
    assert hung.message.startswith("trial_timeout: expected the trial to end within 2.5 s")
    assert f"in {run.__name__}" in hung.message
    assert isinstance(other, Finished)


def test_a_trial_that_ignores_the_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krigetuner.run.local.crew.GRACE", 0.5)
    executor = ProcessExecutor(1)
    (hung,) = jobs.results(executor, [jobs.deaf], timeout=0.5)
    assert "trial_timeout" in hung.message
    executor.close()


def test_children_of_a_dead_trial_die_too(two: ProcessExecutor) -> None:
    reports: list[Report] = []
    two.submit(Job(0, 0, "0", jobs.fault_with_a_child))
    while not reports or isinstance(reports[-1], Reported):
        two.collect(reports.append, timeout=60)
    assert isinstance(reports[0], Reported)
    assert gone([int(reports[0].metrics["child"])])


def test_what_a_finished_trial_has_left_goes_with_its_worker() -> None:
    executor = ProcessExecutor(1)
    (report,) = jobs.results(executor, [jobs.leave_a_child])
    metrics = report.outcome.executions[0].metrics
    assert metrics["sum"] == 10_000
    worker = int(metrics["pid"])
    started = [p.pid for p in psutil.Process(worker).children(recursive=True)]
    assert int(metrics["child"]) in started
    executor.close()
    assert gone([worker, *started])
    assert not list(Path("/dev/shm").glob(f"joblib*_{worker}_*"))


def test_a_directory_that_a_trial_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    executor = ProcessExecutor(1)
    assert [type(r) for r in jobs.results(executor, [jobs.remove_the_directory, laws.answer])] == [Finished] * 2
    executor.close()


def test_an_idle_worker_that_dies_costs_no_trial() -> None:
    executor = ProcessExecutor(1)
    (first,) = jobs.results(executor, [jobs.process_number])
    number = int(first.outcome.executions[0].metrics["pid"])
    os.kill(number, signal.SIGKILL)
    (second,) = jobs.results(executor, [jobs.process_number])
    assert int(second.outcome.executions[0].metrics["pid"]) != number
    executor.close()


def test_workers_are_used_again_and_know_nothing_of_ctrl_c(two: ProcessExecutor) -> None:
    first = jobs.results(two, [jobs.process_number] * 2)
    for report in first:
        os.kill(int(report.outcome.executions[0].metrics["pid"]), signal.SIGINT)
    again = jobs.results(two, [jobs.process_number] * 6)
    numbers = {r.outcome.executions[0].metrics["pid"] for r in [*first, *again]}
    assert len(numbers) <= 2


def test_an_isolated_trial_has_a_process_of_its_own() -> None:
    before = children()
    executor = ProcessExecutor(2, isolate=True)
    reports = jobs.results(executor, [jobs.process_number] * 6)
    assert len({r.outcome.executions[0].metrics["pid"] for r in reports}) == 6
    (failed, *rest) = jobs.results(executor, [jobs.exit_at_once, laws.answer, laws.answer])
    assert "exit code 3" in failed.message
    assert all(isinstance(r, Finished) for r in rest)
    executor.close()
    assert set(children()) <= set(before)


def test_a_fork_of_the_trials_code_gives_no_second_report(two: ProcessExecutor) -> None:
    first, *others = jobs.results(two, [jobs.forked, *[laws.answer] * 4])
    assert first.outcome.executions[0].metrics["child"] > 0
    assert all(isinstance(r, Finished) for r in others)


def test_a_trial_that_closes_its_output_leaves_the_worker_usable(two: ProcessExecutor) -> None:
    assert all(isinstance(r, Finished) for r in jobs.results(two, [jobs.close_output, *[laws.answer] * 4]))


def test_an_exception_that_ends_the_search_comes_along(two: ProcessExecutor) -> None:
    (failed,) = jobs.results(two, [laws.fatal])
    assert isinstance(failed.error, FatalValueError)


def test_every_report_arrives_however_many(two: ProcessExecutor) -> None:
    steps: list[int] = []
    two.submit(Job(0, 0, "0", jobs.many_reports))
    final: list[Report] = []
    while not final:
        two.collect(lambda r: steps.append(r.step) if isinstance(r, Reported) else final.append(r), timeout=60)
    assert steps == list(range(2000))


def test_workers_that_cannot_start_end_the_search() -> None:
    executor = ProcessExecutor(1, divided=[Share({"PYTHONHOME": "/nowhere"})])
    executor.submit(Job(0, 0, "0", laws.answer))
    executor.collect(lambda report: None, timeout=0)
    with pytest.raises(RuntimeError, match=r"workers: expected processes that start, got 3 in a row") as caught:
        executor.collect(lambda report: None, timeout=60)
    assert "encodings" in str(caught.value)
    executor.close()
    reports: list[Report] = []
    executor.collect(reports.append, timeout=0)
    assert [type(r) for r in reports] == [Failed]


def test_close_ends_what_runs_and_what_it_started() -> None:
    before = children()
    executor = ProcessExecutor(2)
    reports: list[Report] = []
    executor.submit(Job(0, 0, "0", jobs.endless_in_native_code))
    executor.submit(Job(1, 0, "1", jobs.endless))
    while not reports:
        executor.collect(reports.append, timeout=60)
    started = [number for number in children() if number not in before]
    assert len(started) == 3
    executor.close()
    assert gone(started)
    executor.collect(reports.append, timeout=0)
    assert [r.kind for r in reports if isinstance(r, Failed)] == ["interrupted"] * 2
    assert [type(r) for r in jobs.results(executor, [laws.answer])] == [Finished]
    executor.close()


SCRIPT = """
import sys
from krigetuner.run.messages import Job
from krigetuner.run.local.processes import ProcessExecutor
from tests.run.local import process_jobs as jobs

def show(report):
    print(int(report.metrics["pid"]), int(report.metrics["child"]), flush=True)

executor = ProcessExecutor(2)
executor.submit(Job(0, 0, "0", jobs.endless_in_native_code))
executor.submit(Job(1, 0, "1", jobs.endless))
while True:
    executor.collect(show)
"""


def test_nothing_outlives_a_conductor_that_was_killed() -> None:
    root = Path(__file__).parents[3]
    conductor = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, cwd=root, text=True)
    if conductor.stdout is None:
        raise RuntimeError("no output")
    with conductor.stdout as output:
        told = [int(word) for word in output.readline().split()]
        started = [p.pid for p in psutil.Process(conductor.pid).children(recursive=True)]
        assert set(told) < set(started)
        conductor.kill()
        conductor.wait()
    assert gone(started)
