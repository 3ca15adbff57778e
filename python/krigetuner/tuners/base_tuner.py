"""The part of a tuner that knows no framework: a search over an oracle, its hooks and its results."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from krigetuner.errors import KrigeTunerWarning
from krigetuner.run.executor import Executor
from krigetuner.run.local.resources import leaving_gpus
from krigetuner.run.loop import Loop
from krigetuner.run.network.role import is_chief_oracle, present_role, tuner_id
from krigetuner.run.progress import Progress, Shown, mode_for, show, tell_interrupted
from krigetuner.store.artifacts import rooted, trial_directory
from krigetuner.trial.trial import TrialRecord
from krigetuner.tuners import project, summaries
from krigetuner.tuners.discovery import discover
from krigetuner.tuners.hypermodel import as_hypermodel
from krigetuner.tuners.news import warn_of_logger
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.search_options import SearchOptions
from krigetuner.tuners.study import TunerStudy
from krigetuner.tuners.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

    from krigetuner.space.recorder import HyperParameters
    from krigetuner.store.connection import Durability


class BaseTuner:
    """Runs the trials of an oracle. Subclass it and define `run_trial` to tune anything.

    The constructor finds the search space by building the hypermodel, then opens the project: a search that is recorded
    in it goes on.

    Args:
        oracle: decides what to try.
        hypermodel: a `HyperModel`, or a function `build(hp)`; may be left out when `run_trial` does not use it.
        directory: where projects lie; default ".".
        project_name: the project's directory in it; default "untitled_project".
        overwrite: True forgets what is recorded there, and removes our own files only.
        storage: None for a database in the project directory, "memory", or an SQLAlchemy URL.
        durability: "full" has every record survive a power cut too; None is "normal", which survives a crash.
        **kwargs: `logger`, an object that is told of the search and its trials; see `Logger`.

    Raises:
        ValueError: `oracle` is not an `Oracle`, an argument is not known, or `storage` or `durability` was given to the
            oracle too.
        StudyMismatch: the project holds an unrelated search.
        StoreError: the project cannot be opened.
    """

    def __init__(
        self,
        oracle: Oracle,
        hypermodel: Any = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        *,
        storage: str | None = None,
        durability: Durability | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(oracle, Oracle):
            raise ValueError(
                f"Expected `oracle` argument to be an instance of `Oracle`, got {oracle!r} of type "
                f"{type(oracle).__name__}; make one, for instance RandomSearchOracle(objective=...)"
            )
        self.logger = kwargs.pop("logger", None)
        warn_of_logger(self.logger)
        if kwargs:
            raise ValueError(
                f"Unrecognized arguments {sorted(kwargs)} for {type(self).__name__}; arguments of the training belong "
                "into search()"
            )
        self.oracle = oracle
        self.hypermodel = as_hypermodel(hypermodel)
        self.directory, self.project_name = project.place(directory, project_name)
        self._begun_in = project.present_directory()
        self.tuner_id = getattr(self, "tuner_id", None) or tuner_id()
        self._open(overwrite, storage, durability)

    def _open(self, overwrite: bool, storage: str | None, durability: Durability | None) -> None:
        """The one step of the constructor that does work: builds, then opens the project."""
        self._populate_initial_space()
        role = present_role()
        if role.kind == "worker":
            from krigetuner.tuners.network.remote_oracle import follow_chief

            follow_chief(self.oracle, role, Path(self.project_dir))
            return
        place: dict[str, Any] = {"storage": storage, "durability": durability}  # an overridden one may know neither
        given = {name: value for name, value in place.items() if value is not None}
        self.oracle._set_project_dir(self.directory, self.project_name, overwrite=overwrite, **given)
        self.oracle._settle_space()
        state = self.oracle._ledger.state.saved.get(self._state_key)
        if state is not None:
            self.set_state(state)

    def _populate_initial_space(self) -> None:
        """Finds the search space by building; overridden by tuners that know it only when they see the data."""
        if self.hypermodel is not None:
            with leaving_gpus():  # trials in other processes need them
                discover(self.hypermodel, self.oracle)
            self.oracle._definitions.whole = self._asks_only_in_build()

    def _asks_only_in_build(self) -> bool:
        """Whether building shows all hyperparameters: nothing that the user wrote runs after it in a trial."""
        return False

    # --- the search ----------------------------------------------------------------------------------------------

    def search(
        self,
        *fit_args: Any,
        workers: int | Literal["auto"] | None = None,
        executor: Any = None,
        trial_timeout: float | None = None,
        isolate_trials: bool = False,
        gpus_per_trial: float | None = None,
        cpus_per_trial: int | None = None,
        **fit_kwargs: Any,
    ) -> None:
        """Runs trials until the oracle stops; Ctrl-C and SIGTERM leave a search that can be resumed.

        Args:
            *fit_args: for `run_trial`, such as the training data.
            workers: so many trials at the same time, each in a process of its own; "auto" for as many as there are
                GPUs or cores for. None runs them in this process, one after the other. `run_trial` does not get this
                argument, nor the following ones.
            executor: "processes", "ray", or an executor such as `RayExecutor(...)`, which is closed in the end.
            trial_timeout: seconds after which a trial is ended and has failed.
            isolate_trials: a fresh process for each trial, which gives back all the memory that it took.
            gpus_per_trial, cpus_per_trial: what each trial has for itself; 0.5 GPUs is half of one.
            **fit_kwargs: for `run_trial`; `verbose` also sets how much is shown: 0 nothing, 1 or 2 two lines per trial;
                left out or "auto" a live display in terminals and notebooks, elsewhere failures and a closing line.

        Raises:
            RuntimeError: too many trials failed one after the other.
            ValueError: `verbose`, or an argument that says where trials run, is none of those; or it was given where
                KERASTUNER_ORACLE_IP names a chief.
            TypeError: the tuner or an argument cannot be sent to another process.
            FatalError: user code asked for the end of the search.
        """
        options = SearchOptions(workers, executor, trial_timeout, isolate_trials, gpus_per_trial, cpus_per_trial)
        if type(self).run_trial is BaseTuner.run_trial:
            raise NotImplementedError(f"run_trial: expected {type(self).__name__} to define it; it runs one trial")
        if not options.plain and present_role().kind != "alone":
            raise ValueError(
                f"search: expected no {options.given()[0]} where KERASTUNER_ORACLE_IP names a chief, whose workers "
                "are processes of their own; start more of them, or unset KERASTUNER_ORACLE_IP"
            )
        if "verbose" in fit_kwargs:
            self.oracle.verbose = fit_kwargs["verbose"]
        with closing(options.make_executor(Path(self.project_dir).absolute())) as runner:
            single = runner.capacity == 1 and options.single  # a machine that lacks what it takes says so here
            self.oracle._begin_search()
            progress = self._progress(fit_kwargs)
            if is_chief_oracle():
                self._serve(progress)
            else:
                study = TunerStudy(self, fit_args, fit_kwargs, progress, single, trial_timeout)
                self._conduct(study, runner, progress)

    def _conduct(self, study: TunerStudy, executor: Executor, progress: Progress) -> None:
        """The search of a process that decides itself what to try."""
        study.news.search_begins()
        self.on_search_begin()
        reason, ended_by = "", None
        progress.open()
        try:
            reason = Loop(study, executor, self.oracle._pause).run()
        except BaseException as error:
            reason, ended_by = type(error).__name__ if isinstance(error, Exception) else "", error
            raise
        finally:
            progress.close(reason)
            if not reason:  # KeyboardInterrupt, SystemExit
                tell_interrupted(study.interrupted, self.oracle._ways_on)
            study.news.search_ended()
            self.oracle._end_search(ended_by)
        self.on_search_end()
        if not self.oracle.get_best_trials(1):
            why = summaries.nothing_completed(self.oracle)
            warnings.warn(
                f"search: expected at least one completed trial, got none: {why}. Correct the cause and search again; "
                "results() has the reason of every failure",
                KrigeTunerWarning,
                stacklevel=3,
            )

    def _serve(self, progress: Progress) -> None:
        """The chief's search: workers run the trials until the oracle stops."""
        from krigetuner.tuners.network.chief import serve

        self.save()
        serve(self.oracle, present_role(), progress, Path(self.project_dir))

    def _progress(self, fit_kwargs: Mapping[str, Any]) -> Progress:
        """The display of one search."""
        mode = "silent" if not self.oracle.verbose else mode_for(fit_kwargs.get("verbose"))
        ended = sum(1 for n in self.oracle._ledger.state.ended if self.oracle._ledger.state.trials[n].counted)
        progress = Progress(mode, Shown(self.oracle.objective.name, total=self.oracle._planned_trials(), ended=ended))
        for trial in self.oracle.get_best_trials(1):
            progress.best(trial.score, trial.trial_id, trial.hyperparameters.values)
        return progress

    def _training_seed(self, record: TrialRecord) -> int | None:
        """Base of the seeds of one attempt's training; None when the user gave no seed."""
        if not self.oracle.seed_given:
            return None
        seed = int(self.oracle.seed)
        words = [abs(seed), record.number, record.failures, int(seed < 0)]
        return int(np.random.SeedSequence(words).generate_state(1)[0])

    def run_trial(self, trial: Trial, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Evaluates `trial.hyperparameters`.

        Returns:
            A number (the objective), a dict of metrics, a History, or a list of those, one per execution.
        """
        raise NotImplementedError

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Saves the model of a trial; `step` is the epoch it has reached."""
        raise NotImplementedError(f"save_model: expected {type(self).__name__} to define it")

    def load_model(self, trial: Trial) -> Any:
        """Loads the model that was saved for a trial."""
        raise NotImplementedError(f"load_model: expected {type(self).__name__} to define it")

    # --- hooks ---------------------------------------------------------------------------------------------------

    def pre_create_trial(self) -> None:
        """Called before the oracle is asked for a trial."""

    def on_trial_begin(self, trial: Trial) -> None:
        """Called before a trial runs."""

    def on_trial_end(self, trial: Trial) -> None:
        """Called after a trial ran: records its end, then saves the tuner's state."""
        self.oracle._conclude(trial)
        self.save()

    def _forget(self, trial_id: str) -> None:
        """Removes what a further attempt at a trial would go on from, whether or not `on_trial_end` is overridden."""

    def on_search_begin(self) -> None:
        """Called at the begin of `search`."""

    def on_search_end(self) -> None:
        """Called at the end of `search`, not after an exception."""

    # --- runs in other processes

    def __getstate__(self) -> dict[str, Any]:
        """What a process needs that runs trials: not the logger, and a directory that does not depend on its own."""
        place = project.anchored(Path(self.directory), self._begun_in).absolute()
        return {**vars(self), "directory": str(place), "logger": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Arrives in such a process, on whose machine the directory may have another place."""
        vars(self).update(state)
        self.directory = str(rooted(self.directory))

    def _findings(self) -> Mapping[str, Any]:
        """What runs in a worker process have left in this tuner that the one which searches must know, plain data."""
        return {}

    def _learn(self, findings: Mapping[str, Any]) -> None:
        """Takes over the findings of a run in another process."""

    def __deepcopy__(self, memo: dict[int, Any]) -> BaseTuner:
        """The tuner itself: callbacks that hold it, of which every execution gets copies, mean this one."""
        return self

    # --- what is known -------------------------------------------------------------------------------------------

    def enqueue(self, values: Mapping[str, Any] | HyperParameters) -> None:
        """Tries these values before anything that the oracle suggests; parameters left out take their defaults."""
        self.oracle.enqueue(values)

    def add_observation(
        self, values: Mapping[str, Any] | HyperParameters, metrics: Mapping[str, float] | float
    ) -> None:
        """Records a result obtained elsewhere as a completed trial that does not count towards max_trials."""
        self.oracle.add_observation(values, metrics)

    def results(self) -> pd.DataFrame:
        """A table of all trials, one row each."""
        table: pd.DataFrame = self.oracle.results()
        return table

    def history(self, trial_id: str | None = None) -> pd.DataFrame:
        """A table of the metrics of every epoch and execution, of one trial or of all; see `Oracle.history`."""
        table: pd.DataFrame = self.oracle.history(trial_id)
        return table

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """The models of the best completed trials, best first; fewer when fewer completed.

        Raises:
            RuntimeError: trials were run and none completed; the message has the last failure's reason.
        """
        best = self.oracle.get_best_trials(num_models)
        if not best and self.oracle.trials and num_models > 0:
            why = summaries.nothing_completed(self.oracle)
            raise RuntimeError(f"get_best_models: expected at least one completed trial, got none: {why}; search again")
        return [self.load_model(trial) for trial in best]

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """The hyperparameters of the best completed trials, best first; fewer when fewer completed."""
        return [trial.hyperparameters for trial in self.oracle.get_best_trials(num_trials)]

    def search_space_summary(self, extended: bool = False) -> None:
        """Shows the search space; `extended` adds the defaults."""
        show(summaries.space(self.oracle.get_space(), extended))

    def results_summary(self, num_trials: int = 10) -> None:
        """Shows the best trials, and those that failed in one line."""
        show(summaries.results(self.oracle, self.project_dir, num_trials))

    @property
    def remaining_trials(self) -> int | None:
        """How many trials are left; None without max_trials."""
        return self.oracle.remaining_trials()

    @property
    def project_dir(self) -> str:
        """The project's directory."""
        return str(project.anchored(Path(self.directory) / self.project_name, self._begun_in))

    def get_trial_dir(self, trial_id: str) -> str:
        """The directory of a trial's files, made when it does not exist; an id that is no string goes by its text."""
        name = trial_id if isinstance(trial_id, str) else re.sub(r"\W+", "_", str(trial_id))
        return str(trial_directory(self.project_dir, name, create=True))

    # --- state of subclasses -------------------------------------------------------------------------------------

    @property
    def _state_key(self) -> str:
        return f"tuner/{self.tuner_id}"

    def get_state(self) -> dict[str, Any]:
        """What a subclass wants to find again after a resume, as plain data."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `get_state` gave in an earlier process."""

    def save(self) -> None:
        """Records the tuner's state; trials and their results are recorded anyway, as they happen."""
        state = self.get_state()
        if state and state != self.oracle._ledger.state.saved.get(self._state_key):
            self.oracle._ledger.save_state(self._state_key, state)
        self.oracle.save()

    def reload(self) -> None:
        """Takes the recorded state over again."""
        self.oracle.reload()
        state = self.oracle._ledger.state.saved.get(self._state_key)
        if state is not None:
            self.set_state(state)
