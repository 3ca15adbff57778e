"""The tuner of Keras models."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from krigetuner.adapters import keras as adapter
from krigetuner.adapters import keras_2_weights
from krigetuner.adapters.checkpoints import BEST, BUILD, Checkpoints
from krigetuner.adapters.context import present_context
from krigetuner.adapters.fit_source import history_keywords
from krigetuner.adapters.folds import check_folds, checked_cv, split_folds
from krigetuner.adapters.tensorboard import separate_logs
from krigetuner.adapters.training import Training
from krigetuner.errors import FatalError, KrigeTunerWarning, StoreError
from krigetuner.run.keras_tuner_project import foreign_trials
from krigetuner.run.network.role import tuner_id as present_id
from krigetuner.store.artifacts import ROOT, trial_directory
from krigetuner.store.connection import Durability
from krigetuner.trial.budget import EPOCHS
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.hooks import Hooks, report_epoch
from krigetuner.tuners.hypermodel import HyperModel
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial

VALIDATION = {"validation_data", "validation_split"}
KEPT = 10
"""With keep_checkpoints="best", the weights of so many of the best trials are kept."""


class Tuner(BaseTuner):
    """Builds, trains, checkpoints and loads Keras models. Subclass it to change how a trial runs.

    Args:
        oracle: decides what to try.
        hypermodel: a `HyperModel`, or a function `build(hp)` that returns a compiled model; may be left out when
            `run_trial` is overridden.
        max_model_size: most trainable scalars; larger models fail their trial. None for no limit. A model that is built
            by its first batch, without an `Input`, cannot be counted before and is let through.
        optimizer, loss, metrics: replace those that the hypermodel compiles with.
        distribution_strategy: a `tf.distribute.Strategy` under which models are built and loaded.
        directory, project_name, overwrite, storage, durability: as for `BaseTuner`.
        logger: told of the search and its trials; see `Logger`.
        tuner_id: names this tuner among several; default KERASTUNER_TUNER_ID, else "tuner0".
        executions_per_trial: trainings per trial; the mean counts, and the spread is its uncertainty.
        cv: cross-validation instead of validation data: a number of folds (shuffled, always the same), a splitter of
            scikit-learn, or an iterable of pairs (training rows, validation rows). Each fold is an execution: the
            folds' mean is the score, and their spread its uncertainty. `search` takes x, y, `sample_weight` and
            `groups`. The weights that are kept are those of the best fold, which has not seen all of the data: train
            the best hyperparameters on all of it in the end, for about `trial.best_step + 1` epochs.
        keep_checkpoints: "best" keeps the best weights of the ten best trials, "all" those of every trial.

    Raises:
        ValueError: as `BaseTuner`; no hypermodel although `run_trial` is not overridden; a bad `keep_checkpoints` or
            `cv`.
        FatalValueError: the hypermodel is neither callable nor a `HyperModel`.
    """

    def __init__(
        self,
        oracle: Oracle,
        hypermodel: Any = None,
        max_model_size: int | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        distribution_strategy: Any = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        logger: Any = None,
        tuner_id: str | None = None,
        overwrite: bool = False,
        executions_per_trial: int = 1,
        *,
        cv: Any = None,
        keep_checkpoints: Literal["best", "all"] = "best",
        storage: str | None = None,
        durability: Durability | None = None,
        **kwargs: Any,
    ) -> None:
        if hypermodel is None and type(self).run_trial is Tuner.run_trial:
            raise ValueError(
                f"Received `hypermodel=None`: {type(self).__name__} expected a hypermodel, or a subclass that defines "
                "run_trial(); pass a function build(hp) or a HyperModel"
            )
        if keep_checkpoints not in ("best", "all"):
            raise ValueError(
                f'keep_checkpoints: expected "best" or "all", got {keep_checkpoints!r}; leave it out for "best"'
            )
        if (
            isinstance(executions_per_trial, bool)
            or not isinstance(executions_per_trial, int)
            or executions_per_trial < 1
        ):
            raise ValueError(
                f"executions_per_trial: expected a whole number of at least 1, got {executions_per_trial!r}; "
                "leave it out for 1"
            )
        self.max_model_size = max_model_size
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.distribution_strategy = distribution_strategy
        self.executions_per_trial = executions_per_trial
        self._folding = checked_cv(cv)
        self.keep_checkpoints = keep_checkpoints
        self.tuner_id = tuner_id or present_id()
        self._training: Training | None = None
        self._kept: set[str] | None = None
        self._told = False
        place: dict[str, Any] = {"storage": storage, "durability": durability}
        super().__init__(oracle, hypermodel, directory, project_name, overwrite, **place, logger=logger, **kwargs)
        extended: Any = getattr(distribution_strategy, "extended", None)
        if hasattr(extended, "_in_multi_worker_mode"):
            self.oracle.multi_worker = extended._in_multi_worker_mode()
            self.oracle.should_report = extended.should_checkpoint

    # --- building ------------------------------------------------------------------------------------------------

    def _build_hypermodel(self, hp: Any) -> Any:
        """One model, compiled with what the tuner was given."""
        with adapter.in_scope(self.distribution_strategy):
            model = self.hypermodel.build(hp)
            if isinstance(model, adapter.keras_module().Model):
                adapter.compile_again(model, self.optimizer, self.loss, self.metrics)
            return model

    def _asks_only_in_build(self) -> bool:
        own = type(self)
        trains = own.run_trial is Tuner.run_trial and own._build_and_fit_model is Tuner._build_and_fit_model
        return trains and type(self.hypermodel).fit is HyperModel.fit

    def _try_build(self, hp: Any) -> Any:
        """One model, checked, in a fresh Keras session."""
        adapter.fresh_session()
        context = present_context()
        if context is not None:
            adapter.seed_training(context.seed, context.execution)
        return adapter.checked_model(self._build_hypermodel(hp), self.max_model_size)

    # --- running -------------------------------------------------------------------------------------------------

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Runs trials until the oracle stops; see `BaseTuner.search`.

        Args:
            *fit_args: for `HyperModel.fit`: x and y, or whatever it takes.
            **fit_kwargs: `workers` and the others of `BaseTuner.search`, which say where trials run; the rest is for
                `HyperModel.fit`: `validation_data`, `epochs`, `callbacks`, ...; under cross-validation no validation
                data, and `groups` where the splitter needs them.

        Raises:
            FatalValueError: the data cannot be split into folds; before anything is trained.
        """
        if self._folding is not None and type(self).run_trial is Tuner.run_trial:
            check_folds(self._folding, fit_args, fit_kwargs)
        super().search(*fit_args, **fit_kwargs)

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Builds and fits the model, `executions_per_trial` times, under cross-validation for every fold.

        Args:
            trial: has the hyperparameters.
            *args: for `HyperModel.fit`.
            **kwargs: for `HyperModel.fit`; `callbacks` are copied for every execution.

        Returns:
            The results of the executions: Histories, or what `HyperModel.fit` returned.
        """
        originals = kwargs.pop("callbacks", [])
        folds, context = split_folds(self._folding, args, kwargs), present_context()
        files = self._placed_files(trial.trial_id)
        # a subclass may call this for several parts of the data
        before = 0 if context is None else len(context.results)
        layout = f"{folds.digest}+{before}" if before else folds.digest
        if before:
            files.remove_state()
        training = self._training = Training(self.oracle.objective, files, context, layout)
        results = training.finished()
        try:
            for count in range(len(results), self.executions_per_trial * len(folds)):
                execution = before + count
                callbacks = self._deepcopy_callbacks(originals)
                training.begin(execution, list(callbacks))
                self._configure_tensorboard_dir(callbacks, trial, execution)
                callbacks += Hooks(self, trial, training).callbacks()
                own, named = folds.arguments(count % len(folds))
                named |= {**self._budget(trial, training, named), "callbacks": callbacks}
                result = self._build_and_fit_model(trial, *own, **named)
                training.end(result)
                results.append(result)
            if os.environ.get(ROOT):  # files that are sent from here; else once the end is recorded, which may fail
                training.files.remove_state()
        except (StoreError, FatalError):
            raise  # the search's trouble: the trial will go on from here
        except Exception:
            training.files.remove_state()
            raise
        finally:
            self._training = None
        if context is not None:
            context.results += results
        return results

    def _budget(self, trial: Trial, training: Training, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of an execution's fit that the oracle decides in place of `kwargs`: how long to train."""
        epochs = trial.hyperparameters._values.get(EPOCHS)
        if epochs not in (None, kwargs.get("epochs")) and not self._told:
            self._told = True
            warnings.warn(
                f"oracle: expected a tuner that trains each trial as long as {type(self.oracle).__name__} says, got "
                f"{type(self).__name__}; use Hyperband, or define run_trial() and train to hyperparameters[{EPOCHS!r}]",
                KrigeTunerWarning,
                stacklevel=2,
            )
        return {}

    def _build_and_fit_model(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """One execution: builds, fits, and returns what `HyperModel.fit` returned. Overridden by AutoKeras."""
        hp = trial.hyperparameters
        model = self._try_build(hp)
        training = self._training
        if training is not None:
            self._check_objective(model, training, kwargs)
        with adapter.bars_off(not kwargs.get("verbose")):
            result = self.hypermodel.fit(hp, model, *args, **kwargs)
        if model.built:  # for a run_trial of the user's own, too, which may save weights where `load_model` finds them
            self._files(trial.trial_id).save_build(model)
        if training is not None:
            training.save_unwatched(model, result)
        return result

    def _check_objective(self, model: Any, training: Training, kwargs: Mapping[str, Any]) -> None:
        """Refuses an objective that the training will not log, as early as that can be known.

        Raises:
            FatalValueError: before the first epoch; or after it, when callbacks or the model's own code may add logs.
        """
        objective, callbacks = self.oracle.objective, kwargs.get("callbacks", [])[: training.users]
        own = history_keywords(self.hypermodel.fit)
        if own is None or adapter.redefines(model, ["fit"]):  # may compute the objective; what it returns is checked
            return
        if not own & VALIDATION:
            adapter.check_validation(objective, kwargs)
        if "callbacks" not in own:
            validation = adapter.has_validation(kwargs) or bool(own & VALIDATION)
            adapter.check_metrics(objective, model, callbacks, validation)
        if "validation_freq" not in own and not adapter.act_at_the_end(callbacks):
            training.after_epoch = lambda metrics: adapter.check_epoch(objective, metrics, kwargs)

    def _deepcopy_callbacks(self, callbacks: Any) -> list[Any]:
        """Copies of the user's callbacks."""
        return adapter.copied_callbacks(callbacks)

    def _configure_tensorboard_dir(self, callbacks: list[Any], trial: Trial, execution: int = 0) -> None:
        """Gives TensorBoard callbacks their own directory, and adds one that logs the hyperparameters."""
        callbacks += separate_logs(callbacks, trial.trial_id, execution, trial.hyperparameters)

    # --- weights -------------------------------------------------------------------------------------------------

    def _files(self, trial_id: str) -> Checkpoints:
        return Checkpoints(trial_directory(self.project_dir, trial_id))

    def _places_weights(self) -> bool:
        """Whether a subclass says where the best weights of trials lie; those are its own to remove.

        One that must be told a step, as in KerasTuner 1.0, speaks of other weights.
        """
        if type(self)._get_checkpoint_fname is Tuner._get_checkpoint_fname:
            return False
        step = inspect.signature(self._get_checkpoint_fname).parameters.get("step")
        return step is None or step.default is not step.empty

    def _placed_files(self, trial_id: str) -> Checkpoints:
        """The files of a trial, its best weights where a subclass has them."""
        files = self._files(trial_id)
        if self._places_weights():
            files.best = Path(self._get_checkpoint_fname(trial_id))
        return files

    def _get_checkpoint_fname(self, trial_id: str, step: int = 0) -> str:
        """Where the best weights of a trial lie, for subclasses that write or read them, or want them elsewhere.

        Its directory exists.
        """
        return str(trial_directory(self.project_dir, trial_id, create=True) / BEST)

    def _get_build_config_fname(self, trial_id: str) -> str:
        """Where the shapes lie that a trial's model is built from."""
        return str(trial_directory(self.project_dir, trial_id, create=True) / BUILD)

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Saves the weights as the trial's best, unless the metrics of the step are known and others are better.

        For `run_trial` of a subclass that trains by itself, before or after it reports the step's metrics.
        """
        files, known = self._settled(trial_id)
        if step not in known:
            files.save_candidate(model, step)
        elif known[step]:
            files.save_best(model)

    def _settled(self, trial_id: str) -> tuple[Checkpoints, dict[int | float, bool]]:
        """A trial's files, after weights that were saved before their step's metrics were; which step is the best."""
        files, trial, name = self._placed_files(trial_id), self.oracle.trials.get(trial_id), self.oracle.objective.name
        known: dict[int | float, bool] = {}
        if trial is not None and trial.metrics.exists(name):
            best = trial.metrics.get_best_step(name)
            known = {o.step: o.step == best for o in trial.metrics.get_history(name)}
        files.settle(lambda step: not known.get(step, True))
        return files, known

    def load_model(self, trial: Trial) -> Any:
        """The trial's model with its best weights, compiled.

        Raises:
            FileNotFoundError: they were not saved or not kept; an untrained model is never returned.
        """
        files, _ = self._settled(trial.trial_id)
        older = None if files.best.exists() else keras_2_weights.find(files.directory, int(trial.best_step or 0))
        if older is not None:
            model = self._try_build(trial.hyperparameters)
            keras_2_weights.load(model, older)
            return model
        if not files.best.exists():
            raise FileNotFoundError(
                f"load_model: expected the weights of trial {trial.trial_id} in {files.best}, got no such file; "
                f'keep_checkpoints="best" keeps those of the {KEPT} best trials and "all" of every trial, and '
                "HyperModel.fit must hand its callbacks to model.fit"
            )
        model = self._try_build(trial.hyperparameters)
        with adapter.in_scope(self.distribution_strategy):
            files.load_best(model)
        return model

    def on_trial_end(self, trial: Trial) -> None:
        """Records the trial's end, and removes weights that are not worth keeping."""
        try:
            super().on_trial_end(trial)
        finally:
            self._remove_worse(trial.trial_id)

    def _forget(self, trial_id: str) -> None:
        self._files(trial_id).remove_state()

    def _remove_worse(self, trial_id: str) -> None:
        """Removes what trials that have ended need no more: where they stood, and weights but for the best ones'.

        Weights that another trial goes on from stay.
        """
        state, needed = self.oracle._ledger.state, self.oracle._needed_trials()
        kept = needed | {t.trial_id for t in self.oracle.get_best_trials(KEPT)}
        if self._kept is None:
            self._kept = {state.trials[number].trial_id for number in state.ended}
        ended, outside = {TrialStatus.COMPLETED, TrialStatus.FAILED}, self.oracle._placement().outside
        parent = state.trials[state.numbers[trial_id]].origin.parent
        ours = {trial_id, trial_id if parent is None else parent}
        kept |= foreign_trials(state.saved) & state.numbers.keys()
        for other in (self._kept - needed) | ours:
            number, files = state.numbers[other], self._placed_files(other)
            if state.trials[number].status not in ended:
                continue
            files.remove_state()
            if other not in needed and number not in outside:  # those may lie inside again
                files.remove_last()
                if self.keep_checkpoints == "best" and other not in kept and not self._places_weights():
                    files.remove_best()
        self._kept = kept

    # --- hooks ---------------------------------------------------------------------------------------------------

    def on_batch_begin(self, trial: Trial, model: Any, batch: int, logs: Mapping[str, Any] | None) -> None:
        """Called at the begin of a training batch."""

    def on_batch_end(self, trial: Trial, model: Any, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Called at the end of a training batch."""

    def on_epoch_begin(self, trial: Trial, model: Any, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Called at the begin of an epoch."""

    def on_epoch_end(self, trial: Trial, model: Any, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Called at the end of an epoch, before it is recorded and checkpointed.

        A training loop in a `run_trial` of one's own may call it by hand: the epoch is recorded then, and the model
        saved; a model whose `stop_training` is set afterwards should train no further.
        """
        if self._training is None:
            report_epoch(self, trial, model, epoch, logs)
