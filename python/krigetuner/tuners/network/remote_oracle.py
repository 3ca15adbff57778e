"""The oracle of a worker: what changes the study travels to the chief, what reads it reads a mirror.

The user's own oracle object stays what it is, with its options, its attributes and its methods that read; it never
opens the project.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from krigetuner.errors import FatalError, MissingDependency, SearchEnded, TrialTaken
from krigetuner.run import plain
from krigetuner.run.network import last_word
from krigetuner.run.network.link import Link
from krigetuner.run.network.role import Role
from krigetuner.run.network.wire import Unreachable
from krigetuner.run.opening import objective_config
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners import scoring
from krigetuner.tuners.network.mirror import MirrorLedger
from krigetuner.tuners.network.mirrored_oracle import MirroredOracle
from krigetuner.tuners.network.wire_forms import executions_data
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.search_space import space_data, space_of
from krigetuner.tuners.synchronized import synchronized
from krigetuner.tuners.trial import Trial, track

SHORT = 5.0
"""Seconds that a worker tries to reach its chief where it need not."""


def follow_chief(oracle: Oracle, role: Role, project: Path) -> None:
    """Makes an oracle the face of the one that the chief has; nothing goes over the network yet.

    Args:
        oracle: knows the part of the space that this process's code has defined.
        role: of this process.
        project: the project directory, as this process sees it.
    """
    oracle.__class__ = _worker_class(type(oracle))
    if isinstance(oracle, WorkerOracle):
        oracle._follow(role, project)


def _worker_class(kind: type[Oracle]) -> Any:
    """The class of users' oracles, with the methods below in front."""
    return type(kind.__name__, (WorkerOracle, kind), {"__module__": kind.__module__, "__qualname__": kind.__qualname__})


class WorkerOracle(MirroredOracle):
    """The methods that travel; see `Oracle` for what they mean."""

    _ways_on = "another worker may run it; start this one again to have it take part"

    def _follow(self, role: Role, project: Path) -> None:
        """Prepares the link."""
        self._role, self._project = role, project
        self._defined = space_data(self._definitions.recorder)
        self._held: set[str] = set()
        self._outbox: list[dict[str, Any]] = []
        self._faces: dict[str, Trial] = {}
        self._count = 0
        self._asked: dict[str, int] = {}
        self._link = self._new_link()
        self._opened = self._mirror = MirrorLedger(self._link, project)

    def _new_link(self, done: str = "") -> Link:
        return Link(self._role, self._hello, done, self._found_word)

    def _found_word(self, waited: float) -> dict[str, Any] | None:
        return last_word.find(self._project, max(self._searches, 1), waited)

    def _hello(self) -> dict[str, Any]:
        """What the chief is told of this process whenever it attends."""
        return {
            "objective": objective_config(self.objective),
            "search": max(self._searches, 1),
            "space": self._defined,
            "reports": bool(self.should_report),
            "shares": bool(self.multi_worker),
            "holding": sorted(self._held),
        }

    @property
    def _done(self) -> bool:
        """Whether the search has come to its proper end."""
        return self._link.over is not None and self._link.over["kind"] == "done"

    # --- what travels

    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial of this worker, from the chief; IDLE while the chief cannot be reached."""
        link = self._link
        link.open()
        if link.over is not None:
            return self._at_the_end()
        if not link.connected:
            return Trial(self._no_values, "", TrialStatus.IDLE, "the chief cannot be reached")
        try:
            answer = link.call("create_trial", SHORT, tuner_id=tuner_id)
        except Unreachable:
            return Trial(self._no_values, "", TrialStatus.IDLE, "the chief cannot be reached")
        except SearchEnded:
            return self._at_the_end()
        self._count = int(answer["changes"])
        if answer["status"] == TrialStatus.STOPPED:
            self.stop_reason = answer["message"]
        if answer["status"] != TrialStatus.RUNNING:
            return Trial(self._no_values, answer["trial_id"], answer["status"], answer["message"])
        trial_id = str(answer["trial_id"])
        self._held.discard(trial_id)
        trial = self.trials[trial_id]
        trial.begin(trial.attempt)
        trial.hyperparameters = space_of(answer["hyperparameters"])
        self._held.add(trial_id)
        self._asked = {trial_id: len(trial.hyperparameters.space)}
        return trial

    def _at_the_end(self) -> Trial:
        """The trial that says that the search is over.

        Raises:
            SearchEnded: it did not end as it should.
        """
        self._catch_up()
        if not self._done:
            raise self._link.ended()
        self.stop_reason = str((self._link.over or {}).get("reason"))
        return Trial(self._no_values, "", TrialStatus.STOPPED, self.stop_reason)

    def report(self, trial_id: str, step: int, metrics: Mapping[str, Any], execution: int = 0) -> None:
        """Has the chief record the metrics of one step; kept and sent later while the chief cannot be reached."""
        if self.should_report:
            numbers = plain.metrics(metrics)
            told: dict[str, Any] = {"metrics": numbers, "step": plain.step(step), "execution": int(execution)}
            self._outbox.append({"trial_id": trial_id, **told, "hyperparameters": self._discovered(trial_id)})
            if self._link.connected or self._link.over is not None:
                with suppress(Unreachable):
                    self._send_reports(SHORT)

    def _discovered(self, trial_id: str) -> dict[str, Any] | None:
        """The hyperparameters of a trial that asked for more than were known, so that others need not wait for them."""
        trial = self._faces.get(trial_id)
        if trial is None or not trial.looked_at or len(trial.hyperparameters.space) <= self._asked.get(trial_id, 0):
            return None
        self._asked[trial_id] = len(trial.hyperparameters.space)
        return space_data(trial.hyperparameters)

    def _send_reports(self, patience: float | None = None) -> None:
        """Sends the reports that wait, in order."""
        while self._outbox:
            try:
                self._link.call("report", patience, **self._outbox[0])
            except (TrialTaken, SearchEnded) as error:
                trial_id = str(self._outbox[0]["trial_id"])
                self._let_go(trial_id)
                raise self._taken(trial_id, error) from None
            self._outbox.pop(0)

    def _taken(self, trial_id: str, error: Exception) -> Exception:
        """The error about a trial: where a search has come to its end, another worker has run the trial."""
        if isinstance(error, SearchEnded) and self._done:
            return TrialTaken(f"trial {trial_id}: another worker has run it, and the search is over")
        return error

    def _let_go(self, trial_id: str) -> None:
        self._held.discard(trial_id)
        self._outbox = [report for report in self._outbox if report["trial_id"] != trial_id]

    def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: int = 0) -> Trial:
        """Has the chief record metrics of a running trial, the objective among them."""
        if not self.should_report:
            return Trial(self.get_space, status=TrialStatus.RUNNING)
        numbers, step = scoring.reported(metrics, self.objective), plain.step(step)
        self._send_reports()
        answer = self._link.call("update_trial", trial_id=trial_id, metrics=numbers, step=step)
        trial = self.get_trial(trial_id)
        track(trial.metrics, numbers, step, self.objective)
        trial.status = answer["status"]
        return trial

    @synchronized
    def end_trial(self, trial: Trial) -> None:
        """Hands the result of a trial to the chief.

        Raises:
            TrialTaken: the trial was given to another worker meanwhile.
            RuntimeError, ValueError: as on the chief.
        """
        if not self.should_report:
            self._held.discard(trial.trial_id)
            return
        try:
            self._send_reports()
            self._link.call("end_trial", **self._result(trial))
        except SearchEnded as error:
            raise self._taken(trial.trial_id, error) from None
        finally:
            self._let_go(trial.trial_id)
        face = self.trials[trial.trial_id]
        if face is not trial:
            trial.status, trial.score, trial.message = face.status, face.score, face.message
            trial.best_step, trial.variance = face.best_step, face.variance

    def _result(self, trial: Trial) -> dict[str, Any]:
        return {
            "trial_id": trial.trial_id,
            "status": trial.status,
            "message": None if trial.message is None else plain.text(trial.message),
            "executions": executions_data(trial.executions),
            "hyperparameters": space_data(trial.hyperparameters) if trial.looked_at else None,
            "asked": None if trial.asked is None else list(trial.asked),
        }

    def interrupt_trial(self, trial_id: str, reason: str) -> None:
        """Tells the chief that a trial was interrupted; a chief that cannot be reached finds out by itself."""
        trial = self._faces[trial_id]
        if self._link.connected:
            with suppress(Unreachable, SearchEnded, TrialTaken):
                self._send_reports(SHORT)
                self._link.call("interrupt_trial", SHORT, **{**self._result(trial), "message": plain.text(reason)})
        self._let_go(trial_id)
        trial.status, trial.message = TrialStatus.INTERRUPTED, reason

    def update_space(self, hyperparameters: HyperParameters) -> None:
        """Tells the chief of hyperparameters that it may not know."""
        if self.should_report:
            self._link.call("update_space", hyperparameters=space_data(hyperparameters))
            self._take_news()

    def enqueue(self, values: Mapping[str, Any] | HyperParameters) -> None:
        """Has the chief try a configuration before anything is suggested."""
        given = values.values if isinstance(values, HyperParameters) else values
        checked = plain.values(self._definitions.check(given))
        try:
            self._link.call("enqueue", values=checked)
        except SearchEnded:
            if not self._done:
                raise  # else it would not be tried

    def add_observation(self, values: Mapping[str, Any] | HyperParameters, metrics: Mapping[str, Any] | float) -> Trial:
        """Has the chief record a result that was obtained elsewhere."""
        given = values.values if isinstance(values, HyperParameters) else values
        numbers = scoring.reported(metrics, self.objective)
        checked = plain.values(self._definitions.check(given))
        try:
            trial_id = str(self._link.call("add_observation", values=checked, metrics=numbers))
        except SearchEnded:
            known = self._observed().get(self._observation_key(checked, numbers))
            if known is None:
                raise
            trial_id = known
        return self.trials[trial_id]

    # --- the search

    def _begin_search(self) -> None:
        """Attends the chief's search, and waits for the chief if need be."""
        self._searches += 1
        if self._link.closed:
            self._link = self._new_link(str((self._link.over or {}).get("run", "")))
            self._mirror.follow(self._link)
        try:
            self._link.await_news()
        except BaseException:
            self._link.close()
            raise
        self.stop_reason = None
        self._take_news()

    def _pause(self, seconds: float) -> None:
        """Waits until the chief may have something to do."""
        self._link.wait(self._count, seconds)

    def _end_search(self, error: BaseException | None) -> None:
        """Leaves; an error that no other worker would be spared ends the search for all."""
        fatal = isinstance(error, FatalError | MissingDependency)
        with suppress(Unreachable, SearchEnded):
            if self._link.connected:
                text = "".join(traceback.format_exception(error)) if fatal and error is not None else None
                self._link.call("leave", SHORT, fatal=text)
        self._take_news()
        self._link.close()

    # --- what the chief does alone

    def _set_project_dir(
        self,
        directory: str | Path | None,
        project_name: str | None,
        overwrite: bool = False,
        storage: str | None = None,
        durability: Any = None,
    ) -> None:
        """Does nothing: the chief opens the project."""

    def _settle_space(self) -> None:
        """Does nothing: the chief judges the space."""

    def save(self) -> None:
        """Does nothing: the chief records what there is."""

    def reload(self) -> None:
        """Does nothing: the mirror is as fresh as can be."""

    def close(self) -> None:
        """Ends the link."""
        self._link.close()
