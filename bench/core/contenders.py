"""Who computes what: for each part of a suggestion, one prepared call of each library that offers it."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from krigetuner.backend.protocol import AcquisitionSpec, KernelHyper
from krigetuner.backend.registry import get_backend, why_absent

Call = Callable[[], Any]
DIMENSIONS = 8
RIGHT_SIDES = 256
CANDIDATES = 10_000
STARTS = 16
NOISE = 1e-2


class Inputs:
    """One problem of n observations: what every contender is given."""

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(n)
        self.x = rng.random((n, DIMENSIONS))
        self.y = np.sin(4 * self.x).sum(axis=1) + 0.1 * rng.normal(size=n)
        self.y = (self.y - self.y.mean()) / self.y.std()
        self.noise = np.full(n, NOISE)
        self.hyper = KernelHyper(rng.uniform(0.5, 1.5, DIMENSIONS), 1.3, np.zeros(DIMENSIONS, dtype=bool), "matern52")
        self.candidates = rng.random((CANDIDATES, DIMENSIONS))
        self.starts = self.candidates[:STARTS].copy()
        self.right = rng.normal(size=(n, RIGHT_SIDES))
        self.best = float(self.y.min())
        gram = get_backend("numpy").kernel(self.x, None, self.hyper)
        self.gram = np.ascontiguousarray(gram + np.diag(self.noise))
        self.lower = np.ascontiguousarray(np.linalg.cholesky(self.gram))


def flops(part: str, n: int) -> float:
    """Multiplications and additions of a part, an exponential counted as 34 of them."""
    entry = 3 * DIMENSIONS + 34
    return {
        "kernel": entry * n * (n + 1) / 2,
        "cholesky": n**3 / 3,
        "solve": RIGHT_SIDES * n**2,
        "likelihood": n**3 + 2 * n**2 + n**2 / 2 * (6 * DIMENSIONS + 40),
        "posterior": CANDIDATES * (n**2 + n * entry + 4 * n),
        "ei": STARTS * (2 * n**2 + n * (entry + 3 * DIMENSIONS + 6)),
    }[part]


def contenders(given: Inputs) -> dict[str, dict[str, Call]]:
    """Calls by part and by name of the library; libraries that are absent are left out."""
    found: dict[str, dict[str, Call]] = {}
    for offers in (_krigetuner, _scipy, _scikit_learn, _botorch):
        for name, calls in offers(given).items():
            for part, call in calls.items():
                found.setdefault(part, {})[name] = call
    return found


def _krigetuner(g: Inputs) -> dict[str, dict[str, Call]]:
    found: dict[str, dict[str, Call]] = {}
    for name in ("cpp", "numpy"):
        if name not in why_absent():
            found[f"krigetuner {name}"] = _verbs(name, g)
    if "krigetuner cpp" in found:
        from krigetuner.backend import _cpp

        found["krigetuner cpp"] |= {
            "cholesky": lambda: _cpp.cholesky(g.gram),
            "solve": lambda: _cpp.solve_lower(g.lower, g.right),
        }
    return found


def _verbs(name: str, g: Inputs) -> dict[str, Call]:
    backend = get_backend(name)
    fitted = backend.fit(g.x, g.y, g.noise, g.hyper)
    spec = AcquisitionSpec("logei", g.best)
    return {
        "kernel": lambda: backend.kernel(g.x, None, g.hyper),
        "likelihood": lambda: backend.likelihood(g.x, g.y, g.noise[None], [g.hyper]),
        "posterior": lambda: backend.predict(fitted, g.candidates),
        "ei": lambda: backend.score(fitted, g.starts, spec, gradient=True),
    }


def _scipy(g: Inputs) -> dict[str, dict[str, Call]]:
    from scipy.linalg.blas import dtrsm
    from scipy.linalg.lapack import dpotrf

    gram, lower, right = g.gram.T, np.asfortranarray(g.lower), np.asfortranarray(g.right)
    return {
        "scipy (OpenBLAS)": {
            "cholesky": lambda: dpotrf(gram, lower=1, clean=1),
            "solve": lambda: dtrsm(1.0, lower, right, lower=1),
        }
    }


def _scikit_learn(g: Inputs) -> dict[str, dict[str, Call]]:
    if importlib.util.find_spec("sklearn") is None:
        return {}
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    kernel = ConstantKernel(g.hyper.variance) * Matern(g.hyper.lengthscales, nu=2.5)
    model = GaussianProcessRegressor(kernel, alpha=g.noise, optimizer=None).fit(g.x, g.y)
    return {
        "scikit-learn": {
            "kernel": lambda: kernel(g.x),
            "likelihood": lambda: model.log_marginal_likelihood(kernel.theta, eval_gradient=True),
            "posterior": lambda: model.predict(g.candidates, return_std=True),
        }
    }


def _botorch(g: Inputs) -> dict[str, dict[str, Call]]:
    if any(importlib.util.find_spec(name) is None for name in ("torch", "gpytorch", "botorch")):
        return {}
    import gpytorch
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.models import SingleTaskGP

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    x, y = torch.from_numpy(g.x), torch.from_numpy(-g.y)[:, None]
    covariance = gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=DIMENSIONS))
    covariance.base_kernel.lengthscale = torch.from_numpy(g.hyper.lengthscales)
    covariance.outputscale = g.hyper.variance
    model = SingleTaskGP(
        x,
        y,
        torch.full_like(y, NOISE),
        covar_module=covariance,
        mean_module=gpytorch.means.ZeroMean(),
        outcome_transform=None,
    )
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    # the fastest of the ways we tried that is exact: batches of single points, cached factor, Cholesky at every size
    batches = torch.from_numpy(g.candidates)[:, None].split(500)

    def exact() -> Any:
        settings = contextlib.ExitStack()
        settings.enter_context(gpytorch.settings.fast_pred_var(True))
        settings.enter_context(gpytorch.settings.max_cholesky_size(10_000))
        return settings

    def kernel() -> Any:
        with torch.no_grad():
            return covariance(x).to_dense()

    def value_and_gradient() -> Any:
        model.train()
        model.zero_grad()
        with exact():
            value = likelihood(model(*model.train_inputs), model.train_targets)
            value.backward()
        return value

    def posterior() -> Any:
        model.eval()
        with torch.no_grad(), exact():
            found = [model.posterior(batch) for batch in batches]
            return [(one.mean, one.variance) for one in found]

    def improvement() -> Any:
        model.eval()
        starts = torch.from_numpy(g.starts)[:, None].requires_grad_(True)
        with exact():
            value = LogExpectedImprovement(model, best_f=-g.best)(starts)
            return torch.autograd.grad(value.sum(), starts)

    return {"BoTorch": {"kernel": kernel, "likelihood": value_and_gradient, "posterior": posterior, "ei": improvement}}
