"""KerasTuner's `Oracle`: hands out trials and takes their results; a face on an algorithm and the record of a study."""

from __future__ import annotations

import functools
import inspect
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from krigetuner.run import policy
from krigetuner.run.keras_tuner_project import taken_names
from krigetuner.run.messages import Execution, FailureKind
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.history import Origin
from krigetuner.trial.trial import TrialRecord, TrialStatus
from krigetuner.tuners import options, scoring
from krigetuner.tuners.oracle_study import OracleStudy
from krigetuner.tuners.results_table import history_table, results_table
from krigetuner.tuners.search_space import active_values
from krigetuner.tuners.synchronized import synchronized
from krigetuner.tuners.trial import Trial, track, trial_of

if TYPE_CHECKING:
    import pandas


@functools.lru_cache(maxsize=64)
def _takes_id(method: Callable[..., Any]) -> bool:
    """Whether this `end_trial` has its old arguments."""
    return "trial_id" in inspect.signature(method).parameters


class Oracle(OracleStudy):
    """Base of all oracles; subclass it, define `populate_space`, and hand the object to a `Tuner`.

    It works in memory until a tuner, or `_set_project_dir`, gives it a project directory.

    Args:
        objective: name of a metric, an `Objective`, a list of them (the sum of those to minimise less the sum of those
            to maximise is minimised), or None when results are plain numbers to minimise.
        max_trials: how many trials to run at most, None for no limit.
        hyperparameters: the search space, or a part of it that the code's definitions add to.
        allow_new_entries: whether code may ask for hyperparameters that are not in `hyperparameters`.
        tune_new_entries: whether those are tuned, or keep their defaults.
        seed: any whole number, 0 too; None for a random one, which is recorded.
        max_retries_per_trial: how often a trial that crashed or gave NaN is run again.
        max_consecutive_failed_trials: so many failed trials in a row end the search with an error; None for never.
        max_time: seconds after which no new trial is begun, from the begin of the search in this process.
        target: value of the objective that ends the search.
        storage: None for an SQLite database in the project directory, "memory" for none, or an SQLAlchemy URL; give it
            here or to the tuner.
        durability: "full" has every record survive a power cut too; None is "normal", which survives a crash of the
            process. Give it here or to the tuner.

    Attributes:
        trials: every Trial by its id.
        ongoing_trials: the Trial that runs, by tuner id.
        start_order, end_order: trial ids in the order in which they began, and ended.
        stop_reason: why the last `create_trial` said STOPPED; None when it did not.
    """

    # --- what to run

    @synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial for a tuner: the one it runs already, one that has to be run again, an enqueued or a new one.

        Returns:
            A trial whose status is RUNNING; or IDLE (ask again when a running trial has ended) or STOPPED (the search
            is over), with the reason in `message`.
        """
        if tuner_id in self.ongoing_trials:
            return self.ongoing_trials[tuner_id]
        self.tuner_ids.add(tuner_id)
        self._settle_space()
        self._take_in()
        reason = self._time_or_target()
        if reason:
            return self._no_trial(tuner_id, TrialStatus.STOPPED, reason)
        waiting = self._ledger.next_requeued(self._definitions.space())
        if waiting is not None:
            return self._start(waiting, tuner_id)
        if self.max_trials and self.remaining_trials() == 0:
            done = f"max_trials: all {self.max_trials} trials have been run"
            return self._no_trial(tuner_id, TrialStatus.STOPPED, done)
        return self._new_trial(tuner_id)

    def _new_trial(self, tuner_id: str) -> Trial:
        trial_id, self._seen = self._next_trial_id(), None
        values = self._next_enqueued()
        if values is not None:
            values, origin = self._enqueued(values)
        else:
            self._origin, began = None, time.perf_counter()
            response = self._overridden("_populate_space", "populate_space")(trial_id)
            seconds = time.perf_counter() - began
            if response["status"] == TrialStatus.STOPPED and self._untold and not self.hyperparameters.space:
                response = {"status": TrialStatus.RUNNING, "values": {}}
                self._origin = Origin("repeated")  # nothing is exhausted: nobody has seen the space yet
            if response["status"] != TrialStatus.RUNNING:
                return self._no_trial(tuner_id, response["status"], response.get("message") or "the oracle said so")
            origin = self._origin or Origin(self.algorithm_name)
            origin = replace(origin, note={"seconds": seconds, **origin.note})
            values = response.get("values") or {}
            if self._origin is None:
                values = self._definitions.active_values(values)
        record = self._ledger.asked(values, origin, worker=tuner_id, trial_id=trial_id, seen=self._seen, begin=True)
        self.trials[trial_id] = trial_of(record, self._definitions, self.objective)
        self.start_order.append(trial_id)
        self._remember(trial_id, record.values)
        return self._hand_out(record, tuner_id)

    def _enqueued(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], Origin]:
        """The values that an enqueued configuration runs with, and where it comes from."""
        return self._definitions.wanted_values(values), Origin("queue")

    def _start(self, record: TrialRecord, tuner_id: str) -> Trial:
        """Records that an attempt at a trial begins."""
        self._ledger.started(record.number, tuner_id)
        return self._hand_out(record, tuner_id)

    def _hand_out(self, record: TrialRecord, tuner_id: str) -> Trial:
        """Makes a trial the one that a tuner runs."""
        trial = self.trials[record.trial_id]
        trial.begin(record.attempt)
        self.ongoing_trials[tuner_id] = trial
        self.stop_reason = None
        self.save()
        return trial

    def _no_trial(self, tuner_id: str, status: str, reason: str) -> Trial:
        if status == TrialStatus.STOPPED:
            self.tuner_ids.discard(tuner_id)
            self.stop_reason = reason
            if not self.ongoing_trials:
                self._ledger.stopped(reason)
        return Trial(self._no_values, self._next_trial_id(), status, reason)

    def _next_trial_id(self) -> str:
        state = self._ledger.state
        number, taken = len(state.trials), taken_names(state.saved)
        while (name := options.trial_name(number, self.max_trials)) in state.numbers or name in taken:
            number += 1  # an imported project may lack some trials
        return name

    def _time_or_target(self) -> str | None:
        """Why no trial may begin, not even one that waits to be run again."""
        if self._begun is None:
            self._begun = time.monotonic()
        elapsed = time.monotonic() - self._begun
        if self.max_time is not None and elapsed >= self.max_time:
            return f"max_time: {elapsed:.0f} of {self.max_time:g} seconds are over"
        best = self.get_best_trials(1) if self.target is not None else []
        if best and self.target is not None and not self.objective.better_than(self.target, best[0].score or 0.0):
            return f"target: trial {best[0].trial_id} reached {best[0].score:g}, {self.target:g} was asked for"
        return None

    @synchronized
    def enqueue(self, values: Mapping[str, Any] | HyperParameters) -> None:
        """Has a configuration tried before anything is suggested; one that was enqueued before is not tried again.

        One with a value that the space, known only later, does not have is left out with a `KrigeTunerWarning`.

        Args:
            values: by name; names that are left out take their defaults.

        Raises:
            ValueError: a value that its hyperparameter cannot have, or a new name where none is allowed. A new name
                in a space that is known already gives a `KrigeTunerWarning`.
        """
        checked = self._definitions.check(values)
        self._definitions.warn_of_unknown("enqueue", checked)
        state = self._ledger.state
        full = self._definitions.active_values
        done = (full(r.values) for r in state.trials.values() if r.origin.algorithm == "queue")
        if checked not in state.enqueued and not any(full(checked).items() <= values.items() for values in done):
            self._ledger.enqueue(checked)

    # --- what came of it

    @synchronized
    def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: int = 0) -> Trial:
        """Records metrics of a running trial, the objective among them.

        Raises:
            ValueError: the objective is not among them; the message lists what is.
        """
        trial = self.get_trial(trial_id)
        numbers = scoring.reported(metrics, self.objective)
        self._ledger.reported(self._number(trial), step, numbers)
        track(trial.metrics, numbers, step, self.objective)
        return trial

    @synchronized
    def report(self, trial_id: str, step: int, metrics: Mapping[str, Any], execution: int = 0) -> None:
        """Records metrics of one step (epoch) of one execution; they do not decide the trial's score."""
        self._ledger.reported(self._number(self.get_trial(trial_id)), step, metrics, execution)

    @synchronized
    def end_trial(self, trial: Trial) -> None:
        """Takes the result of a running trial.

        Args:
            trial: its status is "COMPLETED", "INVALID" (crashed; is run again as far as retries are left) or "FAILED";
                `executions`, when not empty, are its results, else those given to `update_trial`. A trial that is
                still "RUNNING" has completed if `update_trial` got its objective.

        Raises:
            RuntimeError: too many trials failed in a row, or hyperparameters are new that may not be; the result is
                recorded all the same.
            ValueError: the result cannot be recorded: no score, or another status.
        """
        own = self.get_trial(trial.trial_id)
        own.take(trial)
        if own.status == TrialStatus.RUNNING and own.metrics.exists(self.objective.name):
            own.status = TrialStatus.COMPLETED
        if own.status not in (TrialStatus.COMPLETED, TrialStatus.INVALID, TrialStatus.FAILED):
            raise ValueError(
                f"trial.status: expected 'COMPLETED', 'INVALID' or 'FAILED', got {own.status!r}; "
                "set it before end_trial"
            )
        refused = self._discover(own)
        if own.status == TrialStatus.COMPLETED:
            if own.executions:
                scoring.score_executions(own, self.objective)
            self._overridden("_score_trial", "score_trial")(own)
            scoring.judge_score(own, self.objective)
        self._record_end(own)
        self.save()
        if refused is not None:
            raise refused
        limit = self.max_consecutive_failed_trials
        last = [self.trials[trial_id].status for trial_id in self._ended_here[-limit:]] if limit else []
        if limit and policy.too_many_failures(last, limit):
            raise RuntimeError(
                f"Number of consecutive failures exceeded the limit of {limit}. The last one, trial {own.trial_id}:\n"
                f"{own.message or 'no reason was given'}\nAll of them are recorded; correct the cause and search "
                "again, or raise max_consecutive_failed_trials"
            )

    def _conclude(self, trial: Trial) -> None:
        """Calls `end_trial`, which users' classes may have with its old arguments, or without a call of this one's."""
        if _takes_id(getattr(self.end_trial, "__func__", self.end_trial)):
            warnings.warn(
                f"{type(self).__name__}.end_trial(trial_id, status): expected end_trial(trial); take the trial itself",
                DeprecationWarning,
                stacklevel=3,
            )
            self.end_trial(trial.trial_id, trial.status)  # type: ignore[call-arg,arg-type]
        else:
            self.end_trial(trial)
        if self._runs(trial):
            Oracle.end_trial(self, trial)

    def _discover(self, trial: Trial) -> RuntimeError | None:
        """Takes in what the trial's code asked for; gives the error when that is not allowed."""
        if trial.looked_at:
            try:
                self.update_space(trial.hyperparameters)
            except RuntimeError as error:
                return error
        return None

    def _record_end(self, trial: Trial) -> None:
        """Records a judged trial, then changes the lists of this object."""
        number = self._number(trial)
        record = self._ledger.state.trials[number]
        before = record.values
        values = active_values(trial.hyperparameters, trial.hyperparameters._values) if trial.looked_at else None
        if trial.status == TrialStatus.COMPLETED:
            final, step, score = scoring.final_metrics(trial), int(trial.best_step or 0), float(trial.score or 0.0)
            executions = trial.executions or [Execution(final, step)]
            unasked = self._unasked(trial, values or before)
            self._ledger.finished(number, executions, final, step, score, trial.variance, values, unasked)
        else:
            kind: FailureKind = "invalid" if trial.status == TrialStatus.INVALID else "failed"
            again = policy.after_failure(kind, record.failures, self.max_retries_per_trial) == "requeue"
            unasked = self._unasked(trial, values or before) if kind == "failed" else None  # meant to be so
            self._ledger.failed(number, kind, trial.message or "", again, values, unasked)
            trial.status = record.status
        self._note_best(trial)
        if record.values is not before:
            self._remember(trial.trial_id, record.values)
        if record.origin.algorithm == "queue" and trial.looked_at:
            self._definitions.settle_enqueued(trial.hyperparameters, before, record.values)
        if record.status != TrialStatus.INVALID:
            self.end_order.append(trial.trial_id)
            self._ended_here.append(trial.trial_id)
        self._leave(trial)

    @synchronized
    def interrupt_trial(self, trial_id: str, reason: str) -> None:
        """Records that a running trial ended without its fault; it is run again before anything new."""
        trial = self.get_trial(trial_id)
        self._discover(trial)
        self._ledger.interrupted(self._number(trial), reason)
        trial.status, trial.message = TrialStatus.INTERRUPTED, reason
        self._leave(trial)

    def _leave(self, trial: Trial) -> None:
        for tuner_id in [t for t, ongoing in self.ongoing_trials.items() if ongoing.trial_id == trial.trial_id]:
            del self.ongoing_trials[tuner_id]

    @synchronized
    def add_observation(self, values: Mapping[str, Any] | HyperParameters, metrics: Mapping[str, Any] | float) -> Trial:
        """Records a result that was obtained elsewhere as a completed trial.

        It counts as an initial point and not towards `max_trials`. The same values with the same metrics again are
        recorded once.

        Args:
            values: hyperparameter values by name; names that are left out take their defaults.
            metrics: by name, the objective among them; or the objective's value.

        Raises:
            ValueError: a value that its hyperparameter cannot have, no objective, or one that is not a number.
                A new name in a space that is known already gives a `KrigeTunerWarning`.
        """
        given = self._definitions.check(values)
        self._definitions.warn_of_unknown("add_observation", given)
        checked = self._definitions.wanted_values(given)
        numbers = scoring.reported(metrics, self.objective)
        score = numbers[self.objective.name]
        if policy.loss_of(score, self.objective.direction) is None:
            raise ValueError(
                f"metrics: expected a number for {self.objective.name!r}, got {score}; leave failed results out"
            )
        key = self._observation_key(checked, numbers)
        if key in self._observed():
            return self.trials[self._observed()[key]]
        record = self._ledger.asked(checked, Origin("given"), counted=False, trial_id=self._next_trial_id())
        self._ledger.finished(record.number, [Execution(numbers)], numbers, 0, score)
        trial = self.trials[record.trial_id] = trial_of(record, self._definitions, self.objective)
        self.start_order.append(trial.trial_id)
        self.end_order.append(trial.trial_id)
        self._remember(trial.trial_id, record.values)
        self._observed()[key] = trial.trial_id
        self._uncounted += 1
        self._note_best(trial)
        return trial

    def score_trial(self, trial: Trial) -> None:
        """Sets `trial.score` and `trial.best_step` of a completed trial from its metrics; may be overridden."""
        trial.score, trial.best_step = scoring.best_of(trial, self.objective)

    # --- reading

    def get_trial(self, trial_id: str) -> Trial:
        """The trial of that id.

        Raises:
            KeyError: there is none.
        """
        if trial_id not in self.trials:
            raise KeyError(f"trial_id: expected one of the {len(self.trials)} trials of this search, got {trial_id!r}")
        return self.trials[trial_id]

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The completed trials with the best finite scores, best first; fewer when there are fewer.

        Trials that do not lie in the present space, after a change of its definition, are left out.
        """
        space = self._definitions.space()
        known = self._best if self._best_in is space else None
        if num_trials == 1 and known is not None and known[0].score == known[1]:
            return [known[0]]  # asked after every trial, so not searched for
        outside = self._placement().outside
        done = [trial for trial in self.trials.values() if scoring.may_be_best(trial, outside)]
        done.sort(key=lambda trial: self.objective.loss(trial.score or 0.0))
        self._best_in, self._best = space, (done[0], float(done[0].score or 0.0)) if done else None
        return done[:num_trials]

    def remaining_trials(self) -> int | None:
        """How many trials may still be begun; None for no limit. Those that left the present space do not count."""
        return None if self.max_trials is None else max(self.max_trials - self._counted(), 0)

    def results(self) -> pandas.DataFrame:
        """All trials as a table: one row each, values and metrics in columns; see `results_table`."""
        records, outside = self._ledger.state.trials.values(), self._placement().outside
        return results_table(records, outside, [p.name for p in self.hyperparameters.space])

    @synchronized
    def history(self, trial_id: str | None = None) -> pandas.DataFrame:
        """The metrics of every epoch and every execution that were recorded, of one trial or of all.

        Columns: trial_id, attempt (how often the trial was begun before), execution, step (the epoch), then the
        metrics. An execution that reported no epochs has one row, its result.

        Raises:
            KeyError: there is no such trial.
            MissingDependency: pandas is not installed.
        """
        trials = self._ledger.state.trials
        number = None if trial_id is None else self._number(self.get_trial(trial_id))
        records = list(trials.values()) if number is None else [trials[number]]
        return history_table(records, self._ledger.measurements(number))
