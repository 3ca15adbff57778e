"""The metrics of a trial: for every metric and step (epoch) one value per execution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from krigetuner.protos import conversion
from krigetuner.trial.directions import infer_metric_direction


class MetricObservation:
    """A metric at one step.

    Args:
        value: a number, or one for each execution.
        step: the step, such as the epoch.
    """

    def __init__(self, value: float | list[float], step: float) -> None:
        self.value: list[float] = list(value) if isinstance(value, list) else [value]
        self.step = step

    def append(self, value: float | list[float]) -> None:
        """Adds the value of another execution, or of several."""
        self.value += value if isinstance(value, list) else [value]

    def mean(self) -> float:
        """The mean over executions."""
        return float(self.value[0]) if len(self.value) == 1 else float(np.mean(self.value))

    def get_config(self) -> dict[str, Any]:
        """Plain data that `from_config` turns back into an equal observation."""
        return {"value": list(self.value), "step": self.step}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MetricObservation:
        """The observation that `get_config` described."""
        return cls(**config)

    def to_proto(self) -> Any:
        """The observation as a message of KerasTuner's protocol, in single precision."""
        return conversion.observation_message(self.get_config())

    @classmethod
    def from_proto(cls, proto: Any) -> MetricObservation:
        """The observation that `to_proto` described."""
        return cls.from_config(conversion.observation_config(proto))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MetricObservation) and other.value == self.value and other.step == self.step

    def __hash__(self) -> int:
        return hash((tuple(self.value), self.step))

    def __repr__(self) -> str:
        return f"MetricObservation(value={self.value}, step={self.step})"


class MetricHistory:
    """One metric over the steps; the best is kept at hand, so that an update costs the same at any length.

    Args:
        direction: "min" or "max".

    Raises:
        ValueError: another direction.
    """

    def __init__(self, direction: str = "min") -> None:
        if direction not in ("min", "max"):
            raise ValueError(f'`direction` should be one of {{"min", "max"}}, but got: {direction}')
        self.direction = direction
        self._observations: dict[float, MetricObservation] = {}
        self._best: MetricObservation | None = None

    def update(self, value: float | list[float], step: float) -> None:
        """Adds a value, or several executions' values, at a step."""
        known = self._observations.get(step)
        if known is None:
            known = self._observations[step] = MetricObservation(value, step)
        else:
            known.append(value)
            if known is self._best or known.mean() == self._best_mean():
                self._find_best()
                return
        if self._beats_best(known):
            self._best = known

    def _best_mean(self) -> float:
        return math.nan if self._best is None else self._best.mean()

    def _beats_best(self, observation: MetricObservation) -> bool:
        value, best = observation.mean(), self._best_mean()
        if math.isnan(best):
            return not math.isnan(value) or self._best is None
        return value < best if self.direction == "min" else value > best

    def _find_best(self) -> None:
        self._best = None
        for observation in self._observations.values():
            if self._beats_best(observation):
                self._best = observation

    def get_best_value(self) -> float | None:
        """The best mean over executions; NaN steps count only where there is nothing else. None without values."""
        return None if self._best is None else self._best.mean()

    def get_best_step(self) -> float | None:
        """The step of the best value, the one reported first among equals; None when that is NaN or there is none."""
        return None if self._best is None or math.isnan(self._best.mean()) else self._best.step

    def get_history(self) -> list[MetricObservation]:
        """The observations in the order of their steps."""
        return sorted(self._observations.values(), key=lambda o: o.step)

    def _count(self, step: float) -> int:
        """How many values a step has."""
        return len(self._observations[step].value) if step in self._observations else 0

    def set_history(self, observations: Iterable[MetricObservation]) -> None:
        """Adds observations to those there are."""
        for observation in observations:
            self.update(list(observation.value), step=observation.step)

    def get_statistics(self) -> dict[str, float]:
        """min, max, mean, median, var and std of the means over executions, NaN left out; empty without values."""
        means = np.array([o.mean() for o in self.get_history()])
        kept = means[~np.isnan(means)]
        names = ("min", "max", "mean", "median", "var", "std")
        if not len(means):
            return {}
        if not len(kept):
            return dict.fromkeys(names, math.nan)
        return {name: float(getattr(np, name)(kept)) for name in names}

    def get_last_value(self) -> float | None:
        """The mean at the last step; None without values."""
        return self._observations[max(self._observations)].mean() if self._observations else None

    def get_config(self) -> dict[str, Any]:
        """Plain data that `from_config` turns back into an equal history."""
        return {"direction": self.direction, "observations": [o.get_config() for o in self.get_history()]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MetricHistory:
        """The history that `get_config` described."""
        made = cls(config["direction"])
        made.set_history(MetricObservation.from_config(o) for o in config["observations"])
        return made

    def to_proto(self) -> Any:
        """The history as a message of KerasTuner's protocol, in single precision."""
        return conversion.history_message(self.get_config())

    @classmethod
    def from_proto(cls, proto: Any) -> MetricHistory:
        """The history that `to_proto` described."""
        return cls.from_config(conversion.history_config(proto))


class MetricsTracker:
    """The histories of a trial's metrics by name.

    Args:
        metrics: objects with a `name` to register at once, such as Keras metrics.
    """

    def __init__(self, metrics: Sequence[Any] | None = None) -> None:
        self.metrics: dict[str, MetricHistory] = {}
        self.register_metrics(metrics)

    def exists(self, name: str) -> bool:
        """Whether a metric is known."""
        return name in self.metrics

    def register_metrics(self, metrics: Sequence[Any] | None = None) -> None:
        """Registers objects by their `name`."""
        for metric in metrics or ():
            self.register(metric.name)

    def register(self, name: str, direction: str | None = None) -> None:
        """Makes a metric known; a direction that is neither given nor told by the name is "min".

        Raises:
            ValueError: it is known already.
        """
        if self.exists(name):
            raise ValueError(f"Metric already exists: {name}. Each metric is registered once")
        self.metrics[name] = MetricHistory(direction or infer_metric_direction(name) or "min")

    def update(self, name: str, value: float, step: float = 0) -> bool:
        """Adds a value at a step, registering the metric if need be.

        Returns:
            Whether the best value changed.
        """
        if not self.exists(name):
            self.register(name)
        history = self.metrics[name]
        before = history.get_best_value()
        history.update(float(value), step=step)
        return history.get_best_value() != before

    def get_history(self, name: str) -> list[MetricObservation]:
        """The observations of a metric in the order of their steps."""
        return self._known(name).get_history()

    def set_history(self, name: str, observations: Iterable[MetricObservation]) -> None:
        """Adds observations to a metric, registering it if need be."""
        if not self.exists(name):
            self.register(name)
        self.metrics[name].set_history(observations)

    def get_best_value(self, name: str) -> float | None:
        """The best mean over executions."""
        return self._known(name).get_best_value()

    def get_best_step(self, name: str) -> float | None:
        """The step of the best value."""
        return self._known(name).get_best_step()

    def get_statistics(self, name: str) -> dict[str, float]:
        """min, max, mean, median, var and std over the steps."""
        return self._known(name).get_statistics()

    def get_last_value(self, name: str) -> float | None:
        """The mean at the last step."""
        return self._known(name).get_last_value()

    def get_direction(self, name: str) -> str:
        """The direction of a metric: "min" or "max"."""
        return self._known(name).direction

    def get_config(self) -> dict[str, Any]:
        """Plain data that `from_config` turns back into an equal tracker (KerasTuner's layout)."""
        return {"metrics": {name: history.get_config() for name, history in self.metrics.items()}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MetricsTracker:
        """The tracker that `get_config` described."""
        made = cls()
        made.metrics = {name: MetricHistory.from_config(c) for name, c in config["metrics"].items()}
        return made

    def to_proto(self) -> Any:
        """The metrics as a message of KerasTuner's protocol, in single precision."""
        return conversion.tracker_message(self.get_config())

    @classmethod
    def from_proto(cls, proto: Any) -> MetricsTracker:
        """The metrics that `to_proto` described."""
        return cls.from_config(conversion.tracker_config(proto))

    def _known(self, name: str) -> MetricHistory:
        if name not in self.metrics:
            raise ValueError(f"Unknown metric: {name}. Known: {', '.join(self.metrics) or 'none'}")
        return self.metrics[name]
