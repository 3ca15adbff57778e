"""The acquisition functions by name, and what their parameters mean.

    "auto"      log-EI on the scale of the transform that the losses themselves ask for, plus the log probability that a
                training completes, less a penalty near edges while trials are few: the default, chosen by evidence
    "ucb"       mu + beta sigma, for an objective to be maximised; -mu + beta sigma for one to be minimised
    "ei"        expected improvement over the incumbent by more than xi
    "logei"     its logarithm: the same choice, without underflow
    "pi"        probability of an improvement by more than xi
    "thompson"  the best point of one sample of the posterior

The named ones model the losses on their own scale (standardised; only far outliers on the bad side are squeezed), so
that beta counts standard deviations, and xi is in units of the objective.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from krigetuner.backend.protocol import AcquisitionKind, AcquisitionSpec

NAMES = ("auto", "ucb", "ei", "logei", "pi", "thompson")
_KINDS: dict[str, AcquisitionKind] = {"auto": "logei", "ucb": "lcb", "ei": "logei", "logei": "logei", "pi": "pi"}


LARGEST = 1e16
"""Of beta, and of xi in y: beside more a posterior mean is lost in the digits of a float64, and squares overflow."""


@dataclass(frozen=True)
class Acquisition:
    """An acquisition function by name.

    Attributes:
        name: one of `NAMES`.
        beta: weight of the standard deviation in "ucb", at least 0 (kappa in other libraries).
        xi: improvement asked for by "ei", "logei" and "pi", in units of the objective, at least 0.

    Raises:
        ValueError: an unknown name, or a parameter below 0.
    """

    name: str = "auto"
    beta: float = 2.6
    xi: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(
                f"acquisition: expected one of {', '.join(map(repr, NAMES))}, got {self.name!r}; choose one of them"
            )
        for parameter in ("beta", "xi"):
            value = getattr(self, parameter)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise ValueError(
                    f"{parameter}: expected a finite number of at least 0, got {value!r}; give 0 for pure exploitation"
                )

    @property
    def learns_model(self) -> bool:
        """Whether the losses may be modelled on another scale than their own, and as a sum of functions."""
        return self.name == "auto"

    @property
    def weighs_edges(self) -> bool:
        """Whether edges of ranges count less while little is known."""
        return self.name == "auto"

    @property
    def weighs_feasibility(self) -> bool:
        """Whether the probability that a training completes counts; failed ones are as bad as the worst seen if not."""
        return self.name == "auto"

    @property
    def draws(self) -> bool:
        """Whether it needs a joint sample instead of scores."""
        return self.name == "thompson"

    def spec(self, best: float, unit: float) -> AcquisitionSpec:
        """For the backend: with the incumbent's y, and what one unit of the objective is in y."""
        beta, xi = min(float(self.beta), LARGEST), min(float(self.xi) * unit, LARGEST)
        return AcquisitionSpec(_KINDS[self.name], best=best, beta=beta, xi=xi)
