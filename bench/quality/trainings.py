"""Real trainings of a hundredth to a tenth of a second: models of scikit-learn, cross-validated on data that it has.

Nobody knows their optimum: the best configuration that four searches of 150 trials found stands for it, with the loss
that scikit-learn 1.9 gives; whoever finds a better one scores as if it were that. What is ordinary is what `run.scale`
measures where a task does not say it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from bench.quality.tasks import Task, Values

ROWS = 500
"""Of each data set, at most so many."""
LEAST = 1e-7
"""A probability below it counts as this."""

Judge = Callable[[Any, Any, Any], float]


@cache
def _data(name: str) -> tuple[Any, Any]:
    """Standardised columns, and classes or a standardised target."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))[:ROWS]
    x, y = x[rows], y[rows]
    return StandardScaler().fit_transform(x), (y - y.mean()) / y.std() if name == "diabetes" else y


def _validated(name: str, make: Callable[[], Any], judge: Judge) -> float:
    """The mean of what a judge says of three folds; infinite where a training diverges."""
    from sklearn.model_selection import KFold

    x, y = _data(name)
    losses = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for train, test in KFold(3, shuffle=True, random_state=0).split(x):
            losses.append(judge(make().fit(x[train], y[train]), x[test], y[test]))
    mean = float(np.mean(losses))
    return mean if math.isfinite(mean) else math.inf


def _squares(model: Any, x: Any, y: Any) -> float:
    return float(np.mean((model.predict(x) - y) ** 2))


def _errors(model: Any, x: Any, y: Any) -> float:
    return float(np.mean(model.predict(x) != y))


def _surprise(model: Any, x: Any, y: Any) -> float:
    """Mean negative log probability of the true classes."""
    return float(-np.log(np.maximum(model.predict_proba(x)[np.arange(len(y)), y], LEAST)).mean())


def _ridge_space(hp: Any) -> None:
    hp.Float("alpha", 1e-4, 10.0, sampling="log")
    hp.Float("gamma", 1e-4, 10.0, sampling="log")
    hp.Choice("kernel", ["rbf", "laplacian", "poly", "sigmoid"])
    hp.Int("degree", 1, 4)
    hp.Float("coef0", 0.0, 3.0)


def _ridge(values: Values) -> float:
    from sklearn.kernel_ridge import KernelRidge

    return _validated("diabetes", lambda: KernelRidge(**values), _squares)


def _linear_space(hp: Any) -> None:
    hp.Float("alpha", 1e-7, 1e-1, sampling="log")
    hp.Float("l1_ratio", 0.0, 1.0)
    hp.Choice("learning_rate", ["constant", "optimal", "invscaling", "adaptive"])
    hp.Float("eta0", 1e-5, 1.0, sampling="log")
    hp.Float("power_t", 0.1, 0.9)
    hp.Boolean("average")
    hp.Int("max_iter", 1, 25)


def _linear(values: Values) -> float:
    from sklearn.linear_model import SGDClassifier

    fixed = {"loss": "log_loss", "penalty": "elasticnet", "tol": None, "random_state": 0}
    return _validated("breast_cancer", lambda: SGDClassifier(**fixed, **values), _surprise)


def _trees_space(hp: Any) -> None:
    hp.Float("learning_rate", 1e-3, 1.0, sampling="log")
    hp.Int("n_estimators", 5, 80, sampling="log")
    hp.Int("max_depth", 1, 7)
    hp.Float("subsample", 0.2, 1.0)
    hp.Int("min_samples_leaf", 1, 40, sampling="log")
    hp.Float("max_features", 0.1, 1.0)


def _trees(values: Values) -> float:
    from sklearn.ensemble import GradientBoostingRegressor

    return _validated("diabetes", lambda: GradientBoostingRegressor(**values, random_state=0), _squares)


def _margins_space(hp: Any) -> None:
    hp.Float("C", 1e-3, 1e4, sampling="log")
    hp.Float("gamma", 1e-6, 10.0, sampling="log")
    hp.Choice("kernel", ["rbf", "poly", "sigmoid"])
    hp.Int("degree", 2, 4)
    hp.Float("coef0", -1.0, 2.0)


def _margins(values: Values) -> float:
    from sklearn.svm import SVC

    return _validated("digits", lambda: SVC(**values, max_iter=3000), _errors)


def _network_space(hp: Any) -> None:
    hp.Int("units", 4, 64, sampling="log")
    hp.Float("alpha", 1e-6, 10.0, sampling="log")
    hp.Float("learning_rate_init", 1e-4, 1.0, sampling="log")
    hp.Int("batch_size", 8, 64, sampling="log")
    hp.Choice("activation", ["relu", "tanh", "logistic"])
    hp.Float("beta_1", 0.5, 0.99)
    hp.Int("max_iter", 3, 20)


def _network(values: Values) -> float:
    from sklearn.neural_network import MLPClassifier

    others = {name: value for name, value in values.items() if name != "units"}
    return _validated("wine", lambda: MLPClassifier((values["units"],), **others, random_state=0), _surprise)


def _neighbours_space(hp: Any) -> None:
    hp.Int("count", 1, 40)
    hp.Float("p", 1.0, 4.0)
    hp.Float("power", 0.0, 2.0)
    hp.Int("components", 1, 10)
    hp.Boolean("whiten")


def _neighbours(values: Values) -> float:
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline

    def weights(distances: Any) -> Any:
        return (distances + 1e-3) ** -values["power"]

    def make() -> Any:
        near = KNeighborsRegressor(values["count"], p=values["p"], weights=weights)
        return make_pipeline(PCA(values["components"], whiten=values["whiten"], random_state=0), near)

    return _validated("diabetes", make, _squares)


TASKS = (
    Task(
        "ridge",
        _ridge_space,
        _ridge,
        0.4965844754,
        {"alpha": 0.001055108502144804, "gamma": 0.0001, "kernel": "poly", "degree": 4, "coef0": 3.0},
        ordinary=0.507201,
    ),
    Task(
        "linear",
        _linear_space,
        _linear,
        0.0636266038,
        {
            "alpha": 1.362871883338349e-05,
            "l1_ratio": 0.9876590723828407,
            "learning_rate": "adaptive",
            "eta0": 0.05636989712809676,
            "power_t": 0.6940010936763483,
            "average": False,
            "max_iter": 9,
        },
        ordinary=0.072935,
    ),
    Task(
        "trees",
        _trees_space,
        _trees,
        0.5081166588,
        {
            "learning_rate": 0.11944645531177506,
            "n_estimators": 80,
            "max_depth": 1,
            "subsample": 0.2857531544940962,
            "min_samples_leaf": 8,
            "max_features": 1.0,
        },
        ordinary=0.561033,
    ),
    Task(
        "margins",
        _margins_space,
        _margins,
        0.0200081764,
        {"C": 567.4451886082901, "gamma": 0.13880956530880167, "kernel": "poly", "degree": 2, "coef0": 1.186569},
        ordinary=0.032032,
    ),
    Task(
        "network",
        _network_space,
        _network,
        0.0368073957,
        {
            "units": 6,
            "alpha": 4.5374266014237005e-06,
            "learning_rate_init": 0.029840417098558416,
            "batch_size": 8,
            "activation": "tanh",
            "beta_1": 0.7631589149833434,
            "max_iter": 13,
        },
        ordinary=0.074466,
    ),
    Task(
        "neighbours",
        _neighbours_space,
        _neighbours,
        0.5523004589,
        {"count": 22, "p": 1.1602959860621693, "power": 0.07778850496600631, "components": 4, "whiten": False},
        ordinary=0.57092,
    ),
)


def trainings() -> dict[str, Task]:
    """The tasks by name."""
    return {task.name: task for task in TASKS}
