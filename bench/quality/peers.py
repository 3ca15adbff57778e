"""The peers, each with its library's defaults; a library is imported by the class that wants it.

Conditions are told to the libraries that know them (Optuna, KerasTuner, SMAC); the others search all hyperparameters at
once.
A trial that diverged or failed is told as the library documents it; where it has no word for it, as the worst so far.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench.quality.tasks import Task

import krigetuner as kt
from krigetuner.space.space import Space

Values = Mapping[str, Any]
Array = np.ndarray[Any, np.dtype[np.float64]]
UNLIMITED = 10**6


def parameters(task: Task) -> list[Any]:
    """The task's hyperparameters, in the order of registration."""
    hp = kt.HyperParameters()
    task.define(hp)
    return list(hp.space)


def finite(losses: Sequence[float]) -> list[float]:
    """The losses with the worst finite one in place of those that are not finite; 0 where none is."""
    known = [v for v in losses if math.isfinite(v)]
    worst = max(known, default=0.0)
    return [v if math.isfinite(v) else worst for v in losses]


class Optuna:
    """A study in memory with one of Optuna's samplers; told NaN as a failed trial."""

    def __init__(self, task: Task, seed: int, batch: int, trials: int, sampler: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", module="optuna")
        self._failed = optuna.trial.TrialState.FAIL
        if sampler == "tpe":
            chosen: Any = optuna.samplers.TPESampler(seed=seed, constant_liar=batch > 1)
        else:
            chosen = optuna.samplers.GPSampler(seed=seed)
        self._study = optuna.create_study(sampler=chosen)
        self._parameters = parameters(task)

    def ask(self) -> tuple[Any, Values]:
        trial = self._study.ask()
        values: dict[str, Any] = {}
        for p in self._parameters:
            if not all(condition.is_active(values) for condition in p.conditions):
                continue
            if hasattr(p, "min_value"):
                suggest = trial.suggest_int if p.integer else trial.suggest_float
                values[p.name] = suggest(p.name, p.min_value, p.max_value, log=p.sampling == "log")
            else:
                values[p.name] = trial.suggest_categorical(p.name, list(p.values))
        return trial, values

    def tell(self, ticket: Any, loss: float) -> None:
        if math.isnan(loss):
            self._study.tell(ticket, state=self._failed)
        else:
            self._study.tell(ticket, loss)


class KerasTuner:
    """KerasTuner's BayesianOptimizationOracle; told as INVALID whatever is not finite."""

    def __init__(self, task: Task, seed: int, batch: int, trials: int) -> None:
        import keras_tuner

        hp = keras_tuner.HyperParameters()
        task.define(hp)
        self._oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            objective=keras_tuner.Objective("loss", "min"),
            max_trials=UNLIMITED,
            max_consecutive_failed_trials=UNLIMITED,
            seed=seed,
            hyperparameters=hp,
            allow_new_entries=False,
        )
        self._oracle.verbose = 0
        self._directory = tempfile.TemporaryDirectory()
        self._oracle._set_project_dir(self._directory.name, "bench")
        self._space, self._rng, self._asked = Space(parameters(task)), np.random.default_rng(seed), 0

    def ask(self) -> tuple[Any, Values]:
        self._asked += 1
        trial = self._oracle.create_trial(f"tuner{self._asked}")
        if trial.status == "RUNNING":
            return trial, trial.hyperparameters.values
        # it found configurations that were tried only, and stops
        return None, self._space.decode(self._space.sample(self._rng.random((1, self._space.dimensions)))[0])

    def tell(self, ticket: Any, loss: float) -> None:
        if ticket is None:
            return
        if math.isfinite(loss):
            self._oracle.update_trial(ticket.trial_id, {"loss": loss})
        ticket.status = "COMPLETED" if math.isfinite(loss) else "INVALID"
        self._oracle.end_trial(ticket)


class ScikitOptimize:
    """scikit-optimize's Optimizer; with a batch the open trials are believed to give the least so far ("cl_min")."""

    def __init__(self, task: Task, seed: int, batch: int, trials: int) -> None:
        from skopt import Optimizer
        from skopt.space import Categorical, Integer, Real

        warnings.filterwarnings("ignore", module="s(kopt|klearn)")
        self._names, dimensions = [], []
        for p in parameters(task):
            self._names.append(p.name)
            if hasattr(p, "min_value"):
                kind = Integer if p.integer else Real
                prior = "log-uniform" if p.sampling == "log" else "uniform"
                dimensions.append(kind(p.min_value, p.max_value, prior=prior, name=p.name))
            else:
                dimensions.append(Categorical(list(p.values), name=p.name))
        self._optimizer = Optimizer(dimensions, random_state=seed)
        self._batch, self._open, self._losses = batch, list[Any](), list[float]()

    def ask(self) -> tuple[Any, Values]:
        if not self._open:
            self._open = self._optimizer.ask(n_points=self._batch) if self._batch > 1 else [self._optimizer.ask()]
        point = self._open.pop(0)
        values = [v.item() if isinstance(v, np.generic) else v for v in point]
        return point, dict(zip(self._names, values, strict=True))

    def tell(self, ticket: Any, loss: float) -> None:
        self._losses.append(loss)
        self._optimizer.tell(ticket, finite(self._losses)[-1])


class Box:
    """Configurations as rows in the unit cube, with one column for each value of a category of three or more."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._widths = [p.count if p.categorical and (p.count or 0) > 2 else 1 for p in space.columns]
        self.dimensions = sum(w or 1 for w in self._widths)

    def encode(self, values: Values) -> Array:
        parts = []
        for unit, width in zip(self._space.encode(values), self._widths, strict=True):
            parts.append(np.eye(width)[min(int(unit * width), width - 1)] if width and width > 1 else np.array([unit]))
        return np.concatenate(parts)

    def decode(self, row: Array) -> dict[str, Any]:
        units, at = [], 0
        for width in self._widths:
            part = row[at : at + (width or 1)]
            units.append((int(np.argmax(part)) + 0.5) / len(part) if len(part) > 1 else float(part[0]))
            at += len(part)
        return dict(self._space.decode(self._space.snap(np.array([units]))[0]))


class BoTorch:
    """SingleTaskGP with its defaults and qLogEI under the open trials; the start is a Sobol sequence."""

    def __init__(self, task: Task, seed: int, batch: int, trials: int) -> None:
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        warnings.simplefilter("ignore")
        self._space = Space(parameters(task))
        self._box, self._rng = Box(self._space), np.random.default_rng(seed)
        self._sobol = torch.quasirandom.SobolEngine(self._space.dimensions, scramble=True, seed=seed)
        self._start = max(min(max(self._space.dimensions + 1, 4), 10), batch)
        self._open: list[Any] = []
        self._rows, self._losses, self._known = list[Array](), list[float](), set[str]()

    def ask(self) -> tuple[Any, Values]:
        if len(self._rows) + len(self._open) < self._start:
            values = self._space.decode(self._space.snap(self._sobol.draw(1).numpy().astype(float))[0])
        else:
            values = self._box.decode(self._suggest())
        for _ in range(20):
            if self._space.key(values) not in self._known:
                break
            values = self._space.decode(self._space.sample(self._rng.random((1, self._space.dimensions)))[0])
        self._known.add(self._space.key(values))
        ticket = self._box.encode(values)
        self._open.append(ticket)
        return ticket, values

    def tell(self, ticket: Any, loss: float) -> None:
        self._open = [row for row in self._open if row is not ticket]
        self._rows.append(ticket)
        self._losses.append(loss)

    def _suggest(self) -> Array:
        import torch
        from botorch.acquisition import qLogExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.optim import optimize_acqf
        from gpytorch.mlls import ExactMarginalLogLikelihood

        x = torch.tensor(np.array(self._rows), dtype=torch.double)
        y = -torch.tensor(finite(self._losses), dtype=torch.double)[:, None]
        model = SingleTaskGP(x, y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        pending = torch.tensor(np.array(self._open), dtype=torch.double) if self._open else None
        acquisition = qLogExpectedImprovement(model, best_f=y.max(), X_pending=pending)
        bounds = torch.tensor([[0.0], [1.0]], dtype=torch.double).expand(2, self._box.dimensions)
        found, _ = optimize_acqf(acquisition, bounds=bounds, q=1, num_restarts=4, raw_samples=128)
        return np.asarray(found[0].detach().numpy(), dtype=np.float64)


class Smac:
    """SMAC's facade for hyperparameters (random forest) or for black boxes (Gaussian process), asked and told.

    Every trial counts once ("deterministic"). The length of the start follows from the number of trials.
    """

    def __init__(self, task: Task, seed: int, batch: int, trials: int, facade: str) -> None:
        import smac
        from ConfigSpace import Categorical, ConfigurationSpace, Float, InCondition, Integer

        warnings.filterwarnings("ignore", module="s(mac|klearn)|numpy")
        space = ConfigurationSpace(seed=seed)
        self._parameters = {p.name: p for p in parameters(task)}
        for p in self._parameters.values():
            if hasattr(p, "min_value"):
                kind = Integer if p.integer else Float
                space.add(kind(p.name, (p.min_value, p.max_value), log=p.sampling == "log"))
            else:
                space.add(Categorical(p.name, list(range(len(p.values)))))
            for condition in p.conditions:
                places = [self._parameters[condition.name].values.index(v) for v in condition.values]
                space.add(InCondition(space[p.name], space[condition.name], places))
        self._directory = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(
            space, n_trials=trials, deterministic=True, seed=seed, output_directory=Path(self._directory.name)
        )
        # logging_level=False: its own setting of the logs stays away
        self._facade = getattr(smac, facade)(scenario, _never, overwrite=True, logging_level=False)
        self._space, self._rng = Space(list(self._parameters.values())), np.random.default_rng(seed)
        self._losses = list[float]()

    def ask(self) -> tuple[Any, Values]:
        try:
            ticket = self._facade.ask()
        except StopIteration:
            # it found configurations that were tried only, and stops
            return None, self._space.decode(self._space.sample(self._rng.random((1, self._space.dimensions)))[0])
        found = {name: v.item() if isinstance(v, np.generic) else v for name, v in ticket.config.items()}
        for name, value in found.items():
            if not hasattr(self._parameters[name], "min_value"):
                found[name] = self._parameters[name].values[value]
        return ticket, found

    def tell(self, ticket: Any, loss: float) -> None:
        from smac.runhistory.dataclasses import TrialValue

        self._losses.append(loss)
        if ticket is not None:
            self._facade.tell(ticket, TrialValue(cost=finite(self._losses)[-1]), save=False)


def _never(config: Any, seed: int = 0) -> float:
    """What SMAC would call if it ran the trials itself."""
    raise RuntimeError(f"expected to be asked only, was called for {config} and seed {seed}")


class Hebo:
    """HEBO's optimizer; it leaves out by itself what is not finite."""

    def __init__(self, task: Task, seed: int, batch: int, trials: int) -> None:
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        # the evolution and the choice from the front draw from numpy's global generator
        np.random.seed(seed)  # noqa: NPY002
        warnings.simplefilter("ignore")
        self._parameters, described = parameters(task), []
        for p in self._parameters:
            if hasattr(p, "min_value"):
                kind = {"linear": ("num", "int"), "log": ("pow", "pow_int")}[p.sampling][p.integer]
                described.append({"name": p.name, "type": kind, "lb": p.min_value, "ub": p.max_value})
            else:
                described.append({"name": p.name, "type": "cat", "categories": list(range(len(p.values)))})
        self._optimizer = HEBO(DesignSpace().parse(described), scramble_seed=seed)
        self._batch, self._open = batch, list[Any]()

    def ask(self) -> tuple[Any, Values]:
        if not self._open:
            rows = self._optimizer.suggest(n_suggestions=self._batch)
            self._open = [rows.iloc[[i]] for i in range(len(rows))]
        row = self._open.pop(0)
        values: dict[str, Any] = {}
        for p in self._parameters:
            value = row[p.name].iloc[0]
            if not hasattr(p, "min_value"):
                values[p.name] = p.values[int(value)]
            else:
                values[p.name] = int(value) if p.integer else float(value)
        return row, values

    def tell(self, ticket: Any, loss: float) -> None:
        self._optimizer.observe(ticket, np.array([[loss]]))
