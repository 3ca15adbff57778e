"""Jitter: a kernel matrix that cannot be factored gets more on its diagonal, up one ladder, here and only here."""

from __future__ import annotations

from typing import Any

from krigetuner.backend.protocol import Array, Backend, KernelHyper
from krigetuner.errors import NotPositiveDefinite

LADDER = (0.0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)
"""Jitter tried in turn, times the output variance."""


def factored(backend: Backend, x: Array, y: Array, noise: Array, hyper: KernelHyper) -> tuple[Any, float]:
    """The factored posterior of x (n, d) and y (n,) with the first jitter of the ladder that allows it, and that."""
    for step in LADDER:
        jitter = step * hyper.variance
        try:
            return backend.fit(x, y, noise, hyper, jitter), jitter
        except NotPositiveDefinite:
            if step == LADDER[-1]:
                raise
    raise NotPositiveDefinite("no step of the jitter ladder was tried", 0)
