"""A search of a tuner, as the loop sees it: trials become jobs, reports go to the oracle and to the display."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from krigetuner.adapters.context import TrialContext, running
from krigetuner.adapters.function import executions
from krigetuner.run.messages import Context, Finished, Job, Outcome, Report, Reported
from krigetuner.run.progress import Progress
from krigetuner.search.protocol import Done, Wait
from krigetuner.trial.trial import TrialRecord, TrialStatus
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial


class Host(Protocol):
    """What a search needs of its tuner."""

    oracle: Oracle
    tuner_id: str

    @property
    def project_dir(self) -> str:
        """The project's directory."""

    def pre_create_trial(self) -> None:
        """Called before the oracle is asked."""

    def on_trial_begin(self, trial: Trial) -> None:
        """Called before a trial runs."""

    def on_trial_end(self, trial: Trial) -> None:
        """Called after a trial ran; ends it."""

    def run_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Runs a trial."""

    def _training_seed(self, record: TrialRecord) -> int | None:
        """Base of the seeds of an attempt's training."""


class TunerStudy:
    """The present search of a tuner.

    Args:
        tuner: whose hooks and oracle are used.
        args, kwargs: of `search`, handed on to `run_trial`.
        progress: where news are shown.

    Attributes:
        interrupted: ids of the trials that the search's end cut short.
    """

    def __init__(self, tuner: Host, args: tuple[Any, ...], kwargs: Mapping[str, Any], progress: Progress) -> None:
        self._tuner = tuner
        self._args = args
        self._kwargs = kwargs
        self._progress = progress
        self._trials: dict[int, Trial] = {}
        self.interrupted: list[str] = []

    def next_job(self, slot: int) -> Job | Wait | Done:
        """Asks the oracle for a trial and makes a job of it."""
        tuner = self._tuner
        tuner.pre_create_trial()
        trial = tuner.oracle.create_trial(tuner.tuner_id if slot == 0 else f"{tuner.tuner_id}-{slot}")
        if trial.status == TrialStatus.STOPPED:
            return Done(tuner.oracle.stop_reason or trial.message or "the oracle stopped the search")
        if trial.status == TrialStatus.IDLE or trial.number is None:
            return Wait(trial.message or "the oracle has nothing to try yet")
        record = self._record_of(trial)
        self._trials[record.number] = trial
        self._progress.started(trial.trial_id, record.values, tuner.oracle.max_trials)
        tuner.on_trial_begin(trial)
        return Job(record.number, record.attempt, trial.trial_id, lambda channel: self._run(trial, record, channel))

    def _record_of(self, trial: Trial) -> TrialRecord:
        state = self._tuner.oracle._ledger.state
        return state.trials[state.numbers[trial.trial_id]]

    def _run(self, trial: Trial, record: TrialRecord, channel: Context) -> Outcome:
        """The work of one job: the user's `run_trial`, its result turned into executions."""
        tuner = self._tuner
        context = TrialContext(
            channel,
            Path(tuner.project_dir) / f"trial_{trial.trial_id}",
            number=record.number,
            attempt=record.attempt,
            seed=tuner._training_seed(record),
        )
        before = _last_update(trial, tuner.oracle.objective.name)
        with running(context):
            results = tuner.run_trial(trial, *self._args, **dict(self._kwargs))
        if _last_update(trial, tuner.oracle.objective.name) != before:
            warnings.warn(
                "run_trial: expected the metrics to be returned, got them through self.oracle.update_trial(), which is "
                "deprecated; return them instead. What was returned is not used.",
                DeprecationWarning,
                stacklevel=2,
            )
            return Outcome(())
        return Outcome(executions(results, tuner.oracle.objective, f"{type(tuner).__name__}.run_trial()"))

    def record(self, report: Report) -> None:
        """Hands a report to the oracle."""
        oracle = self._tuner.oracle
        trial = self._trials[report.number]
        if isinstance(report, Reported):
            oracle.report(trial.trial_id, report.step, report.metrics, report.execution)
            self._progress.reported(report.step, report.metrics)
        elif isinstance(report, Finished):
            trial.executions = list(report.outcome.executions)
            trial.status = TrialStatus.COMPLETED
            self._end(trial)
        elif report.kind in {"fatal", "interrupted"}:
            oracle.interrupt_trial(trial.trial_id, report.message)
            self.interrupted.append(trial.trial_id)
            self._progress.ended(TrialStatus.INTERRUPTED, None, report.message if report.kind == "fatal" else None)
        else:
            trial.executions = []
            trial.status = TrialStatus.FAILED if report.kind == "failed" else TrialStatus.INVALID
            trial.message = report.message
            self._end(trial)

    def _end(self, trial: Trial) -> None:
        """Runs the hook that ends the trial, and shows what came of it even when that raises."""
        try:
            self._tuner.on_trial_end(trial)
            if trial.number in self._tuner.oracle._ledger.state.running:
                self._tuner.oracle.end_trial(trial)  # an overridden hook that did not call its base class
        finally:
            record = self._record_of(trial)
            self._show_best()
            self._progress.ended(record.status, record.score, record.message)

    def _show_best(self) -> None:
        if self._progress.mode == "silent":
            return
        best = self._tuner.oracle.get_best_trials(1)
        if best:
            self._progress.best(best[0].score, best[0].trial_id, self._record_of(best[0]).values)


def _last_update(trial: Trial, name: str) -> tuple[int, Any]:
    """Changes when `update_trial` adds a value of the objective."""
    if not trial.metrics.exists(name):
        return 0, None
    history = trial.metrics.get_history(name)
    return len(history), [(o.step, list(o.value)) for o in history[-1:]]
