"""The executor of local processes keeps the laws of all executors."""

from __future__ import annotations

from tests.contracts.executor import ExecutorContract

from krigetuner.run.executor import Executor
from krigetuner.run.processes import ProcessExecutor


class TestOneWorker(ExecutorContract):
    def make(self) -> Executor:
        return ProcessExecutor(1)


class TestTwoWorkers(ExecutorContract):
    def make(self) -> Executor:
        return ProcessExecutor(2)


class TestIsolated(ExecutorContract):
    def make(self) -> Executor:
        return ProcessExecutor(1, isolate=True)
