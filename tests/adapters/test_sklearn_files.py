"""Models in files: whole, without pickle, with types that are named before they are made."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from krigetuner.adapters import sklearn_files as files

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


class Opened:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class Mine(LogisticRegression):
    """A class that nobody knows."""


MODELS = [
    LogisticRegression(),
    RandomForestClassifier(3),
    HistGradientBoostingClassifier(max_iter=2),
    KNeighborsClassifier(),
    SVC(),
    GaussianProcessRegressor(Matern() * RBF() + WhiteKernel(), optimizer=None),
    make_pipeline(StandardScaler(), MLPClassifier((2,), solver="lbfgs", max_iter=20000, random_state=0)),
    VotingClassifier([("a", LogisticRegression()), ("b", SVC())]),
    GridSearchCV(LogisticRegression(), {"C": [1.0, 2.0]}, cv=TimeSeriesSplit(2)),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("model_format", ["skops", "joblib"])
def test_models_of_every_family_come_back(model: Any, model_format: files.ModelFormat, tmp_path: Path) -> None:
    path = files.save(model.fit(X, Y), tmp_path / "trial_0", model_format)
    assert [p.name for p in path.parent.iterdir()] == [f"model.{model_format}"]
    np.testing.assert_array_equal(files.load(path.parent, model_format, ()).predict(X), model.predict(X))


def test_a_failed_save_leaves_the_former_file(tmp_path: Path) -> None:
    files.save(LogisticRegression().fit(X, Y), tmp_path, "joblib")
    with pytest.raises((pickle.PicklingError, AttributeError)):
        files.save(lambda: None, tmp_path, "joblib")
    assert [p.name for p in tmp_path.iterdir()] == ["model.joblib"]
    assert isinstance(files.load(tmp_path, "joblib", ()), LogisticRegression)


def test_unknown_types_are_listed_and_can_be_allowed(tmp_path: Path) -> None:
    files.save(Mine().fit(X, Y), tmp_path, "skops")
    name = f"{Mine.__module__}.Mine"
    with pytest.raises(files.UntrustedTypes, match=r"give the tuner trusted=\[.*Mine'\]") as error:
        files.load(tmp_path, "skops", ())
    assert error.value.types == [name]
    assert isinstance(error.value, TypeError)
    assert isinstance(files.load(tmp_path, "skops", [name]), Mine)


@pytest.mark.parametrize("function", [eval, exec, Path.touch, np.load])
def test_functions_in_a_file_are_never_trusted(function: Any, tmp_path: Path) -> None:
    files.save(make_pipeline(FunctionTransformer(function)), tmp_path, "skops")
    with pytest.raises(files.UntrustedTypes):
        files.load(tmp_path, "skops", ())


@pytest.mark.parametrize("name", ["model.pickle", "model.joblib"])
def test_a_pickle_is_not_read_unless_asked_for(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "opened"
    (tmp_path / name).write_bytes(pickle.dumps(Opened(trace)))
    with pytest.raises(FileNotFoundError, match=rf"load_model: expected .*model\.skops, got no such file.*{name}"):
        files.load(tmp_path, "skops", ())
    (tmp_path / "model.skops").write_bytes(pickle.dumps(Opened(trace)))
    with pytest.raises(ValueError, match="expected a model written by skops"):
        files.load(tmp_path, "skops", ())
    assert not trace.exists()
    joblib.load(tmp_path / name)
    assert trace.exists()  # it would have run


def test_a_damaged_file(tmp_path: Path) -> None:
    path = files.save(LogisticRegression().fit(X, Y), tmp_path, "skops")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"model\.skops, got .*search again"):
        files.load(tmp_path, "skops", ())


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"search\(X, y\) fits it again, and at its end stores the best one"):
        files.load(tmp_path, "skops", ())
    files.save(LogisticRegression().fit(X, Y), tmp_path, "skops")
    with pytest.raises(FileNotFoundError, match='model_format="skops"'):
        files.load(tmp_path, "joblib", ())


def test_unknown_formats() -> None:
    with pytest.raises(ValueError, match='model_format: expected "skops" or "joblib", got \'pickle\''):
        files.checked_format("pickle")


def test_what_is_trusted_are_classes_and_pure_functions() -> None:
    io = skops.io
    for model in MODELS:
        assert set(io.get_untrusted_types(data=io.dumps(model.fit(X, Y)))) <= files.PARTS
    assert not any(word in name for name in files.PARTS for word in ("_testing", "externals", "datasets", "os."))
