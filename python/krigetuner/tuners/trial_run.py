"""The work of one trial: a job's `run`, in the process that searches or in another one."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from krigetuner.adapters.context import TrialContext, running
from krigetuner.adapters.function import executions
from krigetuner.adapters.global_settings import GlobalSettings
from krigetuner.errors import KrigeTunerWarning
from krigetuner.run.messages import Context, Outcome
from krigetuner.run.shared import Shared
from krigetuner.space.recorder import HyperParameters
from krigetuner.store.artifacts import trial_directory
from krigetuner.trial.trial import TrialRecord
from krigetuner.tuners import scoring
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.search_space import space_data
from krigetuner.tuners.travelling_oracle import TravellingOracle
from krigetuner.tuners.trial import Trial

GLANCE = 0.25
"""Seconds between looks at what a trial has asked for."""


class Runner(Protocol):
    """What a run needs of its tuner."""

    oracle: Oracle

    @property
    def project_dir(self) -> str:
        """The project's directory."""

    def run_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Runs a trial."""

    def _findings(self) -> Mapping[str, Any]:
        """What runs have left in the tuner that the one which searches must know."""


@dataclass(frozen=True)
class Errand:
    """What all trials of a search need.

    Attributes:
        settings: of the frameworks; they come first, since a worker process must set them before it loads the rest.
        tuner: whose `run_trial` is called.
        fit_args, fit_kwargs: for it, such as the training data.
    """

    settings: GlobalSettings
    tuner: Runner
    fit_args: tuple[Any, ...]
    fit_kwargs: Mapping[str, Any]


class TrialRun:
    """Runs one attempt at a trial.

    Args:
        errand: the tuner and its arguments, which a worker process is sent once.
        trial: to run.
        record: of it.
        seed: base of the seeds of this attempt's training; None to leave every generator alone.

    Attributes:
        discovered: what the run found out, for `Outcome` and `Failed`; None in the process that searches, and before
            the run has ended.
    """

    def __init__(self, errand: Shared[Errand], trial: Trial, record: TrialRecord, seed: int | None) -> None:
        self._errand = errand
        self._trial = trial
        self._number, self._attempt, self._seed = record.number, record.attempt, seed
        self.discovered: dict[str, Any] | None = None

    def __call__(self, channel: Context) -> Outcome:
        """Runs the user's `run_trial`, and turns its result into executions."""
        errand = self._errand.value
        oracle: Any = errand.tuner.oracle
        if not isinstance(oracle, TravellingOracle):
            return self._run(errand, channel)
        trial = self._trial
        oracle.run_here(trial, channel)
        finds = Finds(trial.hyperparameters)
        with _noted_warnings() as warned, _told_meanwhile(finds, trial, channel, not oracle._definitions.whole):
            try:
                outcome = self._run(errand, channel)
            finally:
                found = {**finds.among(trial.hyperparameters), "warnings": warned}
                found["space"] = [space_data(hp) for hp in oracle.told]
                found["tuner"] = dict(errand.tuner._findings())
                found["asked"] = trial.asked
                self.discovered = {name: value for name, value in found.items() if value}
        return replace(outcome, discovered=self.discovered)

    def _run(self, errand: Errand, channel: Context) -> Outcome:
        tuner, trial = errand.tuner, self._trial
        objective = tuner.oracle.objective
        context = TrialContext(
            channel,
            trial_directory(tuner.project_dir, trial.trial_id),
            number=self._number,
            attempt=self._attempt,
            seed=self._seed,
        )
        before = _last_update(trial, objective.name)
        try:
            with running(context):
                results = tuner.run_trial(trial, *errand.fit_args, **dict(errand.fit_kwargs))
        finally:
            trial._note_asked()
        updated = _last_update(trial, objective.name) != before
        if updated and (results is None or not context.by_hooks):
            own = scoring.own_reports(trial, context.by_hooks, objective)
            only_hooks = context.by_hooks and not own
            way = "on_epoch_end()" if only_hooks else "self.oracle.update_trial(), which is deprecated"
            _warn_of_old_style(
                f"got them through {way}. Please remove the call and return them; what was returned is not used."
            )
            return Outcome(() if tuner.oracle._redefines("update_trial") else own)
        if results is None and context.results:
            _warn_of_old_style("got None; those of super().run_trial() are used, return them.")
            results = context.results
        found = executions(results, objective, f"{type(tuner).__name__}.run_trial()")
        if tuner.oracle._redefines("update_trial"):  # then what it makes of the results counts
            metrics, step = scoring.averaged(found, objective)
            tuner.oracle.update_trial(trial.trial_id, metrics, step=step)
            return Outcome(())
        return Outcome(found)


def _warn_of_old_style(rest: str) -> None:
    warnings.warn(f"run_trial: expected the metrics to be returned, {rest}", DeprecationWarning, stacklevel=5)


def _last_update(trial: Trial, name: str) -> tuple[int, Any]:
    """Changes when `update_trial` adds a value of the objective."""
    if not trial.metrics.exists(name):
        return 0, None
    history = trial.metrics.get_history(name)
    return len(history), [(o.step, list(o.value)) for o in history[-1:]]


class Finds:
    """Tells whether code has asked for more hyperparameters than were known, or has set other values."""

    def __init__(self, hyperparameters: HyperParameters) -> None:
        self._space, self._values = list(hyperparameters.space), dict(hyperparameters._values)

    def among(self, hyperparameters: HyperParameters) -> dict[str, Any]:
        """All of them by "hyperparameters", where there is something new."""
        now = hyperparameters.space
        same = len(now) == len(self._space) and all(a is b for a, b in zip(now, self._space, strict=True))
        changed = not same or hyperparameters._values != self._values
        return {"hyperparameters": space_data(hyperparameters)} if changed else {}


@contextmanager
def _told_meanwhile(finds: Finds, trial: Trial, channel: Context, wanted: bool) -> Iterator[None]:
    """Tells what a trial asks for while it runs, so that others need not wait for its end to know the space."""
    ended = threading.Event()

    def watch() -> None:
        told = before = len(trial.hyperparameters.space)
        while not ended.wait(GLANCE):
            known = len(trial.hyperparameters.space)
            if known == before != told:  # the code asks for no more at present
                told = known
                channel.tell(finds.among(trial.hyperparameters))
            before = known

    watcher = threading.Thread(target=watch, name="krigetuner-finds", daemon=True)
    if wanted:
        watcher.start()
    try:
        yield
    finally:
        ended.set()
        if wanted:
            watcher.join()


@contextmanager
def _noted_warnings() -> Iterator[list[str]]:
    """Collects KrigeTuner's own warnings, which also go to the log of the worker process like all others."""
    noted: list[str] = []
    with warnings.catch_warnings():
        show: Callable[..., Any] = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, KrigeTunerWarning):
                noted.append(str(message))
            show(message, category, *rest, **more)

        warnings.showwarning = note
        yield noted
