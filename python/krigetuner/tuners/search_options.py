"""How a search runs its trials: in this process, in processes of this machine, or on a cluster."""

from __future__ import annotations

import inspect
import math
import numbers
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from krigetuner.run.executor import Executor
from krigetuner.run.sequential import SequentialExecutor

EXECUTORS = ("processes", "ray")
METHODS = ("submit", "collect", "stop", "close")


@dataclass(frozen=True)
class SearchOptions:
    """The arguments of `search` that say where trials run; they are checked when it is made.

    Attributes:
        workers: how many trials run at the same time, "auto" for as many as the machine has room for.
        executor: "processes", "ray", an `Executor`, or None to choose by the other arguments.
        trial_timeout: seconds after which a trial is ended, None for never.
        isolate_trials: whether each trial gets a fresh process.
        gpus_per_trial, cpus_per_trial: what each trial has for itself; a part of a GPU is one that several share.

    Raises:
        ValueError: one of them is out of its range, or they do not go together.
        TypeError: `executor` is no executor.
    """

    workers: int | Literal["auto"] | None = None
    executor: Any = None
    trial_timeout: float | None = None
    isolate_trials: bool = False
    gpus_per_trial: float | None = None
    cpus_per_trial: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers != "auto":
            _check("workers", self.workers, 1, 'a whole number from 1 on, or "auto"', whole=True)
        _check("trial_timeout", self.trial_timeout, sys.float_info.min, "seconds above 0")
        _check("gpus_per_trial", self.gpus_per_trial, 0, "GPUs from 0 on, such as 1, or 0.5 for two trials on one")
        _check("cpus_per_trial", self.cpus_per_trial, 1, "a whole number of cores from 1 on", whole=True)
        if not isinstance(self.isolate_trials, bool):
            raise ValueError(f"isolate_trials: expected True or False, got {self.isolate_trials!r}; leave it out")
        if isinstance(self.executor, str):
            self._check_name()
        elif self.executor is not None:
            self._check_object()

    def _check_name(self) -> None:
        if self.executor not in EXECUTORS:
            raise ValueError(
                f'executor: expected "processes", "ray", an Executor or None, got {self.executor!r}; None runs trials '
                "in this process, or in `workers` processes"
            )

    def _check_object(self) -> None:
        missing = [name for name in METHODS if not callable(getattr(self.executor, name, None))]
        static = inspect.getattr_static(self.executor, "capacity", None)  # reading it would start the executor
        if missing or isinstance(self.executor, type) or static is None:
            raise TypeError(
                f'executor: expected "processes", "ray", an Executor or None, got {self.executor!r:.80}; make one, for '
                "instance ProcessExecutor(workers=4)"
            )
        if isinstance(self.executor, SequentialExecutor) and self.trial_timeout is not None:
            raise ValueError(
                f"trial_timeout: expected none with an executor of this process, got {self.trial_timeout!r}; it cannot "
                "end a trial, so take worker processes: workers=1"
            )
        given = [name for name in ("workers", "isolate_trials", "gpus_per_trial", "cpus_per_trial") if self._has(name)]
        if given:
            raise ValueError(
                f"{given[0]}: expected none beside an executor object, got {getattr(self, given[0])!r}; "
                "give it to the executor"
            )

    def _has(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not None and value is not False

    @property
    def plain(self) -> bool:
        """Whether nothing was asked for: trials run in this process."""
        return not any(map(self._has, vars(self)))

    @property
    def single(self) -> bool:
        """Whether trials run one after the other."""
        return self.plain or (self.executor in (None, "processes") and self._processes == 1)

    @property
    def _processes(self) -> int | Literal["auto"]:
        """How many worker processes: one, where only something else was asked for that takes a process."""
        if self.workers is None:
            return "auto" if self.executor else 1
        return "auto" if self.workers == "auto" else int(self.workers)

    def given(self) -> list[str]:
        """The names of the arguments that were given, with their values."""
        return [f"{name}={getattr(self, name)!r}" for name in vars(self) if self._has(name)]

    def make_executor(self, project: Path) -> Executor:
        """The executor that was asked for.

        Args:
            project: directory of the project; the logs of trials go to their directories in it.

        Raises:
            ValueError: the machine does not have what was asked for.
            MissingDependency: a package is not installed.
        """
        if self.plain:
            return SequentialExecutor()
        if self.executor == "ray":
            return self._make_ray(project)
        if self.executor in (None, "processes"):
            return self._make_processes(project)
        made: Executor = self.executor
        if getattr(made, "logs", project) is None:
            made.logs = project  # type: ignore[attr-defined]
        return made

    def _make_processes(self, project: Path) -> Executor:
        from krigetuner.run.local.processes import ProcessExecutor

        return ProcessExecutor(
            workers=self._processes,
            gpus_per_trial=self.gpus_per_trial,
            cpus_per_trial=self.cpus_per_trial,
            isolate=self.isolate_trials,
            logs=project,
        )

    def _make_ray(self, project: Path) -> Executor:
        from krigetuner.run.ray.executor import RayExecutor

        resources: Mapping[str, float] = {
            "CPU": 1 if self.cpus_per_trial is None else self.cpus_per_trial,
            **({} if self.gpus_per_trial is None else {"GPU": self.gpus_per_trial}),
        }
        workers = None if self.workers in (None, "auto") else int(self.workers)
        return RayExecutor(workers, resources, isolate=self.isolate_trials, logs=project)


def _check(name: str, value: Any, least: float, what: str, whole: bool = False) -> None:
    """Refuses what is no number, or too small a one."""
    if value is None:
        return
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= float(value) < math.inf:
        raise ValueError(f"{name}: expected {what}, got {value!r}; leave it out for the default")
