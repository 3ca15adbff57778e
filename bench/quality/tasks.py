"""Test functions with a known optimum, as tuning tasks: mixed, conditional, skewed, noisy and diverging ones.

No optimum lies at a default or near the centre of the space; where the usual range would favour that it is another.

    branin, camel, hartmann3, hartmann6    Dixon and Szego (1978), Towards Global Optimisation 2, p. 1
    ackley                                 Ackley (1987), A Connectionist Machine for Genetic Hillclimbing, p. 13;
                                           with switches as in Wan et al. (2021), ICML, "Ackley-53"
    levy                                   Levy and Montalvo (1985), SIAM J. Sci. Stat. Comput. 6, 15; in the form of
                                           Laguna and Marti (2005), J. Global Optim. 33, 235
    rosenbrock                             Rosenbrock (1960), Computer J. 3, 175
    rastrigin                              Muehlenbein, Schomisch and Born (1991), Parallel Computing 17, 619
    descent                                gradient descent on a quadratic: Polyak (1987), Introduction to Optimization
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Values = Mapping[str, Any]
Array = np.ndarray[Any, np.dtype[np.float64]]

BRANIN = 0.39788735772973816
CAMEL = -1.031628453489877
HARTMANN_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
HARTMANN3 = (
    np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]]),
    1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]),
)
HARTMANN6 = (
    np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    ),
    1e-4
    * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    ),
)
HARTMANN6_BEST = (0.20168951, 0.15001069, 0.47687398, 0.27533243, 0.31165162, 0.65730053)
SWITCHES = (True, False, True, True, False)
SHIFT, INTEGER_SHIFT = 1.3, 3
SLOW, FAST = 1.0, 50.0
"""Eigenvalues of the quadratic that gradient descent minimises."""
SINGLE = 3.4e38
"""The largest number of single precision."""


@dataclass(frozen=True)
class Task:
    """A function of a configuration, to be minimised.

    Attributes:
        define: registers the hyperparameters on an `hp` of KrigeTuner or of KerasTuner.
        function: the true value of a configuration; inf or NaN where it diverges.
        optimum: the lowest value.
        best: a configuration that has it.
        noise: standard deviation of what is added to the value that a search is told.
        failures: share of the trainings that fail at random: the search is told NaN.
        ordinary: the median best of ten random trials, where it takes long to measure.
    """

    name: str
    define: Callable[[Any], None]
    function: Callable[[Values], float]
    optimum: float
    best: Values
    noise: float = 0.0
    failures: float = 0.0
    ordinary: float | None = None


def branin(x: float, y: float) -> float:
    """Three minima of the same depth on [-5, 10] x [0, 15]."""
    bow = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return bow * bow + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def camel(x: float, y: float) -> float:
    """The six-hump camel back on [-2, 2] x [-1, 1]; two minima of the same depth."""
    return (4 - 2.1 * x * x + x**4 / 3) * x * x + x * y + (4 * y * y - 4) * y * y


def hartmann(x: Array, table: tuple[Array, Array]) -> float:
    """Four wells of different depth in the unit cube."""
    widths, centres = table
    return -float(HARTMANN_WEIGHTS @ np.exp(-(widths * (x - centres) ** 2).sum(axis=1)))


def ackley(x: Array) -> float:
    """A funnel under ripples; 0 at the origin."""
    ripples = math.exp(float(np.cos(2 * math.pi * x).mean()))
    return 20 + math.e - 20 * math.exp(-0.2 * math.sqrt(float((x * x).mean()))) - ripples


def levy(x: Array) -> float:
    """Many valleys in a bowl; 0 where every coordinate is 1."""
    w = 1 + (x - 1) / 4
    inner = (w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return float(math.sin(math.pi * w[0]) ** 2 + inner.sum() + last)


def rosenbrock(x: Array) -> float:
    """A curved valley below walls a million times as high; 0 where every coordinate is 1."""
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rastrigin(x: Array) -> float:
    """A grid of wells in a bowl; 0 at the origin."""
    return float((x * x - 10 * np.cos(2 * math.pi * x) + 10).sum())


def descent(rate: float, steps: int) -> float:
    """Squared error of gradient descent on a quadratic after some steps from (1, 1), in single precision."""
    errors = [abs(1 - rate * curvature) ** steps for curvature in (SLOW, FAST)]
    if max(errors) > SINGLE:
        return math.nan
    total = sum(e * e for e in errors)
    return total if total <= SINGLE else math.inf


def best_rate(steps: int) -> float:
    """The learning rate at which `descent` is least: where the derivative of the two powers vanishes."""
    ratio = (SLOW / FAST) ** (1 / (2 * steps - 1))
    return float((1 + ratio) / (FAST + ratio * SLOW))


def _floats(prefix: str, count: int, low: float, high: float) -> Callable[[Any], None]:
    """Registers `count` numbers of one range."""

    def define(hp: Any) -> None:
        for i in range(count):
            hp.Float(f"{prefix}{i}", low, high)

    return define


def vector(values: Values, prefix: str, count: int) -> Array:
    """The numbers that `_floats` registered."""
    return np.array([float(values[f"{prefix}{i}"]) for i in range(count)])


def _named(prefix: str, numbers: Any) -> dict[str, Any]:
    return {f"{prefix}{i}": v for i, v in enumerate(numbers)}


def _ackley_space(hp: Any) -> None:
    _floats("x", 3, -0.3, 1.7)(hp)
    for i in range(len(SWITCHES)):
        hp.Boolean(f"switch{i}")


def _ackley_switched(values: Values) -> float:
    wrong = [float(bool(values[f"switch{i}"]) != wanted) for i, wanted in enumerate(SWITCHES)]
    return ackley(np.concatenate([vector(values, "x", 3), wrong]))


def _rastrigin_space(hp: Any) -> None:
    _floats("x", 2, -2.0, 9.0)(hp)
    for i in range(2):
        hp.Int(f"k{i}", -5, 5)


def _rastrigin_shifted(values: Values) -> float:
    return rastrigin(np.concatenate([vector(values, "x", 2) - SHIFT, vector(values, "k", 2) - INTEGER_SHIFT]))


def _conditional_space(hp: Any) -> None:
    hp.Choice("family", ["bowl", "camel", "branin"])
    for name, ranges in {
        "bowl": ((-1.0, 3.0),) * 3,
        "camel": ((-2.0, 2.0), (-1.0, 1.0)),
        "branin": ((-5.0, 10.0), (0.0, 15.0)),
    }.items():
        for i, (low, high) in enumerate(ranges):
            hp.Float(f"{name}{i}", low, high, parent_name="family", parent_values=[name])


def _conditional(values: Values) -> float:
    """Three families with hyperparameters of their own; the best of them looks the worst at first."""
    family = values["family"]
    if family == "bowl":
        return 0.6 + float((vector(values, family, 3) ** 2).sum())
    x, y = vector(values, family, 2)
    return 0.3 + camel(x, y) - CAMEL if family == "camel" else (branin(x, y) - BRANIN) / 5


def _diverging_space(hp: Any) -> None:
    hp.Float("learning_rate", 3e-6, 5.0, sampling="log")
    hp.Int("steps", 5, 20)
    hp.Float("weight_decay", 1e-6, 1e-1, sampling="log")


def _diverging(values: Values) -> float:
    penalty = 0.05 * (math.log10(values["weight_decay"]) + 2.5) ** 2
    return descent(values["learning_rate"], int(values["steps"])) + penalty


def _hartmann6(values: Values) -> float:
    return hartmann(vector(values, "x", 6), HARTMANN6)


def _branin_space(hp: Any) -> None:
    hp.Float("x", -5.0, 10.0)
    hp.Float("y", 0.0, 15.0)


def tasks() -> dict[str, Task]:
    """All tasks by name."""
    cube6, best6 = _floats("x", 6, 0.0, 1.0), _named("x", HARTMANN6_BEST)
    ackley_best = {**_named("x", [0.0] * 3), **_named("switch", SWITCHES)}
    rastrigin_best = {**_named("x", [SHIFT] * 2), **_named("k", [INTEGER_SHIFT] * 2)}
    conditional_best = {"family": "branin", "branin0": math.pi, "branin1": 2.275}
    descent_best = {"learning_rate": best_rate(20), "steps": 20, "weight_decay": 10**-2.5}
    listed = [
        Task("branin", _branin_space, lambda v: branin(v["x"], v["y"]), BRANIN, {"x": math.pi, "y": 2.275}),
        Task(
            "hartmann3",
            _floats("x", 3, 0.0, 1.0),
            lambda v: hartmann(vector(v, "x", 3), HARTMANN3),
            -3.86277978,
            _named("x", (0.11458896, 0.55564881, 0.85254698)),
        ),
        Task("hartmann6", cube6, _hartmann6, -3.32236801, best6),
        Task("hartmann6-noisy", cube6, _hartmann6, -3.32236801, best6, noise=0.2),
        Task("ackley-switches", _ackley_space, _ackley_switched, 0.0, ackley_best),
        Task("levy", _floats("x", 4, -2.5, 11.0), lambda v: levy(vector(v, "x", 4)), 0.0, _named("x", [1.0] * 4)),
        Task(
            "rosenbrock",
            _floats("x", 4, -5.0, 10.0),
            lambda v: rosenbrock(vector(v, "x", 4)),
            0.0,
            _named("x", [1.0] * 4),
        ),
        Task("rastrigin-integers", _rastrigin_space, _rastrigin_shifted, 0.0, rastrigin_best),
        Task("conditional", _conditional_space, _conditional, 0.0, conditional_best),
        Task("diverging", _diverging_space, _diverging, descent(best_rate(20), 20), descent_best),
    ]
    return {task.name: task for task in listed}
