"""Writes the results of every verb of the C++ backend to a file; test_simd.py runs it at each SIMD level."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from tests.contracts.problems import ACQUISITIONS, FAMILIES, make_problem

from krigetuner.backend import _cpp
from krigetuner.backend.protocol import AcquisitionSpec
from krigetuner.backend.registry import get_backend


def results() -> dict[str, Any]:
    """Everything the backend computes, for each kernel and for sizes around the borders of blocks."""
    backend = get_backend("cpp")
    out: dict[str, Any] = {}
    for family in FAMILIES:
        for n, d in ((1, 1), (7, 3), (33, 8), (130, 5), (301, 9)):
            p = make_problem(n, n=n, m=19, d=d, family=family)
            fitted = backend.fit(p.x, p.y, p.noise, p.hyper)
            longer = backend.extend(fitted, p.candidates[:3], np.append(p.y, [0.1, 0.2, 0.3]), np.full(3, 0.1))
            key = f"{family} {n} {d}"
            out |= {
                f"{key} kernel {g}": backend.kernel(p.candidates, p.x, p.hyper, g) for g in ("none", "hyper", "query")
            }  # type: ignore[arg-type]
            out[f"{key} symmetric"] = backend.kernel(p.x, None, p.hyper)
            likelihood = backend.likelihood(p.x, p.y, p.noise[None], [p.hyper])
            out |= {f"{key} likelihood {f}": getattr(likelihood, f) for f in likelihood._fields}
            for name, one in (("fit", fitted), ("extend", longer)):
                out[f"{key} {name} mean"], out[f"{key} {name} variance"] = backend.predict(one, p.candidates)
            out[f"{key} sample"] = backend.sample(fitted, p.candidates, np.eye(19), 1e-4)
            for kind in ACQUISITIONS:
                scored = backend.score(fitted, p.candidates, AcquisitionSpec(kind, -0.5), gradient=True)  # type: ignore[arg-type]
                out[f"{key} {kind}"], out[f"{key} {kind} gradient"] = scored
    return out


if __name__ == "__main__":
    np.savez(sys.argv[1], level=np.array(_cpp.simd_level()), **results())
