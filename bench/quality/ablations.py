"""Our own ingredients, each of which can be switched off: what it is worth is the difference.

Something simpler is put in the ingredient's place, in the module that uses it, for the time of a run.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from krigetuner.gp.maximise import design
from krigetuner.gp.priors import Columns

SEARCH, STAGNATION, MODEL, MAXIMISE, PRIORS, ACQUISITION = (
    f"krigetuner.{name}"
    for name in (
        "search.bayesian",
        "search.stagnation",
        "gp.model",
        "gp.maximise",
        "gp.priors",
        "gp.acquisition",
    )
)


@dataclass(frozen=True)
class Ablation:
    """What takes an ingredient's place.

    Attributes:
        instead: what happens then, for the reader.
        module: the dotted name of the module that uses the ingredient.
        attribute: its name there; one dot leads into a class.
        value: the substitute.
    """

    instead: str
    module: str
    attribute: str
    value: Any


def _random_after_first(space: Any, rng: Any, first: Any, count: int) -> Any:
    rows = space.sample(rng.random((max(count - 1, 0), space.dimensions)))
    return np.concatenate([first[None], rows])


def _without_first(space: Any, rng: Any, first: Any, count: int) -> Any:
    return design(space, rng, space.sample(rng.random((1, space.dimensions)))[0], count)


def _all_linear(space: Any) -> Columns:
    return Columns(space.categorical, np.zeros_like(space.logarithmic))


def _no_mutations(space: Any, centres: Any, rng: Any, count: int) -> Any:
    return np.empty((0, space.dimensions))


def _no_neighbours(space: Any, row: Any) -> Any:
    return np.empty((0, space.dimensions))


ABLATIONS = {
    "transforms": Ablation("losses scaled and outliers squeezed only", SEARCH, "kinds_for", lambda n: ("plain",)),
    "log-transform": Ablation("the power transform only", SEARCH, "kinds_for", lambda n: ("power",)),
    "power-transform": Ablation("the log transform only", SEARCH, "kinds_for", lambda n: ("log",)),
    "own-scale": Ablation("of many losses too, the power or the log transform", MODEL, "MANY", math.inf),
    "additive": Ablation("no additive kernel", MODEL, "ADDING", math.inf),
    "shared-lengthscales": Ablation("no shift that all log lengthscales have in common", PRIORS, "SHARED", 0.0),
    "logarithms": Ablation(
        "numbers on a logarithmic scale like those on a linear one", SEARCH, "columns_of", _all_linear
    ),
    "shrinking": Ablation("lengthscales as fitted, always", SEARCH, "SHRINK", 1.0),
    "real-gains": Ablation("every gain counts, however small", STAGNATION, "GAIN", 0.0),
    "elsewhere": Ablation("no other way with categories when nothing gets better", STAGNATION, "SETTLED", math.inf),
    "parabola": Ablation(
        "no parabola near the best row", SEARCH, "lowest_rows", lambda space, *_: np.empty((0, space.dimensions))
    ),
    "digits": Ablation("no more parabolas where losses are precise", STAGNATION, "PRECISE", 0.0),
    "nearby": Ablation("no model of what is near the best row alone", STAGNATION, "QUIET", 0.0),
    "design": Ablation("random rows after the first", SEARCH, "design", _random_after_first),
    "first-guess": Ablation("the design's first row at random", SEARCH, "design", _without_first),
    "refit-schedule": Ablation("hyperparameters fitted at every trial", SEARCH, "refit_size", lambda n: n),
    "refining": Ablation("hyperparameters as they were found until the next fit", SEARCH, "REFINED", 0),
    "learned-noise": Ablation("noise held at the prior's mode, and so never precise", PRIORS, "NOISE_SPREAD", 1e-3),
    "local-model": Ablation("all observations in the model", MODEL, "representatives", lambda x, *_: np.arange(len(x))),
    "pending": Ablation("running trials ignored", MODEL, "Surrogate.believing", lambda model, _: model),
    "hedging": Ablation(
        "lengthscales as fitted, also while others run", STAGNATION, "others_run", lambda running: False
    ),
    "interior": Ablation("edges count from the first trial on", SEARCH, "interior", lambda *_: None),
    "inside": Ablation("edges count fully when nothing gets better", SEARCH, "INSIDE", 10**9),
    "feasibility": Ablation(
        "failed trials count as the worst seen", ACQUISITION, "Acquisition.weighs_feasibility", False
    ),
    "ascent": Ablation("the screen's best as they are", MAXIMISE, "ascend", lambda space, climb, starts: starts),
    "mutations": Ablation("candidates from the whole cube only", MAXIMISE, "mutations", _no_mutations),
    "neighbours": Ablation("no discrete neighbours", MAXIMISE, "Space.neighbours", _no_neighbours),
}


@contextmanager
def without(name: str | None) -> Iterator[None]:
    """Switches an ingredient off for a while; None: nothing.

    Raises:
        LookupError: the ingredient is no longer where the table says; mend the table.
    """
    if name is None:
        yield
        return
    ablation = ABLATIONS[name]
    place, attribute = _find(ablation)
    before = getattr(place, attribute)
    setattr(place, attribute, ablation.value)
    try:
        yield
    finally:
        setattr(place, attribute, before)


def _find(ablation: Ablation) -> tuple[Any, str]:
    """The object that holds the ingredient, and its name there."""
    place: Any = importlib.import_module(ablation.module)
    *path, attribute = ablation.attribute.split(".")
    for part in [*path, attribute]:
        if not hasattr(place, part):
            raise LookupError(f"{ablation.module}: no {ablation.attribute}; bench/quality/ablations.py is out of date")
        place = getattr(place, part) if part != attribute else place
    return place, attribute
