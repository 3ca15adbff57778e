"""Tuning tasks with conditions, where one part of the space must not be given up too early.

families-1 ... -4     three to five families with hyperparameters of their own; the best is narrower than the others
layers-1, -2          as many units to choose as there are layers, a dropout rate where there is dropout
optimizers-1, -2      a learning rate for each optimizer, and what only one of them has

The numbers of each are drawn, so that no search has been made for them.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any

import numpy as np
from bench.quality.tasks import Task, Values

SIZES = {1: (2, 2, 2), 2: (1, 2, 3, 2, 1), 3: (1, 2, 1, 2), 4: (3, 1, 3)}
"""How many hyperparameters of their own the families of a task have."""
OPTIMIZERS = ("adam", "sgd", "rmsprop")
LEAST = 0.15
"""The loss of the best configuration of "layers"."""

Family = tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]], float]


@cache
def _families(number: int) -> list[Family]:
    """Of each family where it is best, how narrow it is, and its loss there; the first has the lowest, 0."""
    rng = np.random.default_rng([number, 1])
    drawn = [(rng.uniform(0.1, 0.9, n + 1), rng.uniform(0.5, 6.0, n + 1), rng.uniform(0.1, 0.5)) for n in SIZES[number]]
    (place, narrow, _), *others = drawn
    return [(place, 4.0 * narrow, 0.0), *others]


def _families_space(number: int, hp: Any) -> None:
    names = [f"family{i}" for i in range(len(SIZES[number]))]
    hp.Choice("family", names, default=names[-1])
    hp.Float("shared", 0.0, 1.0)
    for name, size in zip(names, SIZES[number], strict=True):
        for j in range(size):
            hp.Float(f"{name}_{j}", 0.0, 1.0, parent_name="family", parent_values=[name])


def _families_loss(number: int, values: Values) -> float:
    name = values["family"]
    place, narrow, least = _families(number)[int(name.removeprefix("family"))]
    own = [values[f"{name}_{j}"] for j in range(len(place) - 1)]
    distance = float(narrow @ (np.array([values["shared"], *own]) - place) ** 2)
    return least + distance / (1 + 0.3 * distance)


def _families_best(number: int) -> dict[str, Any]:
    shared, *own = (float(v) for v in _families(number)[0][0])
    return {"family": "family0", "shared": shared, **{f"family0_{j}": v for j, v in enumerate(own)}}


@cache
def _layers(number: int) -> dict[str, Any]:
    rng = np.random.default_rng([number, 2])
    units = [[int(u) for u in row] for row in np.exp(rng.uniform(np.log(16), np.log(400), (5, 4)))]
    rates = [float(r) for r in 10 ** rng.uniform(-4.0, -1.5, 5)]
    return {"layers": int(rng.integers(2, 5)), "rates": rates, "units": units, "dropout": float(rng.uniform(0.1, 0.6))}


def _layers_space(hp: Any) -> None:
    hp.Int("layers", 1, 4, default=1)
    hp.Float("rate", 1e-5, 1e-1, sampling="log")
    hp.Boolean("drop")
    hp.Float("dropout", 0.0, 0.8, parent_name="drop", parent_values=[True])
    for i in range(4):
        hp.Int(f"units{i}", 8, 512, sampling="log", parent_name="layers", parent_values=list(range(i + 1, 5)))


def _layers_loss(number: int, values: Values) -> float:
    best, layers = _layers(number), int(values["layers"])
    loss = 0.3 * abs(layers - best["layers"]) + 0.35 * math.log10(values["rate"] / best["rates"][layers]) ** 2
    loss += LEAST + 2 * (values["dropout"] - best["dropout"]) ** 2 if values["drop"] else 0.4
    return loss + sum(0.09 * math.log(values[f"units{i}"] / best["units"][layers][i]) ** 2 for i in range(layers))


def _layers_best(number: int) -> dict[str, Any]:
    best = _layers(number)
    layers = best["layers"]
    units = {f"units{i}": best["units"][layers][i] for i in range(layers)}
    return {"layers": layers, "rate": best["rates"][layers], "drop": True, "dropout": best["dropout"], **units}


@cache
def _optimizers(number: int) -> dict[str, Any]:
    rng = np.random.default_rng([number, 3])
    best = OPTIMIZERS[int(rng.integers(3))]
    rates = 10 ** rng.uniform([-4.0, -2.5, -3.5], [-2.0, -0.5, -2.0])
    return {
        "best": best,
        "rates": {name: float(rate) for name, rate in zip(OPTIMIZERS, rates, strict=True)},
        "behind": {name: float(b) * (name != best) for name, b in zip(OPTIMIZERS, rng.random(3) * 0.4, strict=True)},
        "beta": float(rng.uniform(0.8, 0.99)),
        "momentum": float(rng.uniform(0.5, 0.99)),
        "decay": float(10 ** rng.uniform(-5.0, -2.0)),
        "batch": int(2 ** rng.integers(4, 8)),
    }


def _optimizers_space(hp: Any) -> None:
    hp.Choice("optimizer", list(OPTIMIZERS))
    hp.Choice("batch", [16, 32, 64, 128])
    hp.Float("decay", 1e-6, 1e-1, sampling="log")
    for name in OPTIMIZERS:
        hp.Float(f"{name}_rate", 1e-6, 1.0, sampling="log", parent_name="optimizer", parent_values=[name])
    hp.Float("beta", 0.7, 0.999, parent_name="optimizer", parent_values=["adam"])
    hp.Float("momentum", 0.0, 0.999, parent_name="optimizer", parent_values=["sgd"])
    hp.Boolean("nesterov", parent_name="optimizer", parent_values=["sgd"])


def _optimizers_loss(number: int, values: Values) -> float:
    """Rates that are too large cost more than those that are too small."""
    best, name = _optimizers(number), values["optimizer"]
    off = math.log10(values[f"{name}_rate"] / best["rates"][name])
    loss = best["behind"][name] + (min(0.8 * off * off, 3.0) if off > 0 else 0.25 * off * off)
    loss += (
        0.05 * abs(math.log2(values["batch"] / best["batch"])) + 0.03 * math.log10(values["decay"] / best["decay"]) ** 2
    )
    if name == "adam":
        loss += 4 * (values["beta"] - best["beta"]) ** 2
    if name == "sgd":
        loss += 0.8 * (values["momentum"] - best["momentum"]) ** 2 + 0.1 * (not values["nesterov"])
    return loss


def _optimizers_best(number: int) -> dict[str, Any]:
    best = _optimizers(number)
    name = best["best"]
    own = {"adam": {"beta": best["beta"]}, "sgd": {"momentum": best["momentum"], "nesterov": True}}.get(name, {})
    shared = {"optimizer": name, "batch": best["batch"], "decay": best["decay"]}
    return {**shared, f"{name}_rate": best["rates"][name], **own}


def branching() -> dict[str, Task]:
    """The tasks by name."""
    listed = [
        Task(f"families-{i}", partial(_families_space, i), partial(_families_loss, i), 0.0, _families_best(i))
        for i in SIZES
    ]
    for i in (1, 2):
        listed.append(Task(f"layers-{i}", _layers_space, partial(_layers_loss, i), LEAST, _layers_best(i)))
        listed.append(
            Task(f"optimizers-{i}", _optimizers_space, partial(_optimizers_loss, i), 0.0, _optimizers_best(i))
        )
    return {task.name: task for task in listed}
