"""Which worker runs which trial: what a chief does with the requests of its workers.

A trial belongs to the process that it was handed to. When the process is lost the trial is run again, at most twice,
for that is not the trial's fault; a process that comes back in time, or after a restart of the chief, goes on with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from krigetuner.errors import SearchEnded, StoreError, TrialTaken
from krigetuner.run.board import Board
from krigetuner.run.network.attendance import Attendance, Worker
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.trial import TrialRecord, TrialStatus
from krigetuner.tuners.network.wire_forms import report_data
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.search_space import space_data
from krigetuner.tuners.trial import Trial

LOSSES = 2
"""How often a trial is run again because its worker was lost."""

ENDING = {"create_trial", "end_trial", "interrupt_trial"}
"""Requests whose errors end a search, as they do in a search of one process."""


@dataclass(frozen=True)
class Ending:
    """How a search ended.

    Attributes:
        kind: "done", "failed" or "interrupted".
        reason: in words, with the traceback of the user's code where there is one.
        error: what the chief's `search` raises.
    """

    kind: str
    reason: str
    error: Exception | None = None

    def told(self) -> dict[str, str]:
        """What workers are told of it."""
        return {"kind": self.kind, "reason": self.reason}


class Assignment:
    """The trials of one search and their workers; its methods are called under the oracle's lock.

    Args:
        oracle: that decides and records.
        workers: who is there.
        patience: seconds that the trials which ran when the chief was killed wait for their workers.
        board: where news are shown.

    Attributes:
        over: how the search ended; None while it goes on.
        changes: counts what may give somebody who waits a trial.
    """

    def __init__(self, oracle: Oracle, workers: Attendance, patience: float, board: Board) -> None:
        self._oracle, self._workers, self._board = oracle, workers, board
        self._holders: dict[str, str] = {}
        self._losses: dict[str, int] = {}
        self.over: Ending | None = None
        self.changes = 0
        state = oracle._ledger.state
        waiting = [state.trials[number] for number in state.waiting]
        self._reserved = {r.trial_id for r in waiting if r.status == TrialStatus.INTERRUPTED and r.worker is not None}
        self._reserved_until = time.monotonic() + 2 * patience

    # --- requests

    def act(self, worker: Worker, method: str, arguments: Mapping[str, Any]) -> Any:
        """Does what a worker asks for.

        Raises:
            SearchEnded: the search is over.
            TrialTaken: the trial is not that worker's any more.
            Exception: of the oracle.
        """
        if self.over is not None and method != "leave":
            raise SearchEnded(f"search: the chief ended it: {self.over.reason}")
        return METHODS[method](self, worker, **arguments)

    def judge(self, method: str, error: Exception) -> None:
        """Ends the search when an error asks for it."""
        if isinstance(error, TrialTaken | SearchEnded) or self.over is not None:
            return
        if method in ENDING or isinstance(error, StoreError):
            self.finish("failed", str(error), error)

    def finish(self, kind: str, reason: str, error: Exception | None = None) -> list[str]:
        """Ends the search; trials that run are recorded as interrupted, to be run first when it goes on."""
        if self.over is not None:
            return []
        self.over = Ending(kind, reason, error)
        self.changes += 1
        cut = [] if isinstance(error, StoreError) else [t.trial_id for t in self._oracle.ongoing_trials.values()]
        for trial_id in cut:
            self._oracle.interrupt_trial(trial_id, f"the search ended while the trial ran: {reason.splitlines()[0]}")
        self._holders.clear()
        return cut

    # --- trials

    def _create_trial(self, worker: Worker, tuner_id: str) -> dict[str, Any]:
        if not worker.reports:
            return self._shared(worker, tuner_id)
        worker.busy = False
        oracle = self._oracle
        ongoing = oracle.ongoing_trials.get(tuner_id)
        if ongoing is not None and self._holders.get(ongoing.trial_id) != worker.session:
            self._take_back(ongoing, f"the process of worker {tuner_id!r} that ran the trial ended")
        own = self._own(tuner_id)
        if own is not None and oracle._time_or_target() is None:
            oracle._start(own, tuner_id)
            trial = oracle.trials[own.trial_id]
        elif self.seconds_reserved():
            return self._nothing("trials that ran when the chief ended wait for their workers")
        else:
            trial = oracle.create_trial(tuner_id)
            if trial.status == TrialStatus.RUNNING and trial.number is None:
                oracle._adopt(trial, tuner_id)
        return self._handed_out(worker, trial)

    def _own(self, tuner_id: str) -> TrialRecord | None:
        """The trial that a worker of this name ran last, when it was interrupted and waits."""
        state, outside = self._oracle._ledger.state, self._oracle._placement().outside
        for number in reversed(state.waiting):
            record = state.trials[number]
            if record.worker == tuner_id and record.status == TrialStatus.INTERRUPTED and number not in outside:
                return record
        return None

    def _handed_out(self, worker: Worker, trial: Trial) -> dict[str, Any]:
        if trial.status == TrialStatus.STOPPED:
            # one of them may have to be run again, and the hooks behind a trial may ask for this and that
            if self._oracle.ongoing_trials or any(w.busy for w in self._workers):
                return self._nothing("the last trials run elsewhere")
            self.finish("done", self._oracle.stop_reason or trial.message or "the oracle stopped the search")
        if trial.status != TrialStatus.RUNNING:
            return self._nothing(trial.message, trial.status)
        self._begun(trial, worker)
        return self._described(trial)

    def _begun(self, trial: Trial, worker: Worker) -> None:
        """Notes who runs a trial now."""
        self._holders[trial.trial_id] = worker.session
        self._reserved.discard(trial.trial_id)
        worker.busy = True
        self.changes += 1
        values = trial.hyperparameters.values
        self._board.started(trial.trial_id, worker.tuner_id, values, self._oracle._planned_trials())

    def _shared(self, worker: Worker, tuner_id: str) -> dict[str, Any]:
        """The trial that the reporting process of the same name runs; one that was not given to this process yet."""
        trial = self._oracle.ongoing_trials.get(tuner_id)
        if trial is None or worker.last == (trial.trial_id, trial.attempt):
            return self._nothing("the process that reports has no new trial yet")
        worker.last = trial.trial_id, trial.attempt
        return self._described(trial)

    def _described(self, trial: Trial) -> dict[str, Any]:
        data = space_data(trial.hyperparameters)
        return {**self._nothing(None, TrialStatus.RUNNING), "trial_id": trial.trial_id, "hyperparameters": data}

    def _nothing(self, message: str | None, status: str = TrialStatus.IDLE) -> dict[str, Any]:
        return {"trial_id": "", "status": status, "message": message, "changes": self.changes}

    def _mine(self, worker: Worker, trial_id: str) -> Trial:
        """A trial that the worker runs.

        Raises:
            TrialTaken: it does not, any more.
        """
        trial = self._oracle.trials.get(trial_id)
        if trial is None:
            raise TrialTaken(f"trial: expected one of this search, got {trial_id!r} from {worker}")
        if self._holders.get(trial_id) != worker.session:
            raise TrialTaken(
                f"trial {trial_id}: expected results from the worker that runs it, got some from {worker}, which was "
                f"silent for too long or ended; the trial is {trial.status}, and these results are not recorded"
            )
        return trial

    def _report(self, worker: Worker, trial_id: str, hyperparameters: Any, **told: Any) -> None:
        self._mine(worker, trial_id)
        if hyperparameters is not None:
            self._update_space(worker, hyperparameters)
        self._oracle.report(trial_id, **told)
        self._board.reported(trial_id, told["step"], told["metrics"])

    def _update_trial(self, worker: Worker, trial_id: str, metrics: Mapping[str, float], step: int) -> dict[str, Any]:
        self._mine(worker, trial_id)
        self._oracle.update_trial(trial_id, metrics, step=step)  # of the user's own, it may return anything
        self.changes += 1
        return {"status": self._oracle.get_trial(trial_id).status}

    def _end_trial(self, worker: Worker, trial_id: str, **result: Any) -> None:
        if self._recorded_before(worker, trial_id):
            return
        trial = self._mine(worker, trial_id)
        self._take(trial, **result)
        try:
            self._oracle._conclude(trial)
        finally:
            self._released(trial_id)

    def _recorded_before(self, worker: Worker, trial_id: str) -> bool:
        """Whether the chief was restarted after it had recorded the result, and before it could say so."""
        state = self._oracle._ledger.state
        record = state.trials.get(state.numbers.get(trial_id, -1))
        if record is None or trial_id in self._holders or record.worker != worker.tuner_id:
            return False
        return record.status in (TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.INVALID)

    def _take(
        self, trial: Trial, status: str, message: str | None, executions: Any, hyperparameters: Any, asked: Any = None
    ) -> None:
        """Puts a result into the trial."""
        trial.status, trial.message, trial.executions = status, message, executions
        trial.asked = None if asked is None else tuple(asked)
        if hyperparameters is not None:
            trial.hyperparameters = hyperparameters

    def _interrupt_trial(self, worker: Worker, trial_id: str, **result: Any) -> None:
        trial = self._mine(worker, trial_id)
        reason = str(result["message"])
        if result["hyperparameters"] is not None:
            trial.hyperparameters = result["hyperparameters"]
        self._take_back(trial, reason)

    def _take_back(self, trial: Trial, reason: str) -> None:
        self._oracle.interrupt_trial(trial.trial_id, reason)
        self._released(trial.trial_id)

    def _released(self, trial_id: str) -> None:
        if all(trial.trial_id != trial_id for trial in self._oracle.ongoing_trials.values()):
            self._holders.pop(trial_id, None)
        self.changes += 1
        if self._board.progress.mode != "silent":
            for best in self._oracle.get_best_trials(1):
                self._board.progress.best(best.score, best.trial_id, best.hyperparameters.values)
        state = self._oracle._ledger.state
        record = state.trials[state.numbers[trial_id]]
        self._board.ended(trial_id, record.status, record.score, record.message)

    # --- what else workers ask for

    def _update_space(self, worker: Worker, hyperparameters: HyperParameters) -> None:
        self._oracle.update_space(hyperparameters)
        self.changes += 1

    def _enqueue(self, worker: Worker, values: Mapping[str, Any]) -> None:
        self._oracle.enqueue(values)
        self.changes += 1

    def _add_observation(self, worker: Worker, values: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
        self.changes += 1
        return self._oracle.add_observation(values, metrics).trial_id

    def _save_state(self, worker: Worker, key: str, state: Mapping[str, Any]) -> None:
        self._oracle._ledger.save_state(key, state)

    def _count(self, worker: Worker) -> int:
        return len(self._oracle._ledger.state.trials)

    def _measurements(self, worker: Worker, number: int) -> list[Any]:
        return [report_data(report) for report in self._oracle._ledger.measurements(number)]

    def _leave(self, worker: Worker, fatal: str | None) -> None:
        """The worker says goodbye, with the reason why nobody else should go on if there is one."""
        for trial_id in self._of(worker):
            self._take_back(self._oracle.get_trial(trial_id), f"{worker} left while the trial ran")
        self._workers.remove(worker)
        self.changes += 1
        if fatal is not None:
            reason = f"{worker} ended it:\n{fatal}"
            self.finish("failed", reason, RuntimeError(f"search: {reason}"))

    # --- who is there

    def take_up(self, worker: Worker, holding: Sequence[str]) -> None:
        """Gives a worker that attends the trials back that it still runs, unless they were given away."""
        state = self._oracle._ledger.state
        for trial_id in holding if worker.reports else ():
            record = state.trials.get(state.numbers.get(trial_id, -1))
            if record is not None and record.number in state.waiting and record.status == TrialStatus.INTERRUPTED:
                self._oracle._start(record, record.worker or worker.tuner_id)
                self._begun(self._oracle.get_trial(trial_id), worker)

    def seconds_reserved(self) -> float | None:
        """How long no other worker gets a trial that ran when the chief was killed; None when there is none."""
        state, outside = self._oracle._ledger.state, self._oracle._placement().outside
        self._reserved &= {state.trials[number].trial_id for number in state.waiting if number not in outside}
        left = self._reserved_until - time.monotonic()
        return left if self._reserved and left > 0 else None

    def _of(self, worker: Worker) -> list[str]:
        return [trial_id for trial_id, session in self._holders.items() if session == worker.session]

    def lose(self, worker: Worker) -> None:
        """A worker is gone: its trials are run again, or have failed when that has happened too often."""
        self._workers.remove(worker)
        self.changes += 1
        for trial_id in self._of(worker):
            trial = self._oracle.get_trial(trial_id)
            self._losses[trial_id] = self._losses.get(trial_id, 0) + 1
            if self._losses[trial_id] <= LOSSES:
                self._take_back(trial, f"{worker} was lost while the trial ran")
                continue
            count = self._losses[trial_id]
            message = (
                f"the worker was lost {count} times while the trial ran, the last time {worker}; look at its memory"
            )
            try:
                self._end_lost(trial, message)
            except Exception as error:
                self.judge("end_trial", error)

    def _end_lost(self, trial: Trial, message: str) -> None:
        self._take(trial, TrialStatus.FAILED, message, [], None)
        try:
            self._oracle._conclude(trial)
        finally:
            self._released(trial.trial_id)


METHODS: Mapping[str, Callable[..., Any]] = {
    "create_trial": Assignment._create_trial,
    "report": Assignment._report,
    "update_trial": Assignment._update_trial,
    "end_trial": Assignment._end_trial,
    "interrupt_trial": Assignment._interrupt_trial,
    "update_space": Assignment._update_space,
    "enqueue": Assignment._enqueue,
    "add_observation": Assignment._add_observation,
    "save_state": Assignment._save_state,
    "count": Assignment._count,
    "measurements": Assignment._measurements,
    "leave": Assignment._leave,
}
"""What workers may ask for."""
