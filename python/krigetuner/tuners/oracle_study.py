"""Which study an oracle works on: its options and space, and the ledger that they are recorded in."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from krigetuner.errors import KrigeTunerWarning
from krigetuner.run.ledger import Ledger
from krigetuner.run.observed import Placement
from krigetuner.run.progress import TO_GO_ON
from krigetuner.run.version import version
from krigetuner.space.recorder import HyperParameters
from krigetuner.store.connection import Durability
from krigetuner.store.memory import MemoryStore
from krigetuner.store.replay import SPACE
from krigetuner.trial.history import Origin
from krigetuner.trial.objective import create_objective
from krigetuner.tuners import options, project, scoring
from krigetuner.tuners.internals import OracleInternals
from krigetuner.tuners.search_space import SearchSpace
from krigetuner.tuners.synchronized import synchronized
from krigetuner.tuners.trial import Trial, trial_of

STATE = "oracle"
DERIVED = (
    "ongoing_trials", "hyperparameters", "start_order", "end_order", "run_times", "retry_queue", "seed", "tried_so_far",
    "id_to_hash",
)  # fmt: skip
"""Parts of KerasTuner's oracle state that follow from the record of the trials."""


class OracleStudy(OracleInternals):
    """The part of `Oracle` that opens, records and reloads; see there for the arguments."""

    algorithm_name = "custom"
    _ways_on = TO_GO_ON
    _derived: tuple[str, ...] = DERIVED

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        seed: int | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        *,
        max_time: float | None = None,
        target: float | None = None,
        storage: str | None = None,
        durability: Durability | None = None,
        **unknown: Any,
    ) -> None:
        options.refuse_unknown(type(self), unknown)
        self.objective = create_objective(objective)
        self.max_trials = options.whole_number("max_trials", max_trials, 1, "None means no limit")
        self._definitions = SearchSpace(hyperparameters, allow_new_entries, tune_new_entries)
        self.seed_given = seed is not None
        self.seed = options.seed_or_random(seed)
        retries = options.whole_number("max_retries_per_trial", max_retries_per_trial, 0, "0 runs each once", False)
        self.max_retries_per_trial: int = retries or 0
        self.max_consecutive_failed_trials = options.whole_number(
            "max_consecutive_failed_trials", max_consecutive_failed_trials, 1, "None never gives up"
        )
        self.max_time, self.target = options.time_limit(max_time), options.target_score(target)
        self.storage, self.durability = storage, durability
        self._place: tuple[str | None, Durability | None] = storage, durability
        self._begin_empty()
        super().__init__()

    def _begin_empty(self) -> None:
        """The state before anything is opened."""
        self.trials: dict[str, Trial] = {}
        self.ongoing_trials: dict[str, Trial] = {}
        self.start_order: list[str] = []
        self.end_order: list[str] = []
        self.tuner_ids: set[str] = set()
        self.directory: str | Path | None = None
        self.project_name: str | None = None
        self._begun_in: str | None = None
        self.stop_reason: str | None = None
        self.multi_worker, self.should_report = False, True
        self._begun: float | None = None
        self._searches = 0
        self._ended_here: list[str] = []
        self._origin: Origin | None = None
        self._seen: int | None = None
        self._untold = False
        self._verbose = 1
        self._opened: Ledger | None = None
        self._kept = False
        self._settled = False
        self._uncounted = 0
        self._given: tuple[Any, dict[str, str]] = (None, {})
        self._best: tuple[Trial, float] | None = None
        self._best_in: Any = None
        self._recorded_space: Any = None
        self._recorded_state: Mapping[str, Any] | None = None

    @property
    def verbose(self) -> int:
        """0 is silent; "auto" counts as 1."""
        return self._verbose

    @verbose.setter
    def verbose(self, value: int | str) -> None:
        self._verbose = options.verbosity(value)

    # --- the search space

    @property
    def hyperparameters(self) -> HyperParameters:
        """The search space as it is known now."""
        return self._definitions.recorder

    @hyperparameters.setter
    def hyperparameters(self, hyperparameters: HyperParameters) -> None:
        self._definitions.recorder = hyperparameters

    @property
    def allow_new_entries(self) -> bool:
        """Whether code may ask for hyperparameters that are not known."""
        return self._definitions.allow_new_entries

    @allow_new_entries.setter
    def allow_new_entries(self, allowed: bool) -> None:
        self._definitions.allow_new_entries = allowed

    @property
    def tune_new_entries(self) -> bool:
        """Whether new hyperparameters enter the search, or keep their defaults."""
        return self._definitions.tune_new_entries

    @tune_new_entries.setter
    def tune_new_entries(self, tuned: bool) -> None:
        self._definitions.tune_new_entries = tuned

    def get_space(self) -> HyperParameters:
        """A copy of the search space as it is known now."""
        return self.hyperparameters.copy()

    def update_space(self, hyperparameters: HyperParameters) -> None:
        """Adds the hyperparameters that are not known yet.

        Raises:
            RuntimeError: there are some, and `allow_new_entries` is False.
        """
        self._definitions.add(hyperparameters)
        if self._settled:
            self._definitions.report()
            self._record_space()

    def _begin_search(self) -> None:
        """Restarts the clock of `max_time`."""
        self._searches += 1
        self._begun, self.stop_reason = time.monotonic(), None

    def _look_ahead(self) -> bool:
        """Works out what will be tried next before somebody asks, and says whether it did; not every oracle does."""
        return False

    def _pause(self, seconds: float) -> None:
        """Waits where nothing can be tried yet."""
        time.sleep(seconds)

    def _end_search(self, error: BaseException | None) -> None:
        """Called when a search of a tuner has ended, with the exception that ended it, None for none."""

    def _settle_space(self) -> None:
        """Ends the code's definitions before the first trial: what an earlier run had beside them is judged now."""
        if not self._settled:
            defined = sorted(set(self._definitions.settle()))
            self._settled = True
            if self._ledger.state.initial != defined:  # none at all is something to know too
                self._ledger.save_state(SPACE, {"initial": defined})
        self._record_space()

    def _record_space(self) -> None:
        space = self._definitions.space()
        if space is not self._recorded_space:
            missing = self._definitions.unrecorded(self._ledger.state.parameters.values())
            if missing is not None:
                self._ledger.grow_space(*missing)
            self._recorded_space = space

    # --- the record

    @property
    def _ledger(self) -> Ledger:
        """The record of the study, in memory until there is a project directory."""
        if self._opened is None:
            self._open(Ledger(MemoryStore()), self.project_name or "memory")
        return self._opened  # type: ignore[return-value]

    @synchronized
    def _set_project_dir(
        self,
        directory: str | Path | None,
        project_name: str | None,
        overwrite: bool = False,
        storage: str | None = None,
        durability: Durability | None = None,
    ) -> None:
        """Opens the study in a project directory, and goes on with it if it is there.

        What was recorded in memory is carried over.

        Args:
            directory: of the projects; the present one for None.
            project_name: directory in it; "untitled_project" for None.
            overwrite: removes our own files of an earlier search first.
            storage, durability: as in the constructor, where they must not have been given too.

        Raises:
            ValueError: storage or durability was given twice.
            StudyMismatch: an unrelated search is kept there.
            StoreError: it cannot be written or read; StudyLocked: another process conducts it.
        """
        self._place = (
            options.given_once("storage", self.storage, storage),
            options.given_once("durability", self.durability, durability),
        )
        self._begun_in = project.present_directory()
        self._open_place(directory, project_name, overwrite)

    def _open_place(self, directory: str | Path | None, project_name: str | None, overwrite: bool = False) -> None:
        """Opens the study where it is kept."""
        storage, durability = self._place
        self.directory, self.project_name = project.place(directory, project_name)
        if storage == "memory":
            return
        from krigetuner.store.project import open_store

        path = project.anchored(project.project_path(directory, project_name), self._begun_in)
        store = open_store(path, storage, overwrite, durability or "normal")
        earlier, ledger = self._opened, Ledger(store)
        try:
            if not overwrite:
                project.continue_keras_tuner(ledger, path, self.objective)
            if earlier is None or not earlier.state.position:
                self._open(ledger, self.project_name)
            elif not ledger.state.position:
                ledger.carry_over(earlier)
                self._opened = ledger
            else:
                project.check_carried(earlier)
                self._open(ledger, self.project_name)
                project.repeat(earlier, self)
        except BaseException:
            ledger.close()
            raise
        self._kept = True

    def _open(self, ledger: Ledger, name: str) -> None:
        """Opens the study of a ledger and takes its trials over."""
        known = ledger.state.position > 0
        ledger.open(
            name,
            self.objective,
            self.algorithm_name,
            self._options(),
            backend=self._backend_name(),
            seed=None if known and not self.seed_given else self.seed,
            parameters=self._definitions.configs(),
            version=version(),
        )
        self._opened, self._settled, self._recorded_space = ledger, False, None
        state = ledger.state
        self.seed = self._seed_state = self.seed if state.seed is None else state.seed
        self._definitions.load(state.parameters.values(), state.saved.get(SPACE, {}).get("initial", []))
        if known:
            self._take_over()

    def _take_over(self) -> None:
        """Makes the trials of the record this oracle's."""
        state = self._ledger.state
        self.ongoing_trials, self._id_to_hash, self._tried_so_far = {}, {}, set()
        self.trials = {r.trial_id: trial_of(r, self._definitions, self.objective) for r in state.trials.values()}
        self.start_order = list(self.trials)
        self.end_order = [state.trials[number].trial_id for number in state.ended]
        for record in state.trials.values():
            self._remember(record.trial_id, record.values)
        self._uncounted = sum(not record.counted for record in state.trials.values())
        self._given, self._best, self._best_in = (None, {}), None, None
        if STATE in state.saved:
            self.set_state({**OracleStudy.get_state(self), **state.saved[STATE]})

    def _options(self) -> dict[str, Any]:
        """What is recorded of the options, to be compared when the study is opened again."""
        names = ("max_trials", "max_retries_per_trial", "max_consecutive_failed_trials", "max_time", "target")
        return {name: getattr(self, name) for name in (*names, "allow_new_entries", "tune_new_entries")}

    def _backend_name(self) -> str:
        """The backend that suggestions are made with; empty when none is needed."""
        return ""

    def save(self) -> None:
        """Records the state of a user's own oracle; everything else is recorded when it happens."""
        own = not type(self).get_state.__module__.startswith("krigetuner.")
        state = self.get_state() if own else {"seed_state": self._seed_state}
        kept = {name: value for name, value in state.items() if name not in self._derived}
        if kept != (self._recorded_state or {"seed_state": self.seed}):
            self._ledger.save_state(STATE, kept)
            self._recorded_state = dict(self._ledger.state.saved[STATE])

    def reload(self) -> None:
        """Opens the project directory's study again, as after a restart; in memory it does nothing."""
        if self._opened is not None and self._kept:
            self._opened.close()
            self._opened = None
            self._open_place(self.directory, self.project_name)

    def close(self) -> None:
        """Gives the study back, so that another process may go on with it."""
        if self._opened is not None:
            self._opened.close()

    def get_state(self) -> dict[str, Any]:
        """The state as plain data, in KerasTuner's layout; subclasses add theirs, and get it back after a resume."""
        recorded = self._ledger.state
        return {
            "ongoing_trials": {tuner_id: trial.trial_id for tuner_id, trial in self.ongoing_trials.items()},
            "hyperparameters": self.hyperparameters.get_config(),
            "start_order": list(self.start_order),
            "end_order": list(self.end_order),
            "run_times": {trial_id: trial.attempt + 1 for trial_id, trial in self.trials.items() if trial.attempt >= 0},
            "retry_queue": [recorded.trials[number].trial_id for number in recorded.waiting],
            "seed": self.seed,
            "seed_state": self._seed_state,
            "tried_so_far": sorted(self._tried_so_far),
            "id_to_hash": dict(self._id_to_hash),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what cannot be told from the record; subclasses take over theirs."""
        self._seed_state = state.get("seed_state", self._seed_state)

    def _number(self, trial: Trial) -> int:
        """The trial's count in the study."""
        return self._ledger.state.numbers[trial.trial_id]

    def _planned_trials(self) -> int | None:
        """How many trials the search will have at most, as far as that is known."""
        return self.max_trials

    def _needed_trials(self) -> set[str]:
        """Ids of ended trials whose training another one goes on with, or may still go on with."""
        return set()

    def _counted(self) -> int:
        """How many trials count towards `max_trials`."""
        return len(self.trials) - self._uncounted - self._placement().outside_counted

    def _placement(self) -> Placement:
        """Which trials an earlier definition of the space left outside of the present one."""
        return self._ledger.placement(self._definitions.space())

    def _next_enqueued(self) -> dict[str, Any] | None:
        """The first enqueued values that the space has as it is known now; those before them are refused."""
        while (values := self._ledger.next_enqueued()) is not None:
            try:
                return self._definitions.check(values)
            except ValueError as error:
                if self._definitions.space().contains(values):
                    return values  # a name of another branch, which may have one of its own here
                self._ledger.refuse_enqueued(str(error))
                text = f"enqueue: {values} is not tried: {error}; enqueue it again with values that are allowed"
                warnings.warn(text, KrigeTunerWarning, stacklevel=5)
        return None

    def _observation_key(self, values: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
        """What makes two observations the same: values, defaults for what they lack, and metrics."""
        return self._compute_values_hash({**self._definitions.wanted_values(values), "": sorted(metrics.items())})

    def _observed(self) -> dict[str, str]:
        """The ids of the trials that were observed elsewhere, by what makes them the same in the present space."""
        space = self._definitions.space()
        if self._given[0] is not space:
            given = (record for record in self._ledger.state.trials.values() if not record.counted)
            self._given = space, {self._observation_key(r.values, r.metrics): r.trial_id for r in given}
        return self._given[1]

    def _note_best(self, trial: Trial) -> None:
        """Keeps the best trial at hand, if all those before it have been looked at in the present space."""
        if self._best_in is self._definitions.space() and scoring.may_be_best(trial, self._placement().outside):
            score = float(trial.score or 0.0)
            if self._best is None or self.objective.better_than(score, self._best[1]):
                self._best = trial, score

    def _runs(self, trial: Trial) -> bool:
        """Whether the trial has not ended yet."""
        return trial.number in self._ledger.state.running
