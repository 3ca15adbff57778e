"""Ray's executor on a real cluster of several nodes, all on this machine."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.executor import ExecutorContract, answer, three_epochs
from tests.ray_nodes import STORE, await_no_workers, nodes

from krigetuner.errors import KrigeTunerWarning, StoreError
from krigetuner.run.executor import Executor
from krigetuner.run.messages import Context, Execution, Failed, Finished, Job, Outcome, Report, Reported
from krigetuner.run.ray import executor as ray_executor
from krigetuner.run.ray import slots as ray_slots
from krigetuner.run.ray.executor import LOSSES, RayExecutor
from krigetuner.run.shared import Shared
from krigetuner.store.artifacts import rooted, trial_directory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Make = Callable[..., RayExecutor]
PATIENCE = 150.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores, and two nodes with one core each; a busy machine may take its time."""
    with nodes(0, 1, 1) as made, pytest.MonkeyPatch.context() as patch:
        import ray

        patch.setattr(ray_executor, "LONE_WAIT", PATIENCE)
        patch.setattr(ray_executor, "FAREWELL", 60.0)
        ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
        yield made
        ray.shutdown()


@pytest.fixture
def make(cluster: Any) -> Iterator[Make]:
    """Makes executors, and closes them."""
    made: list[RayExecutor] = []

    def one(**options: Any) -> RayExecutor:
        made.append(RayExecutor(**options))
        return made[-1]

    yield one
    for executor in made:
        executor.close()


@pytest.mark.usefixtures("cluster")
class TestRay(ExecutorContract):
    def make(self) -> Executor:
        return RayExecutor(num_workers=1)


def gather(executor: Executor, finals: int) -> list[Report]:
    """The reports until so many final ones have come."""
    reports: list[Report] = []
    end = time.monotonic() + PATIENCE
    while sum(not isinstance(r, Reported) for r in reports) < finals:
        assert time.monotonic() < end, reports
        executor.collect(reports.append, timeout=5)
    return reports


def await_capacity(executor: RayExecutor, count: int) -> None:
    """Waits, as the loop does that has nothing to run, until so many jobs could run at a time."""
    end = time.monotonic() + PATIENCE
    while executor.capacity < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def ended(run: Callable[[Context], Outcome], executor: Executor, **options: Any) -> Report:
    """The final report of one job."""
    executor.submit(Job(0, 0, "0", run, **options))
    return gather(executor, 1)[-1]


def loss(value: float) -> Outcome:
    return Outcome((Execution({"loss": value}),))


class Meeting:
    """Ends when so many are in the same directory at the same time."""

    def __init__(self, place: Path, count: int) -> None:
        self.place = place
        self.count = count

    def __call__(self, context: Context) -> Outcome:
        (self.place / str(os.getpid())).touch()
        end = time.monotonic() + PATIENCE
        while len(list(self.place.iterdir())) < self.count and time.monotonic() < end:
            time.sleep(0.05)
        return loss(len(list(self.place.iterdir())))


def test_trials_run_at_the_same_time_on_as_many_nodes_as_there_are(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make()
    await_capacity(executor, 2)
    for number in range(2):
        executor.submit(Job(number, 0, str(number), Meeting(tmp_path, 2)))
    assert [r.outcome for r in gather(executor, 2) if isinstance(r, Finished)] == [loss(2), loss(2)]
    monkeypatch.setattr(ray_slots, "IDLE", 0.1)  # a worker that has nothing to do is given back, but one
    while executor.capacity > 1:
        time.sleep(0.05)


class Sum:
    """Adds up shared data, and tries to write to them."""

    def __init__(self, data: Shared[dict[str, Any]]) -> None:
        self.data = data

    def __call__(self, context: Context) -> Outcome:
        array = self.data.value["x"]
        total = float(array.sum())
        array[:] = 0.0
        context.report(0, {"held": float(len(files_on_this_node()))})
        return Outcome((Execution({"loss": total}),))


def files_on_this_node() -> list[Path]:
    return [p for p in Path(tempfile.gettempdir()).glob("krigetuner-ray-*/*") if p.stat().st_size > 1000]


def test_data_are_in_one_file_per_node_and_each_trial_may_write_to_its_own_view(make: Make) -> None:
    data = Shared({"x": np.arange(200_000.0)})
    executor = make(num_workers=2)
    for number in range(4):
        executor.submit(Job(number, 0, str(number), Sum(data)))
    reports = gather(executor, 4)
    first, *others = [r.outcome.executions[0].metrics["loss"] for r in reports if isinstance(r, Finished)]
    assert first == 199_999.0 * 100_000
    assert set(others) <= {first, 0.0}  # a process that runs a second job finds what its first one wrote
    assert [r.metrics["held"] for r in reports if isinstance(r, Reported)] == [1.0] * 4
    executor.close()
    await_no_workers()
    assert not files_on_this_node()


class Writer:
    """Adds a letter to a file of its trial; says how many there were."""

    def __init__(self, project: Path) -> None:
        self.project = project

    def __call__(self, context: Context) -> Outcome:
        here = trial_directory(rooted(self.project), "0", create=True) / "weights"
        before = here.read_text() if here.exists() else ""
        here.write_text(before + "x")
        context.report(0, {"loss": 0.0})
        return loss(len(before))


def test_without_a_common_disk_the_files_of_trials_go_by_a_url(make: Make, tmp_path: Path) -> None:
    project, far = tmp_path / "project", tmp_path / "far"
    executor = make(num_workers=1, files=f"file://{far}", logs=project)
    executor.submit(Job(0, 0, "0", Writer(project)))
    assert gather(executor, 1)[-1] == Finished(0, 0, loss(0))
    assert (project / "trial_0" / "weights").read_text() == "x"
    executor.submit(Job(0, 1, "0", Writer(project)))  # another attempt goes on from there
    assert gather(executor, 1)[-1] == Finished(0, 1, loss(1))
    executor.submit(Job(0, 0, "0", Writer(project)))  # the first trial of another search does not
    assert gather(executor, 1)[-1] == Finished(0, 0, loss(0))
    assert (far / "trial_0" / "weights").read_text() == "x"
    executor.close()
    await_no_workers()
    assert not list(Path(tempfile.gettempdir()).glob("krigetuner-ray-*"))


def test_a_node_that_has_another_project_directory_is_told_of(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path)
    executor = make(num_workers=1, logs="/proc/self/cwd/project")  # the directory of whichever process looks
    with pytest.warns(KrigeTunerWarning, match="directory: expected a project directory that all nodes see"):
        assert executor.capacity == 1
    executor.close()
    assert not list((tmp_path / "project").iterdir())


def test_a_place_for_files_that_cannot_be_written_is_told_at_once(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="files: expected a place that can be written"):
        make(files=f"file://{tmp_path}/file/below", logs=tmp_path).submit(Job(0, 0, "0", answer))


def segfault(context: Context) -> Outcome:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(600)
    return loss(0)


def leave(context: Context) -> Outcome:
    os._exit(3)


def sleep(context: Context) -> Outcome:
    context.report(0, {"loss": 0.0})
    time.sleep(600)
    return loss(0)


@pytest.mark.parametrize("isolate", [False, True])
def test_a_trial_that_dies_is_its_own_failure_and_is_not_run_again(make: Make, isolate: bool) -> None:
    executor = make(num_workers=1, isolate=isolate)
    for run, text in ((segfault, "SIGSEGV"), (leave, "3")):
        report = ended(run, executor)
        assert isinstance(report, Failed)
        assert report.kind == "invalid"
        assert text in report.message
    assert isinstance(ended(answer, executor), Finished)


def test_a_trial_that_takes_too_long_is_ended(make: Make) -> None:
    executor = make(num_workers=1)
    report = ended(sleep, executor, timeout=1.0)
    assert isinstance(report, Failed)
    assert report.kind == "invalid"
    assert isinstance(ended(answer, executor), Finished)


class Killer:
    """Kills the worker that watches over it, so many times, after it has reported."""

    def __init__(self, place: Path, times: int) -> None:
        self.place = place
        self.times = times

    def __call__(self, context: Context) -> Outcome:
        outcome = three_epochs(context)
        runs = len(list(self.place.iterdir()))
        (self.place / str(runs)).touch()
        if runs < self.times:
            time.sleep(0.5)  # the reports arrive
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        return outcome


def test_a_lost_worker_is_replaced_and_its_trial_run_again_and_told_once(make: Make, tmp_path: Path) -> None:
    executor = make(num_workers=1)
    executor.submit(Job(5, 1, "5", Killer(tmp_path, LOSSES)))
    *epochs, last = gather(executor, 1)
    assert len(list(tmp_path.iterdir())) == LOSSES + 1
    assert [r.step for r in epochs if isinstance(r, Reported)] == [0, 1, 2]
    assert isinstance(last, Finished)


def test_a_trial_that_loses_its_worker_again_and_again_fails(make: Make, tmp_path: Path) -> None:
    executor = make(num_workers=1)
    report = ended(Killer(tmp_path, 100), executor)
    assert len(list(tmp_path.iterdir())) == LOSSES + 1
    assert isinstance(report, Failed)
    assert report.kind == "failed"
    assert "lost 3 times" in report.message
    assert isinstance(ended(answer, executor), Finished)


class Locked:
    """Cannot be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, context: Context) -> Outcome:
        return loss(0)


def test_what_cannot_be_pickled_is_named(make: Make) -> None:
    executor = make(num_workers=1)
    with pytest.raises(TypeError, match="lock: expected something that can be sent"):
        executor.submit(Job(0, 0, "0", Locked()))
    assert isinstance(ended(answer, executor), Finished)


class Patient:
    """Reports, and ends when it is told to."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __call__(self, context: Context) -> Outcome:
        (self.place / f"run-{time.monotonic_ns()}").touch()
        context.report(0, {"loss": 0.0})
        while not (self.place / "end").exists():
            time.sleep(0.05)
        return loss(0)


def test_a_lost_node_costs_no_trial_and_a_new_one_is_used(make: Make, cluster: Any, tmp_path: Path) -> None:
    executor = make()
    await_capacity(executor, 2)
    for number in range(2):
        executor.submit(Job(number, 0, str(number), Patient(tmp_path)))
    reports: list[Report] = []
    while len(reports) < 2:  # both run
        executor.collect(reports.append, timeout=5)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    end = time.monotonic() + PATIENCE
    while executor.capacity > 1:
        assert time.monotonic() < end
        executor.collect(reports.append, timeout=1)
    (tmp_path / "end").touch()
    reports += gather(executor, 2)
    assert [type(r) for r in reports] == [Reported, Reported, Finished, Finished]
    assert len(list(tmp_path.glob("run-*"))) == 3
    (tmp_path / "end").unlink()
    executor.submit(Job(2, 0, "2", Patient(tmp_path)))
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    await_capacity(executor, 2)  # since all that there are have work
    (tmp_path / "end").touch()
    gather(executor, 1)
