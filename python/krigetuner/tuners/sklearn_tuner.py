"""The tuner of scikit-learn models: cross-validated trials, and the best model refitted on all of the data."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from krigetuner.adapters import sklearn_files as files
from krigetuner.adapters.context import present_context
from krigetuner.adapters.cross_validation import REFIT, CrossValidation
from krigetuner.adapters.function import names_of
from krigetuner.adapters.sklearn import checked_estimator
from krigetuner.adapters.sklearn_samples import sklearn_module
from krigetuner.adapters.sklearn_scoring import Measures
from krigetuner.errors import FatalTypeError, FatalValueError, KrigeTunerWarning, MissingDependency
from krigetuner.run.network.role import present_role
from krigetuner.run.progress import Progress
from krigetuner.store.artifacts import trial_directory
from krigetuner.trial.objective import DefaultObjective
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial, objective_directions


class SklearnTuner(BaseTuner):
    """Finds hyperparameters of scikit-learn models by cross-validation.

    Each fold is one execution of the trial: the mean of a metric counts, and the spread of the score over the folds is
    its uncertainty. All trials are scored on the same folds.

    Args:
        oracle: decides what to try; its objective is `Objective("score", "max")`, or the name of one of `metrics`.
        hypermodel: a function `build(hp)`, or a `HyperModel`, that returns an estimator: of any family, or a pipeline.
        scoring: None for the estimator's own score, the name of a scorer such as "roc_auc", a scorer, or a function
            (model, X, y, sample_weight=...); families with different own scores need one.
        metrics: further ones to record: functions (y_true, y_pred, sample_weight=...), scorers, or names of either;
            one, a list, or a dict of them by name.
        cv: a splitter, a number of folds (stratified for classifiers), or an iterable of (train, test) row numbers;
            None for five shuffled folds.
        refit: whether the best model is fitted on all of the data at the end of the search, and stored.
        model_format: of stored models: "skops", or "joblib", which is a pickle and runs code when it is loaded.
        trusted: full names of types that may be made when a model is loaded by skops.
        **kwargs: of `BaseTuner`.

    Raises:
        MissingDependency: scikit-learn is not installed.
        ValueError: as `BaseTuner`; no hypermodel; `scoring`, `metrics`, `cv` or `model_format` is none of the above.
        FatalValueError, FatalTypeError: the objective is nothing that is recorded, or was left out.
    """

    def __init__(
        self,
        oracle: Oracle,
        hypermodel: Any,
        scoring: Any = None,
        metrics: Any = None,
        cv: Any = None,
        *,
        refit: bool = True,
        model_format: files.ModelFormat = "skops",
        trusted: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        sklearn_module()
        if hypermodel is None and type(self).run_trial is SklearnTuner.run_trial:
            raise ValueError(
                f"Received `hypermodel=None`: {type(self).__name__} expected a function build(hp) or a HyperModel that "
                "returns an estimator, or a subclass that defines run_trial()"
            )
        self.scoring = scoring
        self.metrics = [] if metrics is None else list(metrics) if isinstance(metrics, list | tuple) else [metrics]
        self._measures = Measures(scoring, metrics)
        self._validation = CrossValidation(cv, self._measures)
        self.cv = self._validation.cv
        self.refit = bool(refit)
        self.model_format = files.checked_format(model_format)
        self.trusted = trusted
        self._models: dict[str, Any] = {}
        self._saved: dict[str, list[str]] = {}
        self._saving: str | None = None
        self._verbose: Any = None
        if isinstance(oracle, Oracle):
            self._check_objective(oracle)
        super().__init__(oracle, hypermodel, **kwargs)
        self._direct(self.oracle.trials.values())

    def _check_objective(self, oracle: Oracle) -> None:
        """Refuses an objective that no trial will have, and warns of one that points the wrong way."""
        if type(self).run_trial is not SklearnTuner.run_trial:
            return
        objective, known = oracle.objective, self._measures
        if isinstance(objective, DefaultObjective):
            raise FatalTypeError(
                "objective: expected Objective('score', 'max') or the name of one of `metrics`, got none; give the "
                "oracle objective=Objective('score', 'max')"
            )
        missing = [name for name in names_of(objective) if name not in known.names]
        if missing:
            raise FatalValueError(
                f"objective: expected one of {known.names}, got {missing}; give the oracle "
                "objective=Objective('score', 'max'), or record the metric: metrics=[...]"
            )
        for name, direction in objective_directions(objective).items():
            if known.directions.get(name, direction) != direction:
                better = "greater" if direction == "min" else "smaller"
                _warn(f"objective: expected a direction by which {better} is better for {name!r}, got {direction!r}")
        if oracle.algorithm_name == "hyperband":
            _warn("oracle: expected one whose trials do not differ in epochs, got Hyperband; every trial is run whole")

    def _asks_only_in_build(self) -> bool:
        return type(self).run_trial is SklearnTuner.run_trial

    # --- searching -----------------------------------------------------------------------------------------------

    def search(  # type: ignore[override]
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, **kwargs: Any
    ) -> None:
        """Runs trials until the oracle stops, then fits the best model on all of the data and stores it.

        Args:
            X: (n, features): ndarray, DataFrame, sparse matrix, or a list of samples.
            y: (n,) or (n, outputs): ndarray, Series, DataFrame or list; None for estimators without a target.
            sample_weight: (n,) for the fits, the score and the metrics. In a pipeline it goes to the last step; with
                metadata routing enabled, where that is requested. A warning names what cannot take it.
            groups: (n,) labels for splitters such as GroupKFold.
            **kwargs: `verbose` and the others of `BaseTuner.search`.

        Raises:
            ValueError: lengths differ, or `cv` cannot split this data.
            TypeError: an argument is not known.
            RuntimeError: too many trials failed one after the other.
        """
        known = {"verbose", *inspect.signature(BaseTuner.search).parameters} - {"self", "fit_args", "fit_kwargs"}
        unknown = sorted(set(kwargs) - known)
        if unknown:
            raise TypeError(
                f"search: expected X, y, sample_weight, groups, {', '.join(sorted(known))}, got {unknown}; drop it"
            )
        self._verbose = kwargs.pop("verbose", None)
        if self._verbose is not None:
            self.oracle.verbose = self._verbose
        self._validation.data = None  # the same objects may hold other values by now
        self._validation.take(X, y, sample_weight, groups)
        self._models.clear()
        if self.refit and self.model_format == "skops":
            try:
                files.skops_io()
            except MissingDependency as error:
                _warn(f"{error}. Without it the best model is there in this process only")
        super().search(X, y, sample_weight=sample_weight, groups=groups, **kwargs)
        self._direct(self.oracle.trials.values())  # those that other processes ran, too
        if present_role().kind != "worker":  # the chief does it for all
            self._keep_best()

    def _progress(self, fit_kwargs: Mapping[str, Any]) -> Progress:
        return super()._progress(fit_kwargs if self._verbose is None else {**fit_kwargs, "verbose": self._verbose})

    def _build(self, trial: Trial) -> Any:
        """An unfitted model."""
        return checked_estimator(self.hypermodel.build(trial.hyperparameters), "hypermodel")

    def run_trial(self, trial: Trial, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        """Fits and scores the model on every fold.

        Returns:
            A dict with the means of the score and of the metrics, and the folds beside them.
        """
        data = self._validation.take(X, y, sample_weight, groups)
        directory = trial_directory(self.project_dir, trial.trial_id)
        means, model = self._validation.run(partial(self._build, trial), data, directory, present_context())
        if model is not None and type(self).save_model is not SklearnTuner.save_model:
            self._save(trial.trial_id, model)  # whoever keeps models himself gets one of every trial
        return means

    def on_trial_end(self, trial: Trial) -> None:
        """Records the trial's end."""
        super().on_trial_end(trial)
        self._direct([trial, self.oracle.get_trial(trial.trial_id)])

    def _direct(self, trials: Iterable[Trial]) -> None:
        """Gives the metrics of trials the directions that the scorers tell."""
        for trial in trials:
            for name, direction in self._measures.directions.items():
                if trial.metrics.exists(name) and name not in objective_directions(self.oracle.objective):
                    trial.metrics.metrics[name].direction = direction

    # --- models --------------------------------------------------------------------------------------------------

    def _refits(self, trial: Trial) -> bool:
        """Whether the trial's model can and shall be fitted here: there is data, and nobody saved one himself."""
        able = self.refit and self.hypermodel is not None and self._validation.data is not None
        return able and trial.trial_id not in self._saved

    def _keep_best(self) -> None:
        """Fits the best model on all of the data and stores it; what fails is told, since the results are safe."""
        for trial in filter(self._refits, self.oracle.get_best_trials(1)):
            try:
                self._refitted(trial)
            except Exception as error:
                _warn(
                    f"refit: expected the best model, of trial {trial.trial_id}, to be fitted on all of the data, got "
                    f"{type(error).__name__}: {error}; the results are recorded, and get_best_models() tries again"
                )

    def _refitted(self, trial: Trial) -> Any:
        """The trial's model, fitted on all of the data of the present search, kept in memory and stored."""
        data = self._validation.data
        if trial.trial_id not in self._models and data is not None:
            state = self.oracle._ledger.state
            seed = self._training_seed(state.trials[state.numbers[trial.trial_id]])
            model = self._validation.fitted(partial(self._build, trial), data, seed, REFIT)
            self._models[trial.trial_id] = model
            self._store(trial.trial_id, model)
        return self._models[trial.trial_id]

    def _store(self, trial_id: str, model: Any) -> None:
        """Stores a model as far as that can be done; it is in memory all the same."""
        try:
            self._save(trial_id, model)
        except MissingDependency:
            return  # said before the search
        except Exception as error:  # skops and joblib raise anything for what they cannot store
            _warn(
                f"save_model: expected a model that can be stored by {self.model_format}, got "
                f"{type(error).__name__}: {error}; the model of trial {trial_id} is there in this process only. "
                'model_format="joblib" stores any, as a pickle'
            )

    def _save(self, trial_id: str, model: Any) -> None:
        """Calls `save_model`, which may be overridden, without taking that for the user's own saving."""
        self._saving = trial_id
        try:
            self.save_model(trial_id, model)
        finally:
            self._saving = None

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Stores a fitted model as the trial's; one that is stored by a subclass's `run_trial` is not refitted.

        Raises:
            MissingDependency: skops is not installed, and `model_format` is "skops".
        """
        path = files.save(model, trial_directory(self.project_dir, trial_id, create=True), self.model_format)
        if self._saving is None:
            self._saved[trial_id] = files.untrusted_types(path)  # ours, so that this process reads them back

    def _findings(self) -> Mapping[str, Any]:
        return {"saved": dict(self._saved)} if self._saved else {}

    def _learn(self, findings: Mapping[str, Any]) -> None:
        self._saved.update(findings["saved"])

    def load_model(self, trial: Trial) -> Any:
        """The trial's model: in the process that searched fitted on all of the data, else as it was stored.

        Raises:
            FileNotFoundError: it was not stored; at the end of a search the best trial's is.
            TypeError: the file holds types that are not trusted; the message says how to allow them.
            MissingDependency: the file needs skops, which is not installed.
        """
        if self._refits(trial):
            return self._refitted(trial)
        trusted = [*self.trusted, *self._saved.get(trial.trial_id, [])]
        return files.load(trial_directory(self.project_dir, trial.trial_id), self.model_format, trusted)


def _warn(message: str) -> None:
    warnings.warn(message, KrigeTunerWarning, stacklevel=3)
