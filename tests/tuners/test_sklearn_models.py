"""Models of the scikit-learn tuner: refitted on all data, in memory, in files, in another process; resumed trials."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from krigetuner.adapters import kept_folds
from krigetuner.errors import FatalRuntimeError, KrigeTunerWarning, MissingDependency
from krigetuner.trial.objective import Objective
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.builtin_oracles import RandomSearchOracle
from krigetuner.tuners.sklearn_tuner import SklearnTuner

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] + RNG.normal(size=60) > 0).astype(int)
WEIGHT = RNG.uniform(0.1, 3.0, 60)


def logistic(hp: Any) -> Any:
    return LogisticRegression(C=hp.Float("C", 0.01, 10.0, sampling="log"))


def tuner_of(
    directory: Path,
    opened: list[BaseTuner],
    build: Any = logistic,
    kind: type[SklearnTuner] = SklearnTuner,
    **more: Any,
) -> SklearnTuner:
    while opened:
        opened.pop().oracle.close()  # as another process would find it
    oracle = RandomSearchOracle(objective=Objective("score", "max"), max_trials=3, seed=1)
    opened.append(kind(oracle, build, directory=directory, project_name="p", **more))
    return opened[-1]


def test_the_best_model_has_seen_all_data(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = tuner_of(tmp_path, opened)
    tuner.search(X, Y, sample_weight=WEIGHT, verbose=0)
    best = tuner.oracle.get_best_trials(3)
    stored = [tmp_path / "p" / f"trial_{t.trial_id}" / "model.skops" for t in best]
    assert [p.exists() for p in stored] == [True, False, False]
    models = tuner.get_best_models(3)
    for model, hp in zip(models, tuner.get_best_hyperparameters(3), strict=True):
        expected = LogisticRegression(C=hp.get("C")).fit(X, Y, WEIGHT)
        np.testing.assert_array_equal(model.coef_, expected.coef_)
    assert [p.exists() for p in stored] == [True, True, True]
    assert tuner.get_best_models(3)[2] is models[2]
    again = tuner_of(tmp_path, opened)
    for model, loaded in zip(models, again.get_best_models(3), strict=True):
        np.testing.assert_array_equal(loaded.coef_, model.coef_)


def test_another_search_refits_on_its_own_data(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = tuner_of(tmp_path, opened)
    tuner.search(X, Y, verbose=0)
    before = tuner.get_best_models()[0]
    tuner.search(X[:40], Y[:40], verbose=0)
    hp = tuner.get_best_hyperparameters()[0]
    after = tuner.get_best_models()[0]
    np.testing.assert_array_equal(after.coef_, LogisticRegression(C=hp.get("C")).fit(X[:40], Y[:40]).coef_)
    assert after is not before
    x = X.copy()
    for _ in range(2):  # changed in place
        tuner.search(x, Y, verbose=0)
        np.testing.assert_array_equal(
            tuner.get_best_models()[0].coef_, LogisticRegression(C=hp.get("C")).fit(x, Y).coef_
        )
        x *= 2.0


SCRIPT = """
import sys
import krigetuner as kt
from krigetuner.tuners.sklearn_tuner import SklearnTuner
from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import load_iris

build = lambda hp: RandomForestClassifier(hp.Int("trees", 2, 4), random_state=0)
oracle = kt.oracles.RandomSearchOracle(objective=kt.Objective("score", "max"), max_trials=2, seed=1)
tuner = SklearnTuner(oracle, build, directory=sys.argv[1], project_name="p")
X, y = load_iris(return_X_y=True)
if sys.argv[2] == "search":
    tuner.search(X, y, verbose=0)
sys.stdout.write("".join(map(str, tuner.get_best_models()[0].predict(X))))
"""


@pytest.mark.slow
def test_another_process_gets_the_same_model(tmp_path: Path) -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), step], capture_output=True, text=True, check=True, timeout=300
        ).stdout
        for step in ("search", "load")
    ]
    assert len(outputs[0]) == 150
    assert outputs[0] == outputs[1]


def test_joblib_when_asked_for_by_name(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = tuner_of(tmp_path, opened, model_format="joblib")
    tuner.search(X, Y, verbose=0)
    expected = tuner.get_best_models()[0]
    loaded = tuner_of(tmp_path, opened, model_format="joblib").get_best_models()[0]
    np.testing.assert_array_equal(loaded.coef_, expected.coef_)
    with pytest.raises(FileNotFoundError, match='model_format="joblib"'):
        tuner_of(tmp_path, opened).get_best_models()


class Unknown(LogisticRegression):
    """A class of the user."""


def test_types_of_the_user_are_allowed_by_name(tmp_path: Path, opened: list[BaseTuner]) -> None:
    def build(hp: Any) -> Any:
        return Unknown(C=hp.Float("C", 0.1, 1.0))

    tuner_of(tmp_path, opened, build).search(X, Y, verbose=0)
    with pytest.raises(TypeError, match="give the tuner trusted="):
        tuner_of(tmp_path, opened, build).get_best_models()
    name = f"{Unknown.__module__}.Unknown"
    assert isinstance(tuner_of(tmp_path, opened, build, trusted=[name]).get_best_models()[0], Unknown)


def test_a_model_that_cannot_be_stored_is_there_in_memory(tmp_path: Path, opened: list[BaseTuner]) -> None:
    def build(hp: Any) -> Any:
        turned = LogisticRegression(C=hp.Float("C", 0.1, 1.0))
        turned.secret = (i for i in ())  # type: ignore[attr-defined]
        return turned

    tuner = tuner_of(tmp_path, opened, build)
    with pytest.warns(KrigeTunerWarning, match="can be stored by skops.*in this process only"):
        tuner.search(X, Y, verbose=0)
    assert tuner.get_best_models()[0].score(X, Y) > 0.5


def test_without_skops_the_model_lives_in_memory(
    tmp_path: Path, opened: list[BaseTuner], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuner = tuner_of(tmp_path, opened)
    tuner.search(X, Y, verbose=0)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    tuner = tuner_of(tmp_path, opened)
    with pytest.raises(MissingDependency, match=r"pip install 'krigetuner\[sklearn\]'"):
        tuner.get_best_models()
    with pytest.warns(KrigeTunerWarning, match="the best model is there in this process only") as told:
        tuner.search(X, Y, verbose=0)
    assert len(told) == 1
    assert tuner.get_best_models()[0].score(X, Y) > 0.5


def test_no_refit(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = tuner_of(tmp_path, opened, refit=False)
    tuner.search(X, Y, verbose=0)
    with pytest.raises(FileNotFoundError, match="unless refit=False, search"):
        tuner.get_best_models()


def test_a_refit_that_fails_costs_no_results(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Small(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            if len(X) == 60:
                raise MemoryError("all of the data")
            return super().fit(X, y, sample_weight)

    tuner = tuner_of(tmp_path, opened, lambda hp: Small(C=hp.Float("C", 0.1, 1.0)))
    with pytest.warns(KrigeTunerWarning, match="refit: .*MemoryError: all of the data"):
        tuner.search(X, Y, verbose=0)
    assert len(tuner.oracle.get_best_trials(3)) == 3
    with pytest.raises(MemoryError):
        tuner.get_best_models()


def test_an_own_save_model_gets_a_model_of_every_trial(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Keeping(SklearnTuner):
        kept: dict[str, list[int]] = {}  # noqa: RUF012

        def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
            self.kept.setdefault(trial_id, []).append(model.n_iter_[0] > 0)

        def load_model(self, trial: Any) -> Any:
            return f"model {trial.trial_id}"

    tuner = tuner_of(tmp_path, opened, kind=Keeping)
    tuner.search(X, Y, verbose=0)
    assert set(Keeping.kept) == {"0", "1", "2"}
    assert tuner.get_best_models()[0] == f"model {tuner.oracle.get_best_trials()[0].trial_id}"


def test_an_own_run_trial_that_saves_its_model(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Own(SklearnTuner):
        def run_trial(self, trial: Any, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
            scores = []
            for train, test in self.cv.split(X, y):
                model = self.hypermodel.build(trial.hyperparameters).fit(X[train], y[train])
                scores.append(self.scoring(model, X[test], y[test], sample_weight=None))
            self.save_model(trial.trial_id, model)
            return {"score": np.mean(scores), "size": len(train)}

    def build(hp: Any) -> Any:
        return Unknown(C=hp.Float("C", 0.1, 1.0))

    tuner = tuner_of(tmp_path, opened, build, Own, scoring=make_scorer(accuracy_score))
    tuner.search(X, Y, verbose=0)
    best = tuner.oracle.get_best_trials()[0]
    assert best.metrics.get_last_value("size") == 48
    train = list(KFold(5, shuffle=True, random_state=1).split(X))[-1][0]  # the last fold's, as it was saved
    expected = LogisticRegression(C=best.hyperparameters.get("C")).fit(X[train], Y[train])
    np.testing.assert_array_equal(tuner.get_best_models()[0].coef_, expected.coef_)


def test_a_run_trial_that_adds_to_the_results(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Adding(SklearnTuner):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            return {**super().run_trial(trial, *args, **kwargs), "size": 1}

    tuner = tuner_of(tmp_path, opened, kind=Adding)
    tuner.search(X, Y, verbose=0)
    assert tuner.oracle.get_best_trials()[0].metrics.get_last_value("size") == 1
    assert tuner.get_best_models()[0].n_features_in_ == 3


@pytest.mark.parametrize("ending", [KeyboardInterrupt, FatalRuntimeError])
def test_a_trial_that_was_cut_short_goes_on_behind_its_last_fold(
    ending: type[BaseException], tmp_path: Path, opened: list[BaseTuner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_folds, "WORTH_KEEPING", 0.0)
    fits: list[int] = []

    class Cut(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            fits.append(len(X))
            if len(fits) == 9:
                raise ending
            return super().fit(X, y, sample_weight)

    def build(hp: Any) -> Any:
        return Cut(C=hp.Float("C", 0.01, 10.0, sampling="log"))

    def scores(tuner: SklearnTuner) -> list[list[float]]:
        return [[e.metrics["score"] for e in t.executions] for t in tuner.oracle.trials.values()]

    tuner = tuner_of(tmp_path, opened, build, refit=False)
    with pytest.raises(ending):
        tuner.search(X, Y, verbose=0)
    assert (tmp_path / "p" / "trial_1" / "folds.json").exists()
    tuner = tuner_of(tmp_path, opened, build, refit=False)
    tuner.search(X, Y, verbose=0)
    assert len(fits) == 5 + 4 + 2 + 5  # trial 1 runs its folds 0 to 2, is cut in fold 3, and goes on with that
    undisturbed = tuner_of(tmp_path / "other", opened, build, refit=False)
    undisturbed.search(X, Y, verbose=0)
    assert scores(tuner) == scores(undisturbed)
    assert not list((tmp_path / "p").glob("trial_*/folds.json"))


def test_pure_functions_need_no_permission(tmp_path: Path, opened: list[BaseTuner]) -> None:
    def build(hp: Any) -> Any:
        return make_pipeline(FunctionTransformer(np.tanh), RandomForestClassifier(hp.Int("n", 2, 3)))

    tuner = tuner_of(tmp_path, opened, build)
    tuner.search(X, Y, verbose=0)
    expected = tuner.get_best_models()[0].predict(X)
    loaded = tuner_of(tmp_path, opened, build).get_best_models()[0]
    np.testing.assert_array_equal(loaded.predict(X), expected)
