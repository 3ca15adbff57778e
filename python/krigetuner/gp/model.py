"""The surrogate: a Gaussian process on encoded configurations and transformed losses.

    n   observations that ended: completed ones with their losses, failed ones as the worst seen
    x   (n, d) rows      losses (n,), +inf where diverged or failed      variances (n,), 0 where not known

The amount of jitter that was needed is kept in `Surrogate.jitter` for the record (gp/jitter.py). The covariance of a
joint sample climbs steps of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from krigetuner.backend.maxima import ascend
from krigetuner.backend.protocol import AcquisitionSpec, Array, Backend, Effort, Family, Penalty
from krigetuner.errors import NotPositiveDefinite
from krigetuner.gp.feasibility import Feasibility
from krigetuner.gp.fitting import ADDITIVE, FAMILY, Hyperparameters, fit
from krigetuner.gp.jitter import factored
from krigetuner.gp.local import nearest, representatives
from krigetuner.gp.priors import Columns, prior
from krigetuner.gp.transforms import Kind, excess, transform

LEARNED: tuple[Kind, ...] = ("power", "log")
"""Transforms among which few losses choose; the first is taken unless they ask for another."""

MANY = 25
LEARNED_BY_MANY: tuple[Kind, ...] = ("plain", *LEARNED)
"""From MANY on the losses' own scale comes first: an exponent shows the best of few, and squeezes what many tell of the
others."""

FITTED = 2000
"""Observations that hyperparameters are fitted to at most, whatever the backend can afford a model of."""

FAILED = 100
"""Failed trials, beside the others, that a model knows of at most."""

LATER = 5.0
"""How much larger the log evidence for another transform or kernel than the first must be before it is taken: very
strong, in the terms of Kass and Raftery (1995)."""

ADDING = 10
"""Observations from which on they may ask for an additive kernel."""


@dataclass(frozen=True)
class Choice:
    """What a fit decided: how losses are transformed, the kernel and its hyperparameters, the learned noise.

    Attributes:
        kind: of the transform.
        found: the hyperparameters.
        evidence: by which kinds are compared.
        unit: what a loss lower by one is worth in transformed ones, at the best loss.
    """

    kind: Kind
    found: Hyperparameters
    evidence: float
    unit: float

    def shrunk(self, factor: float) -> Choice:
        """The same with lengthscales `factor` times as long."""
        hyper = replace(self.found.hyper, lengthscales=self.found.hyper.lengthscales * factor)
        return replace(self, found=replace(self.found, hyper=hyper))


@dataclass(frozen=True)
class Surrogate:
    """A factored posterior.

    Attributes:
        fitted: the backend's handle.
        x, y: rows and outputs that it was fitted to, those of running trials last; of very many trials some only.
        means: posterior mean at the rows of those that have ended.
        best: the incumbent's y: the lowest posterior mean among the rows, those of running trials included.
        unit: what a loss lower by one is worth in y, at the best loss.
        jitter: what had to be added to the diagonal.
        penalty: taken from every acquisition.
        feasibility: where trainings complete; its log weight is added to every acquisition, which must be a logarithm
            itself (after Gelbart, Snoek and Adams 2014, eq. 5).
    """

    backend: Backend
    choice: Choice
    fitted: Any
    x: Array
    y: Array
    means: Array
    best: float
    unit: float
    jitter: float
    penalty: Penalty | None = None
    feasibility: Feasibility | None = None

    @property
    def lowest(self) -> Array:
        """The row (d,) of those that have ended with the lowest posterior mean."""
        return np.asarray(self.x[np.argmin(self.means)])

    def score(self, x: Array, acquisition: AcquisitionSpec, gradient: bool = False) -> tuple[Array, Array | None]:
        """Acquisition values (m,) at rows x (m, d), larger is better, with gradients (m, d) if asked for."""
        values, slopes = self.backend.score(self.fitted, np.ascontiguousarray(x), acquisition, gradient)
        for weight in (self.penalty, self.feasibility):
            if weight is not None:
                more, steeper = weight.log_weight(x, gradient)
                values = values + more
                slopes = None if slopes is None or steeper is None else slopes + steeper
        return values, slopes

    def ascend(self, starts: Array, lower: Array, upper: Array, acquisition: AcquisitionSpec, effort: Effort) -> Array:
        """Rows (b, d) between lower and upper where the acquisition is largest, found from each start (b, d)."""
        if self.feasibility is None:
            return self.backend.ascend(self.fitted, starts, lower, upper, acquisition, effort, self.penalty)[0]
        return ascend(lambda rows: self.score(rows, acquisition, True), starts, lower, upper, effort)[0]

    def mean(self, x: Array) -> Array:
        """Posterior mean (m,) at rows x (m, d)."""
        return self.backend.mean(self.fitted, np.ascontiguousarray(x))

    def sample(self, x: Array, normals: Array) -> Array:
        """Joint posterior samples (s, m) at rows x (m, d)."""
        for jitter in (1e-10, 1e-8, 1e-6, 1e-4):
            try:
                return self.backend.sample(self.fitted, x, normals, jitter)
            except NotPositiveDefinite:
                continue
        return self.backend.sample(self.fitted, x, normals, 1e-2)

    def believing(self, rows: Array) -> Surrogate:
        """The surrogate after rows (k, d) of running trials have given exactly what is expected of them."""
        if not len(rows):
            return self
        model = self._expecting(rows)
        return replace(model, best=min(self.best, float(model.y[-len(rows) :].min())))

    def failing(self, rows: Array, feasibility: Feasibility | None) -> Surrogate:
        """The surrogate that knows of failed trials.

        They have no outcome, but none is to be learned there either: those nearest to the best row count as if they had
        given what was expected of them.

        Args:
            rows: (k, d) that failed.
            feasibility: what they say about others.
        """
        hyper = self.choice.found.hyper
        near = nearest(rows, self.lowest, hyper.lengthscales, hyper.categorical)[:FAILED]
        model = self._expecting(rows[np.sort(near)]) if len(rows) else self
        return replace(model, feasibility=feasibility)

    def _expecting(self, rows: Array) -> Surrogate:
        """The surrogate with what is expected at rows (k, d) in the place of outputs."""
        y, noise = np.concatenate([self.y, self.mean(rows)]), np.full(len(rows), self.choice.found.noise)
        fitted = self.backend.extend(self.fitted, np.ascontiguousarray(rows), y, noise)
        return replace(self, fitted=fitted, x=np.concatenate([self.x, rows]), y=y)


def kinds_for(count: int) -> tuple[Kind, ...]:
    """The transforms among which so many observations choose."""
    return LEARNED if count < MANY else LEARNED_BY_MANY


def choose(
    backend: Backend,
    x: Array,
    losses: Array,
    variances: Array,
    columns: Columns,
    noise_floor: float,
    kinds: Sequence[Kind],
    additive: bool = False,
) -> Choice:
    """Fits under every kind of transform; takes the first unless the losses are far more probable under another.

    Args:
        additive: whether the one that is taken may give way to the same with an additive kernel, under which a few
            observations of each column tell as much as many of all columns together.
    """
    size, categorical = min(backend.observations(len(x)), FITTED), columns.categorical
    rows = representatives(x, losses, np.ones(x.shape[1]), categorical, size)
    x, losses, variances = np.ascontiguousarray(x[rows]), losses[rows], excess(variances)[rows]

    def fitted(kind: Kind, family: Family) -> Choice:
        out, believed = transform(losses, variances, kind), prior(columns, noise_floor, family)
        found = fit(backend, x, out.y, out.noise, believed, categorical, family=family)
        evidence = found.log_posterior + believed.log_constant + out.log_jacobian
        return Choice(kind, found, evidence, out.unit)

    choices = [fitted(kind, FAMILY) for kind in kinds]
    product = max(choices, key=lambda c: round(c.evidence - LATER * (c is not choices[0]), 6))
    if not additive or len(x) < ADDING or (~categorical).sum() < 2:
        return product
    sum_of_terms = fitted(product.kind, ADDITIVE)
    return sum_of_terms if round(sum_of_terms.evidence - product.evidence - LATER, 6) > 0 else product


def refined(
    backend: Backend,
    x: Array,
    losses: Array,
    variances: Array,
    columns: Columns,
    noise_floor: float,
    choice: Choice,
) -> Choice:
    """The choice made with fewer observations, its hyperparameters moved towards what these say."""
    out, family = transform(losses, excess(variances), choice.kind), choice.found.hyper.family
    believed = prior(columns, noise_floor, family)
    found = fit(backend, x, out.y, out.noise, believed, columns.categorical, choice.found, family)
    return replace(choice, found=found, unit=out.unit)


def surrogate(backend: Backend, x: Array, losses: Array, variances: Array, choice: Choice) -> Surrogate:
    """The posterior of all observations that ended, with hyperparameters chosen from them or from fewer."""
    hyper = choice.found.hyper
    rows = representatives(x, losses, hyper.lengthscales, hyper.categorical, backend.observations(len(x)))
    x, losses, variances = np.ascontiguousarray(x[rows]), losses[rows], excess(variances)[rows]
    out = transform(losses, variances, choice.kind)
    fitted, jitter = factored(backend, x, out.y, out.noise + choice.found.noise, hyper)
    means = backend.mean(fitted, x)
    finite = np.isfinite(losses)
    best = float(means[finite].min() if finite.any() else means.min())
    return Surrogate(backend, choice, fitted, x, out.y, means, best, out.unit, jitter)
