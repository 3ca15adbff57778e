"""Tuning tasks whose trainings fail, in a region of the space or at random: what failures teach, and what they do not.

branin-disc         Branin's function inside a disc, as in Gelbart, Snoek and Adams (2014), UAI
camel-strip         the six-hump camel back on one side of a line that passes near its minimum
hartmann6-ball      Hartmann's function inside a ball that holds a quarter of the cube
memory              a network that is better the larger it is, until it does not fit: the optimum lies at the edge
combinations        solvers and penalties of which only some go together
...-random          the functions of tasks.py, trainings of which fail for reasons of their own
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from bench.quality.tasks import CAMEL, HARTMANN6, Task, Values, branin, camel, hartmann, tasks, vector

RADIUS = 1.2
MEMORY = 6e6
"""Numbers that fit into the memory."""
TOGETHER = {("a", "l2"), ("a", "none"), ("b", "l1"), ("b", "l2"), ("c", "l1"), ("c", "l2"), ("c", "none"), ("d", "l2")}
"""Solvers with the penalties that they know."""
SOLVERS = {"a": 0.25, "b": 0.12, "c": 0.2, "d": 0.3}
PENALTIES = {"l1": 0.0, "l2": 0.05, "none": 0.12}


def _branin_disc(values: Values) -> float:
    x, y = values["x"], values["y"]
    return branin(x, y) if (x - 2.5) ** 2 + (y - 7.5) ** 2 <= 50 else math.nan


def _camel_space(hp: Any) -> None:
    hp.Float("x", -2.0, 2.0)
    hp.Float("y", -1.0, 1.0)


def _camel_strip(values: Values) -> float:
    x, y = values["x"], values["y"]
    return camel(x, y) if 0.7 * x + y <= 0.35 else math.nan


def _hartmann6_ball(values: Values) -> float:
    x = vector(values, "x", 6)
    return hartmann(x, HARTMANN6) if x @ x <= RADIUS**2 else math.nan


def _memory_space(hp: Any) -> None:
    hp.Int("layers", 1, 8)
    hp.Int("units", 16, 1024, sampling="log")
    hp.Int("batch", 8, 512, sampling="log")
    hp.Float("rate", 1e-5, 1e-1, sampling="log")


def _memory(values: Values) -> float:
    layers, units, batch = int(values["layers"]), int(values["units"]), int(values["batch"])
    if layers * units * (4 * units + 12 * batch) > MEMORY:
        return math.nan
    shape = 0.016 * abs(layers - 5) ** 1.5 + 0.3 * (math.log2(1024 / units) / 6) ** 2
    steps = 0.1 * (math.log2(batch / 128) / 4) ** 2 + 0.15 * (math.log10(values["rate"]) + 2.7) ** 2
    return 0.2 + shape + steps


def _combinations_space(hp: Any) -> None:
    hp.Choice("solver", list(SOLVERS))
    hp.Choice("penalty", list(PENALTIES))
    hp.Float("c", 1e-3, 1e3, sampling="log")
    hp.Float("mix", 0.0, 1.0)
    hp.Boolean("dual")


def _combinations(values: Values) -> float:
    """The dual form, which would be a little better, exists for one penalty only."""
    solver, penalty, dual = values["solver"], values["penalty"], values["dual"]
    if (solver, penalty) not in TOGETHER or (dual and penalty != "l2"):
        return math.nan
    smooth = 0.05 * (math.log10(values["c"]) - 0.7) ** 2 + 0.3 * (values["mix"] - 0.35) ** 2
    return SOLVERS[solver] + PENALTIES[penalty] + smooth + 0.02 * (not dual)


def failing() -> dict[str, Task]:
    """The tasks by name."""
    known = tasks()
    listed = [
        replace(known["branin"], name="branin-disc", function=_branin_disc),
        Task("camel-strip", _camel_space, _camel_strip, CAMEL, {"x": 0.0898420131, "y": -0.7126564030}),
        replace(known["hartmann6"], name="hartmann6-ball", function=_hartmann6_ball),
        Task(
            "memory",
            _memory_space,
            _memory,
            _memory({"layers": 5, "units": 421, "batch": 97, "rate": 10**-2.7}),
            {"layers": 5, "units": 421, "batch": 97, "rate": 10**-2.7},
        ),
        Task(
            "combinations",
            _combinations_space,
            _combinations,
            SOLVERS["b"] + 0.02,
            {"solver": "b", "penalty": "l1", "c": 10**0.7, "mix": 0.35, "dual": False},
        ),
        replace(known["branin"], name="branin-random", failures=0.4),
        replace(known["hartmann3"], name="hartmann3-random", failures=0.2),
        replace(known["ackley-switches"], name="ackley-random", failures=0.2),
    ]
    return {task.name: task for task in listed}
