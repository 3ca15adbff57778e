"""What happened: objectives, metrics, trials as plain data, and the history that algorithms see."""

from krigetuner.trial.directions import infer_metric_direction
from krigetuner.trial.history import History, Observation, Origin
from krigetuner.trial.metrics import MetricHistory, MetricObservation, MetricsTracker
from krigetuner.trial.objective import DefaultObjective, MultiObjective, Objective, create_objective
from krigetuner.trial.trial import TrialRecord, TrialStatus

__all__ = [
    "DefaultObjective",
    "History",
    "MetricHistory",
    "MetricObservation",
    "MetricsTracker",
    "MultiObjective",
    "Objective",
    "Observation",
    "Origin",
    "TrialRecord",
    "TrialStatus",
    "create_objective",
    "infer_metric_direction",
]
