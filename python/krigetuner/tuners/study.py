"""A search of a tuner, as the loop sees it: trials become jobs, reports go to the oracle and to the display."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from krigetuner.adapters.global_settings import GlobalSettings
from krigetuner.errors import KrigeTunerWarning, StoreError, TrialTaken
from krigetuner.run import policy
from krigetuner.run.board import Board
from krigetuner.run.executor import failure
from krigetuner.run.messages import Failed, Finished, Job, Report, Reported
from krigetuner.run.progress import Progress
from krigetuner.run.shared import Shared
from krigetuner.search.protocol import Done, Wait
from krigetuner.trial import budget
from krigetuner.trial.trial import TrialRecord, TrialStatus
from krigetuner.tuners import scoring
from krigetuner.tuners.news import News
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.search_space import space_of
from krigetuner.tuners.trial import Trial
from krigetuner.tuners.trial_run import Errand, TrialRun


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

    def _forget(self, trial_id: str) -> None:
        """Removes what a further attempt at a trial would go on from."""

    def _training_seed(self, record: TrialRecord) -> int | None:
        """Base of the seeds of an attempt's training."""

    def _findings(self) -> Mapping[str, Any]:
        """What runs have left in the tuner that the one which searches must know."""

    def _learn(self, findings: Mapping[str, Any]) -> None:
        """Takes over the findings of a run in another process."""


class TunerStudy:
    """The present search of a tuner.

    Args:
        tuner: whose hooks and oracle are used.
        args, kwargs: of `search`, handed on to `run_trial`.
        progress: where news are shown.
        single: whether trials run one after the other.
        timeout: seconds that a trial may take, None for ever.

    Attributes:
        interrupted: ids of the trials that the search's end cut short.
        news: tells the tuner's logger.
    """

    def __init__(
        self,
        tuner: Host,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        progress: Progress,
        single: bool = True,
        timeout: float | None = None,
    ) -> None:
        self._tuner = tuner
        self._errand = Shared(Errand(GlobalSettings.present(), tuner, args, kwargs))
        self._progress = progress
        self._board = Board(progress, single)
        self._timeout = timeout
        self.news = News(tuner)
        self._pace = policy.Pace()
        self._running: dict[int, tuple[Job, Trial, float]] = {}
        self._faults: dict[int, Exception] = {}
        self.interrupted: list[str] = []

    # --- what to run

    def next_job(self, slot: int) -> Job | Wait | Done:
        """Asks the oracle for a trial and makes a job of it."""
        tuner, began = self._tuner, time.perf_counter()
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
        self._board.started(trial.trial_id, str(slot), record.values, tuner.oracle._planned_trials())
        self.news.trial_begins(trial)
        trial._watch()
        tuner.on_trial_begin(trial)
        run = TrialRun(self._errand, trial, record, tuner._training_seed(record))
        parent = budget.parent_of(record.values)
        job = Job(record.number, record.attempt, trial.trial_id, run, self._timeout, parent)
        self._running[record.number] = job, trial, time.monotonic()
        if tuner.oracle._seen is None and not record.attempt:  # neither worked out ahead nor begun before
            self._pace.asked(time.perf_counter() - began)
        return job

    def prepare(self) -> None:
        """Has the oracle work out the next suggestion while every slot is taken, where a slot would wait for it."""
        if self._pace.worth_asking_ahead():
            began = time.perf_counter()
            if self._tuner.oracle._look_ahead():
                self._pace.asked(time.perf_counter() - began)

    def _record_of(self, trial: Trial) -> TrialRecord:
        state = self._tuner.oracle._ledger.state
        return state.trials[state.numbers[trial.trial_id]]

    # --- what came of it

    def record(self, report: Report) -> bool:
        """Hands a report to the oracle, and says whether the trial should end early."""
        if isinstance(report, Reported):
            return self._take_step(report)
        job, trial, began = self._running.pop(report.number)
        fault = self._faults.pop(report.number, None)
        if fault is not None:
            report = replace(failure(job, fault), discovered=_discovered(report))
        if _died(report):
            self._tuner.oracle._untold = True
        try:
            try:
                self._take_in(trial, _discovered(report))
            finally:
                self._hand_over(trial, report)
        except TrialTaken as error:
            self._let_go(trial, str(error))
        if isinstance(report, Finished):
            self._pace.ran(time.monotonic() - began)
        return False

    def _take_step(self, report: Reported) -> bool:
        """Records the metrics of a step; those of `update_trial` go to the oracle's, whose answer may be to stop."""
        oracle, trial = self._tuner.oracle, self._running[report.number][1]
        told: Any = None
        if report.discovered is not None:
            self._take_space(trial, report.discovered)
            return False
        if report.execution is not None:
            oracle.report(trial.trial_id, report.step, report.metrics, report.execution)
        elif report.number not in self._faults:
            try:
                told = oracle.update_trial(trial.trial_id, report.metrics, step=report.step)
            except StoreError:
                raise
            except Exception as error:  # of the user's own; in one process it would have come out of run_trial
                self._faults[report.number] = error
        self._board.reported(trial.trial_id, report.step, report.metrics)
        return report.number in self._faults or TrialStatus.STOPPED in (told, getattr(told, "status", None))

    def _take_space(self, trial: Trial, discovered: Mapping[str, Any]) -> None:
        """Takes over what a trial has asked for so far; what is not allowed is judged when it has ended."""
        oracle = self._tuner.oracle
        if "hyperparameters" in discovered and oracle.allow_new_entries:
            trial.hyperparameters = space_of(discovered["hyperparameters"])
            oracle.update_space(trial.hyperparameters)
            self._board.known(trial.trial_id, trial.hyperparameters._values)

    def _take_in(self, trial: Trial, discovered: Mapping[str, Any]) -> None:
        """Takes over what a run in another process has found out."""
        for message in discovered.get("warnings", ()):
            warnings.warn(message, KrigeTunerWarning, stacklevel=4)
        if "tuner" in discovered:
            self._tuner._learn(discovered["tuner"])
        if "hyperparameters" in discovered:
            trial.hyperparameters = space_of(discovered["hyperparameters"])
        if "asked" in discovered:
            trial.asked = tuple(discovered["asked"])
        for space in discovered.get("space", ()):
            self._tuner.oracle.update_space(space_of(space))

    def _let_go(self, trial: Trial, reason: str) -> None:
        """A trial that another worker runs now; this one goes on with the next."""
        self._board.ended(trial.trial_id, "taken by another worker", None, None)
        self.news.trial_ended(trial)
        warnings.warn(f"search: {reason}", KrigeTunerWarning, stacklevel=2)

    def _hand_over(self, trial: Trial, report: Finished | Failed) -> None:
        oracle = self._tuner.oracle
        if isinstance(report, Finished):
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
            reason = report.message if report.kind == "fatal" else None
            self._board.ended(trial.trial_id, TrialStatus.INTERRUPTED, None, reason)
            self.news.trial_ended(trial)
        else:
            trial.executions = []
            trial.status = TrialStatus.FAILED if report.kind == "failed" else TrialStatus.INVALID
            trial.message = report.message
            self._end(trial, _died(report))

    def _end(self, trial: Trial, died: bool = False) -> None:
        """Runs the hook that ends the trial, and shows what came of it even when that raises."""
        tuner, result = self._tuner, scoring.is_result(trial, self._tuner.oracle.objective)
        try:
            if not (result or died):
                tuner._forget(trial.trial_id)  # before another worker may run it again
            tuner.on_trial_end(trial)
            if tuner.oracle._runs(trial):
                tuner.oracle._conclude(trial)  # an overridden hook that did not call its base class
            if result or self._record_of(trial).status != TrialStatus.INVALID:
                tuner._forget(trial.trial_id)  # not before it is recorded, which may fail
        finally:
            record = self._record_of(trial)
            self._show_best()
            self._board.ended(trial.trial_id, record.status, record.score, record.message)
            self.news.trial_ended(trial)

    def _show_best(self) -> None:
        if self._progress.mode == "silent":
            return
        best = self._tuner.oracle.get_best_trials(1)
        if best:
            self._progress.best(best[0].score, best[0].trial_id, self._record_of(best[0]).values)


def _died(report: Finished | Failed) -> bool:
    """Whether the process of a trial died, which says nothing against going on with its training."""
    return isinstance(report, Failed) and report.error is None and report.discovered is None


def _discovered(report: Finished | Failed) -> Mapping[str, Any]:
    found = report.outcome.discovered if isinstance(report, Finished) else report.discovered
    return found or {}
