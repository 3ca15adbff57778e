"""BoTorch with hyperparameters as they are, on a GPU: likelihoods, a sweep of candidates, a suggestion."""

from __future__ import annotations

from typing import Any

import gpytorch
import numpy as np
import numpy.typing as npt
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf

Array = npt.NDArray[np.float64]
BATCH = 4000
"""Candidates at a time: 10,000 observations of them fit the memory with their derivatives."""


class BoTorch:
    """One problem.

    Args:
        x, y: (n, d) rows and (n,) outputs, to be minimised.
        candidates: (m, d) rows to sweep.
        best: the incumbent's y.
        device: torch's name of where to compute.
    """

    def __init__(self, x: Array, y: Array, candidates: Array, best: float, device: str) -> None:
        self._place = {"device": device, "dtype": torch.float64}
        self._x, self._y = torch.tensor(x, **self._place), torch.tensor(-y, **self._place)[:, None]
        self._batches = torch.tensor(candidates, **self._place)[:, None].split(BATCH)
        self._best = -best
        self._model = self._fitted()

    def _fitted(self) -> Any:
        noise = torch.full_like(self._y, 1e-2)
        return SingleTaskGP(self._x, self._y, noise, outcome_transform=None).to(**self._place)

    def likelihoods(self, times: int) -> Any:
        """Log likelihoods with gradients, one after the other."""
        model = self._model.train()
        likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
        for _ in range(times):
            model.zero_grad()
            likelihood(model(*model.train_inputs), model.train_targets).backward()
        return [p.grad.cpu() for p in model.parameters() if p.grad is not None]

    def sweep(self) -> Any:
        """Gradients of log EI at all candidates."""
        value, slopes = LogExpectedImprovement(self._model.eval(), best_f=self._best), []
        for batch in self._batches:
            rows = batch.clone().requires_grad_(True)
            slopes.append(torch.autograd.grad(value(rows).sum(), rows)[0])
        return torch.cat(slopes).cpu()

    def suggest(self, starts: int, steps: int) -> Any:
        """The end of an ascent from the best candidates, with a model that is made anew."""
        value = LogExpectedImprovement(self._fitted().eval(), best_f=self._best)
        with torch.no_grad():
            values = torch.cat([value(batch) for batch in self._batches])
        begin = torch.cat(self._batches)[values.topk(starts).indices]
        box = torch.stack([torch.zeros_like(self._x[0]), torch.ones_like(self._x[0])])
        options = {"maxiter": steps}
        return optimize_acqf(value, box, 1, starts, batch_initial_conditions=begin, options=options)[0].cpu()
