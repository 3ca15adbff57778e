"""Scikit-learn estimators: what counts as one, how it is fitted, and whether sample weights reach it.

Scikit-learn hides the signatures of `fit` behind decorators and `**fit_params`; which estimators take weights is asked
of scikit-learn, and of the estimators within pipelines and meta-estimators. With metadata routing enabled, what the
user requested decides, and scikit-learn's own errors say what is missing.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from krigetuner.adapters.sklearn_samples import Samples, sklearn_module
from krigetuner.errors import FatalTypeError

WEIGHT = "sample_weight"
INNER = ("estimator", "base_estimator", "regressor", "classifier")
"""Attributes in which meta-estimators hold what they fit."""


def checked_estimator(model: Any, source: str) -> Any:
    """The model, when it can be fitted.

    Raises:
        FatalTypeError: it is a class, or has no `fit`.
    """
    if isinstance(model, type) or not callable(getattr(model, "fit", None)):
        hint = f"write {model.__name__}(...)" if isinstance(model, type) else "return the model"
        raise FatalTypeError(
            f"{source}: expected a scikit-learn estimator, an object with fit(X, y), got {model!r:.200} of type "
            f"{type(model).__name__}; {hint}"
        )
    return model


def is_classifier(model: Any) -> bool:
    """Whether it is a classifier, for scikit-learn of all versions."""
    if hasattr(model, "__sklearn_tags__"):
        from sklearn.base import is_classifier as asked

        return bool(asked(model))
    return getattr(model, "_estimator_type", None) == "classifier"


def kind_of(model: Any) -> str:
    """The name of the model's class, and of a pipeline's last step."""
    steps = getattr(model, "steps", None)
    inner = f" that ends in {kind_of(steps[-1][1])}" if steps else ""
    return f"{type(model).__name__}{inner}"


def fit(model: Any, data: Samples) -> bool:
    """Fits the model.

    Returns:
        Whether the weights reached it; True when there are none, or it was told to do without.
    """
    wanted = data.weight is not None and not refused(model, "fit")
    names = weight_keywords(model) if wanted else []
    arguments = dict.fromkeys(names, data.weight)
    if data.y is None:
        model.fit(data.x, **arguments)
    else:
        model.fit(data.x, data.y, **arguments)
    return not wanted or bool(names)


def weight_keywords(model: Any) -> list[str]:
    """The keywords under which the model's `fit` takes the sample weights; none when it does not.

    In a pipeline the weights are those of its last step; metadata routing gives them to others.
    """
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if routes(model):
        return [WEIGHT]
    if isinstance(model, Pipeline):
        name, last = model.steps[-1]
        return [] if isinstance(last, str | None) else [f"{name}__{keyword}" for keyword in weight_keywords(last)]
    if has_fit_parameter(model, WEIGHT):
        return [WEIGHT]
    if not _takes_anything(model.fit):
        return []
    inner = next((found for found in (getattr(model, name, None) for name in INNER) if found is not None), None)
    if inner is not None:
        return weight_keywords(inner)
    members = [m[1] for m in getattr(model, "estimators", None) or () if isinstance(m, tuple) and m[1] != "drop"]
    return [WEIGHT] if all(weight_keywords(member) for member in members) else []


def score_takes_weight(model: Any) -> bool:
    """Whether the model's own `score` takes sample weights."""
    from sklearn.pipeline import Pipeline

    if routes(model):
        return True
    if isinstance(model, Pipeline):
        return score_takes_weight(model.steps[-1][1])
    return hasattr(model, "score") and takes_weight(model.score)


def takes_weight(function: Callable[..., Any]) -> bool:
    """Whether a function has an argument `sample_weight`."""
    return WEIGHT in _parameters(function)


def _takes_anything(function: Callable[..., Any]) -> bool:
    return any(kind is inspect.Parameter.VAR_KEYWORD for kind in _parameters(function).values())


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Kinds of a function's parameters by name; none where it does not tell."""
    try:
        return {p.name: p.kind for p in inspect.signature(function).parameters.values()}
    except (TypeError, ValueError):
        return {}


def takes_extra(function: Callable[..., Any]) -> bool:
    """Whether a function takes `sample_weight` by name or among any keywords."""
    return takes_weight(function) or _takes_anything(function)


def routes(model: Any) -> bool:
    """Whether metadata routing is enabled and the model hands metadata on to others."""
    if not _routing_enabled() or not hasattr(model, "get_metadata_routing"):
        return False
    return hasattr(model.get_metadata_routing(), "route_params")


def refused(target: Any, method: str) -> bool:
    """Whether metadata routing is enabled and an estimator or scorer, or all in it, were told to do without weights.

    Raises:
        UnsetMetadataPassedError: something in it takes weights and was told neither.
    """
    if not _routing_enabled() or not hasattr(target, "get_metadata_routing"):
        return False
    routing = target.get_metadata_routing()
    if not routes(target):
        return getattr(getattr(routing, method, None), "requests", {}).get(WEIGHT) is False
    if not hasattr(routing, "consumes") or routing.consumes(method, [WEIGHT]):  # since scikit-learn 1.4
        return False
    routing.route_params(caller=method, params={WEIGHT: True})
    return True


def _routing_enabled() -> bool:
    return bool(sklearn_module().get_config().get("enable_metadata_routing", False))


@contextmanager
def seeded(seed: int | None, fold: int) -> Iterator[None]:
    """Seeds the generators of numpy and Python for a block, and puts them back; does nothing for None."""
    if seed is None:
        yield
        return
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - scikit-learn draws from it
    own = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
    random.seed(own)
    np.random.seed(own)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
