"""The executor of local processes keeps the laws of all executors."""

from __future__ import annotations

import errno
import functools
import os
import signal
import socket
import subprocess
import threading

import pytest
from tests.contracts.executor import ExecutorContract, answer, three_epochs, until_stopped
from tests.run.local import process_jobs as jobs

from krigetuner.run.executor import Executor
from krigetuner.run.interrupts import Interrupts
from krigetuner.run.local.processes import ProcessExecutor
from krigetuner.run.messages import Finished, Job, Report, Reported


class TestOneWorker(ExecutorContract):
    def make(self) -> Executor:
        return ProcessExecutor(1)


class TestTwoWorkers(ExecutorContract):
    def make(self) -> Executor:
        return ProcessExecutor(2)


class TestIsolated(ExecutorContract):
    def make(self) -> Executor:
        return ProcessExecutor(1, isolate=True)


def test_more_jobs_than_workers_are_refused() -> None:
    executor = ProcessExecutor(1)
    executor.submit(Job(0, 0, "0", answer))
    with pytest.raises(
        RuntimeError, match=r"submit: expected at most 1 jobs at a time, got trial 1; collect\(\) first"
    ):
        executor.submit(Job(1, 0, "1", answer))
    executor.close()


def test_after_close_it_begins_anew() -> None:
    executor = ProcessExecutor(1)
    for _ in range(2):
        assert [type(r) for r in jobs.results(executor, [answer])] == [Finished]
        executor.close()
        executor.close()


def test_a_system_that_does_not_tell_of_deaths_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.setattr("krigetuner.run.local.crew.PULSE", 0.05)
    executor = ProcessExecutor(1)
    failed, finished = jobs.results(executor, [jobs.exit_at_once, answer])
    assert "exit code 3" in failed.message
    assert isinstance(finished, Finished)
    (hung,) = jobs.results(executor, [jobs.endless], timeout=0.2)
    assert "trial_timeout" in hung.message
    executor.close()


def test_a_system_without_worker_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "send_fds")
    with pytest.raises(RuntimeError, match="workers: expected Linux or macOS for worker processes"):
        _ = ProcessExecutor(1).capacity


def test_a_system_that_lets_nobody_have_more_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    executor = ProcessExecutor(1)
    with pytest.raises(OSError, match=r"workers: expected to start one more process, got .* with 0 of them; ask"):
        executor.submit(Job(0, 0, "0", answer))
    executor.close()


def test_a_large_result_comes_in_pieces() -> None:
    executor = ProcessExecutor(1)
    (report,) = jobs.results(executor, [jobs.large_result])
    assert len(report.outcome.discovered["text"]) == 20_000_000
    executor.close()


def test_the_job_itself_may_be_large() -> None:
    executor = ProcessExecutor(1)
    (report,) = jobs.results(executor, [functools.partial(jobs.length_of, bytes(5_000_000))])
    assert report.outcome.executions[0].metrics == {"length": 5_000_000}
    executor.close()


def test_a_context_is_told_to_stop_by_another_thread() -> None:
    executor = ProcessExecutor(2)
    executor.submit(Job(5, 0, "5", until_stopped))
    reports: list[Report] = []
    threading.Timer(0.3, executor.stop, [5]).start()
    while not reports or isinstance(reports[-1], Reported):
        executor.collect(reports.append, timeout=60)
    assert isinstance(reports[-1], Finished)
    executor.close()


def test_an_interrupt_waits_for_the_delivery_and_loses_no_report() -> None:
    executor = ProcessExecutor(1)
    executor.submit(Job(0, 0, "0", three_epochs))
    reports: list[Report] = []

    def deliver(report: Report) -> None:
        if not reports:
            signal.raise_signal(signal.SIGINT)
        reports.append(report)

    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            executor.collect(deliver, timeout=60)
        assert len(reports) == 1
        while len(reports) < 4:
            executor.collect(deliver, timeout=60)
    executor.close()
