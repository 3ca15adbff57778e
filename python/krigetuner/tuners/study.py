"""A search of a tuner, as the loop sees it: trials become jobs, reports go to the oracle and to the display."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Protocol

from krigetuner.adapters.context import TrialContext, running
from krigetuner.adapters.function import executions
from krigetuner.errors import KrigeTunerWarning, TrialTaken
from krigetuner.run.messages import Context, Finished, Job, Outcome, Report, Reported
from krigetuner.run.progress import Progress
from krigetuner.search.protocol import Done, Wait
from krigetuner.store.artifacts import trial_directory
from krigetuner.trial import budget
from krigetuner.trial.trial import TrialRecord, TrialStatus
from krigetuner.tuners import scoring
from krigetuner.tuners.news import News
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial


class Host(Protocol):
    """What a search needs of its tuner."""

    oracle: Oracle
    tuner_id: str
    logger: Any

    def get_state(self) -> dict[str, Any]:
        """The tuner's own state."""

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
        news: tells the tuner's logger.
    """

    def __init__(self, tuner: Host, args: tuple[Any, ...], kwargs: Mapping[str, Any], progress: Progress) -> None:
        self._tuner = tuner
        self._args = args
        self._kwargs = kwargs
        self._progress = progress
        self.news = News(tuner)
        self._trials: dict[int, Trial] = {}
        self.interrupted: list[str] = []

    def next_job(self, slot: int) -> Job | Wait | Done:
        """Asks the oracle for a trial and makes a job of it."""
        tuner = self._tuner
        tuner.pre_create_trial()
        tuner_id = tuner.tuner_id if slot == 0 else f"{tuner.tuner_id}-{slot}"
        trial = tuner.oracle.create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED:
            self._show_best()
            return Done(tuner.oracle.stop_reason or trial.message or "the oracle stopped the search")
        if trial.status == TrialStatus.IDLE:
            return Wait(trial.message or "the oracle has nothing to try yet")
        if trial.number is None:
            tuner.oracle._adopt(trial, tuner_id)
        record = self._record_of(trial)
        self._trials[record.number] = trial
        self._progress.started(trial.trial_id, record.values, tuner.oracle._planned_trials())
        self.news.trial_begins(trial)
        tuner.on_trial_begin(trial)
        return Job(record.number, record.attempt, trial.trial_id, lambda channel: self._run(trial, record, channel))

    def _record_of(self, trial: Trial) -> TrialRecord:
        state = self._tuner.oracle._ledger.state
        return state.trials[state.numbers[trial.trial_id]]

    def _run(self, trial: Trial, record: TrialRecord, channel: Context) -> Outcome:
        """The work of one job: the user's `run_trial`, its result turned into executions."""
        tuner, parent = self._tuner, budget.parent_of(record.values)
        context = TrialContext(
            channel,
            trial_directory(tuner.project_dir, trial.trial_id),
            number=record.number,
            attempt=record.attempt,
            parent_directory=None if parent is None else trial_directory(tuner.project_dir, parent),
            seed=tuner._training_seed(record),
        )
        before = _last_update(trial, tuner.oracle.objective.name)
        with running(context):
            results = tuner.run_trial(trial, *self._args, **dict(self._kwargs))
        updated = _last_update(trial, tuner.oracle.objective.name) != before
        if updated and (results is None or not context.by_hooks):
            way = "on_epoch_end()" if context.by_hooks else "self.oracle.update_trial(), which is deprecated"
            _warn_of_old_style(
                f"got them through {way}. Please remove the call and return them; what was returned is not used."
            )
            return Outcome(())
        if results is None and context.results:
            _warn_of_old_style("got None; those of super().run_trial() are used, return them.")
            results = context.results
        found = executions(results, tuner.oracle.objective, f"{type(tuner).__name__}.run_trial()")
        if tuner.oracle._redefines("update_trial"):  # then what it makes of the results counts
            metrics, step = scoring.averaged(found, tuner.oracle.objective)
            tuner.oracle.update_trial(trial.trial_id, metrics, step=step)
            return Outcome(())
        return Outcome(found)

    def record(self, report: Report) -> None:
        """Hands a report to the oracle."""
        try:
            self._hand_over(report)
        except TrialTaken as error:
            if isinstance(report, Reported):
                raise
            self._let_go(self._trials[report.number], str(error))

    def _let_go(self, trial: Trial, reason: str) -> None:
        """A trial that another worker runs now; this one goes on with the next."""
        self._progress.ended("taken by another worker", None, None)
        self.news.trial_ended(trial)
        warnings.warn(f"search: {reason}", KrigeTunerWarning, stacklevel=2)

    def _hand_over(self, report: Report) -> None:
        oracle = self._tuner.oracle
        trial = self._trials[report.number]
        if isinstance(report, Reported):
            oracle.report(trial.trial_id, report.step, report.metrics, report.execution or 0)
            self._progress.reported(report.step, report.metrics)
        elif isinstance(report, Finished):
            trial.executions = list(report.outcome.executions)
            if trial.executions:
                scoring.score_executions(trial, oracle.objective)  # what on_trial_end may look at
            trial.status = TrialStatus.COMPLETED
            self._end(trial)
        elif report.kind == "taken":
            self._let_go(trial, report.message.strip().splitlines()[-1])
        elif report.kind in {"fatal", "interrupted"}:
            oracle.interrupt_trial(trial.trial_id, report.message)
            self.interrupted.append(trial.trial_id)
            self._progress.ended(TrialStatus.INTERRUPTED, None, report.message if report.kind == "fatal" else None)
            self.news.trial_ended(trial)
        else:
            trial.executions = []
            trial.status = TrialStatus.FAILED if report.kind == "failed" else TrialStatus.INVALID
            trial.message = report.message
            self._end(trial)

    def _end(self, trial: Trial) -> None:
        """Runs the hook that ends the trial, and shows what came of it even when that raises."""
        try:
            self._tuner.on_trial_end(trial)
            if self._tuner.oracle._runs(trial):
                self._tuner.oracle._conclude(trial)  # an overridden hook that did not call its base class
        finally:
            record = self._record_of(trial)
            self._show_best()
            self._progress.ended(record.status, record.score, record.message)
            self.news.trial_ended(trial)

    def _show_best(self) -> None:
        if self._progress.mode == "silent":
            return
        best = self._tuner.oracle.get_best_trials(1)
        if best:
            self._progress.best(best[0].score, best[0].trial_id, self._record_of(best[0]).values)


def _warn_of_old_style(rest: str) -> None:
    warnings.warn(f"run_trial: expected the metrics to be returned, {rest}", DeprecationWarning, stacklevel=4)


def _last_update(trial: Trial, name: str) -> tuple[int, Any]:
    """Changes when `update_trial` adds a value of the objective."""
    if not trial.metrics.exists(name):
        return 0, None
    history = trial.metrics.get_history(name)
    return len(history), [(o.step, list(o.value)) for o in history[-1:]]
