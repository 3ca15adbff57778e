"""What is measured on the held-out rows of a fold: the score, and further metrics, each under its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from krigetuner.adapters.sklearn import refused, score_takes_weight, takes_extra, takes_weight
from krigetuner.adapters.sklearn_samples import Samples
from krigetuner.errors import FatalTypeError
from krigetuner.trial.directions import infer_metric_direction

SCORE = "score"
LESS_IS_BETTER = {"davies_bouldin_score"}
"""Exceptions from scikit-learn's rule that of what is called a score more is better."""
Direction = Literal["min", "max"]


@dataclass(frozen=True)
class Measure:
    """One number to be found on held-out rows.

    Attributes:
        name: under which it is recorded.
        function: a scorer (model, x, y), or a metric (y, predictions); None for the model's own score.
        kind: which of them.
        direction: what is known of it; None for a function of the user whose name does not tell.
    """

    name: str
    function: Callable[..., Any] | None
    kind: Literal["own", "scorer", "metric"]
    direction: Direction | None


class Measures:
    """The score and the metrics of a search.

    Args:
        scoring: None for the model's own score, a scorer's name, a scorer, or a function (model, X, y).
        metrics: one or several functions (y_true, y_pred), scorers, or names of either; or a dict of them by name.

    Raises:
        ValueError: a name is unknown, or used twice; or `scoring` is a metric instead of a scorer.
    """

    def __init__(self, scoring: Any, metrics: Any) -> None:
        self._measures = [_scoring(scoring), *_metrics(metrics)]
        twice = {m.name for i, m in enumerate(self._measures) if m.name in [n.name for n in self._measures[:i]]}
        if twice:
            raise ValueError(
                f"metrics: expected names that differ from each other and from {SCORE!r}, got {sorted(twice)} twice; "
                "give them as a dict: metrics={'name': function}"
            )

    @property
    def names(self) -> list[str]:
        """What is recorded, the score first."""
        return [m.name for m in self._measures]

    @property
    def directions(self) -> dict[str, Direction]:
        """The directions that are known."""
        return {m.name: m.direction for m in self._measures if m.direction is not None}

    def of(self, model: Any, data: Samples) -> tuple[dict[str, Any], list[str]]:
        """The measures of a fitted model on held-out rows.

        Returns:
            Values by name, and the names of those that could not take the sample weights.

        Raises:
            FatalTypeError: the model has no `score`, or no `predict`, and one is needed.
        """
        values: dict[str, Any] = {}
        unweighted: list[str] = []
        predictions: Any = None
        for measure in self._measures:
            arguments, weighted = _weights(measure, model, data)
            if not weighted:
                unweighted.append(measure.name)
            if measure.function is None:
                score = _method(model, "score", "give a `scoring`")
                values[measure.name] = score(data.x, *(() if data.y is None else (data.y,)), **arguments)
            elif measure.kind == "scorer":
                values[measure.name] = measure.function(model, data.x, data.y, **arguments)
            else:
                if predictions is None:
                    predictions = _method(model, "predict", "leave `metrics` out")(data.x)
                values[measure.name] = measure.function(data.y, predictions, **arguments)
        return values, unweighted


def _method(model: Any, name: str, advice: str) -> Callable[..., Any]:
    method = getattr(model, name, None)
    if not callable(method):
        raise FatalTypeError(
            f"hypermodel: expected estimators with a method {name}, got a {type(model).__name__}; {advice}"
        )
    return method  # type: ignore[no-any-return]


def _weights(measure: Measure, model: Any, data: Samples) -> tuple[dict[str, Any], bool]:
    """The keyword that hands the weights over, and whether they are taken where there are some."""
    function, there = measure.function, data.weight is not None
    if there and refused(model if function is None else function, "score"):
        return {}, True
    inner = getattr(function, "_score_func", None)  # of a scorer of scikit-learn: its function decides
    if inner is None and function is not None and takes_weight(function):
        return {"sample_weight": data.weight}, True
    taken = there and (score_takes_weight(model) if function is None else takes_extra(inner or function))
    return ({"sample_weight": data.weight} if taken else {}), taken or not there


def _scoring(scoring: Any) -> Measure:
    if scoring is None:
        return Measure(SCORE, None, "own", "max")
    if isinstance(scoring, str):
        return Measure(SCORE, _scorer(scoring, "scoring"), "scorer", "max")
    if not callable(scoring):
        raise ValueError(
            "scoring: expected one scorer, its name, or a function (model, X, y), got "
            f"{scoring!r:.200}; further ones belong into `metrics`"
        )
    if _is_scorer(scoring):
        return Measure(SCORE, scoring, "scorer", "max")
    if str(getattr(scoring, "__module__", "")).startswith("sklearn.metrics."):
        name = getattr(scoring, "__name__", "it")
        raise ValueError(
            f"scoring: expected a scorer (model, X, y), got the metric {name} (y_true, y_pred); write "
            f"make_scorer({name})"
        )
    return Measure(SCORE, scoring, "scorer", None)


def _metrics(metrics: Any) -> list[Measure]:
    if metrics is None:
        return []
    if isinstance(metrics, Mapping):
        return [_metric(metric, str(name)) for name, metric in metrics.items()]
    several = isinstance(metrics, Iterable) and not isinstance(metrics, str)
    return [_metric(metric, None) for metric in (metrics if several else [metrics])]


def _metric(metric: Any, name: str | None) -> Measure:
    if isinstance(metric, str):
        return _named(metric, name or metric)
    if not callable(metric) or isinstance(metric, type):
        raise ValueError(
            f"metrics: expected functions (y_true, y_pred), scorers or their names, got {metric!r:.200} of type "
            f"{type(metric).__name__}; pass sklearn.metrics.f1_score, for example, or its name"
        )
    if _is_scorer(metric):
        turned = "neg_" if getattr(metric, "_sign", 1) < 0 else ""
        return Measure(name or turned + _name_of(metric._score_func), metric, "scorer", "max")
    return Measure(name or _name_of(metric), metric, "metric", _direction(metric))


def _named(metric: str, name: str) -> Measure:
    """A scorer, or a function of `sklearn.metrics`, by its name."""
    import sklearn.metrics

    function = getattr(sklearn.metrics, metric, None)
    if metric not in sklearn.metrics.get_scorer_names() and callable(function) and not isinstance(function, type):
        return Measure(name, function, "metric", _direction(function))
    return Measure(name, _scorer(metric, "metrics"), "scorer", "max")


def _direction(function: Any) -> Direction | None:
    """The direction that a function's name tells; functions of scikit-learn are named by a convention of its own."""
    name = _name_of(function)
    known = infer_metric_direction(name)
    inner = function.func if isinstance(function, partial) else function
    if known is not None or not str(getattr(inner, "__module__", "")).startswith("sklearn."):
        return known
    if name in LESS_IS_BETTER or name.endswith(("_error", "_loss", "_deviance")):
        return "min"
    return "max" if name.endswith("_score") else None


def _scorer(name: str, argument: str) -> Callable[..., Any]:
    import difflib

    from sklearn.metrics import get_scorer, get_scorer_names

    names = get_scorer_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, 3)
        hint = f"did you mean {', '.join(map(repr, close))}?" if close else "see sklearn.metrics.get_scorer_names()"
        raise ValueError(f"{argument}: expected the name of a scorer of scikit-learn, got {name!r}; {hint}")
    return get_scorer(name)  # type: ignore[no-any-return]


def _is_scorer(function: Any) -> bool:
    return hasattr(function, "_score_func") and hasattr(function, "_sign")


def _name_of(function: Any) -> str:
    """The function's own name, also behind `functools.partial`; the class's for other callables."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__name__", None) or type(function).__name__)
