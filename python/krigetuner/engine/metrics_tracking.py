"""Metrics of trials, and the direction that a metric's name tells. Names of `keras_tuner.engine.metrics_tracking`."""

from __future__ import annotations

from krigetuner.trial.directions import infer_metric_direction
from krigetuner.trial.metrics import MetricHistory, MetricObservation, MetricsTracker

__all__ = ["MetricHistory", "MetricObservation", "MetricsTracker", "infer_metric_direction"]
