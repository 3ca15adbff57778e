"""Objectives, metric trackers and directions beside KerasTuner's, and every metric and loss of the installed Keras."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import krigetuner.trial as ours

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras
    import keras_tuner
    from keras_tuner.src.engine import metrics_tracking, objective

pytestmark = pytest.mark.compat

LARGE_IS_GOOD = {
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "IoU",
    "MeanIoU",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}
CLASSES = [
    (name, cls)
    for name, cls in inspect.getmembers(keras.metrics, inspect.isclass)
    if name not in ("Metric", "MeanMetricWrapper", "Mean", "Sum")
]
FUNCTIONS = [
    (name, function)
    for module in (keras.metrics, keras.losses)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if name not in ("deserialize", "get", "serialize")
]
LOSSES = [(name, cls) for name, cls in inspect.getmembers(keras.losses, inspect.isclass) if name != "Loss"]


@pytest.mark.parametrize(("name", "cls"), CLASSES)
def test_every_keras_metric(name: str, cls: Any) -> None:
    expected = "max" if name in LARGE_IS_GOOD else "min"
    metric = cls(**ARGUMENTS.get(name, {}))
    plain = re.sub(r"_\d+$", "", metric.name)  # Keras counts the metrics of a process
    for told in (
        name,
        cls,
        metric,
        metric.name,
        f"val_{metric.name}",
        f"val_weighted_{metric.name}",
        f"val_{plain}_3",
    ):
        assert ours.infer_metric_direction(told) == expected, told


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_every_keras_function(name: str, function: Any) -> None:
    good = name.endswith(("accuracy", "correlation"))
    assert ours.infer_metric_direction(f"val_{name}") == ("max" if good or name == "cosine_similarity" else "min")
    assert ours.infer_metric_direction(function) == ("max" if good else "min")
    if good and "correlation" not in name:
        assert ours.infer_metric_direction(keras.metrics.MeanMetricWrapper(function)) == "max"


@pytest.mark.parametrize(("name", "cls"), LOSSES)
def test_every_keras_loss_is_minimised(name: str, cls: Any) -> None:
    assert ours.infer_metric_direction(cls) == "min"
    assert ours.infer_metric_direction(cls()) == "min"
    if name != "CosineSimilarity":
        assert ours.infer_metric_direction(cls().name) == "min"


@pytest.mark.parametrize(
    "name",
    [
        "loss",
        "val_loss",
        "weighted_loss",
        "crossentropy",
        "ce",
        "acc",
        "val_acc",
        "accuracy",
        "val_accuracy",
        "mse",
        "mae",
        "auc",
        "val_auc",
        "val_precision",
        "val_recall",
        "mean_squared_error",
        "hinge",
        "top_k_categorical_accuracy",
        "AUC",
        "MeanSquaredError",
        "unknown",
        "val_unknown",
    ],
)
def test_directions_that_kerastuner_tells_right(name: str) -> None:
    assert ours.infer_metric_direction(name) == keras_tuner.engine.metrics_tracking.infer_metric_direction(name)


@pytest.mark.parametrize("name", ["val_f1_score", "val_r2_score", "val_cosine_similarity"])
def test_directions_that_kerastuner_tells_wrong(name: str) -> None:
    assert objective.create_objective(name).direction == "min"
    assert ours.create_objective(name).direction == "max"


def test_objectives() -> None:
    logs = {"val_loss": 0.5, "val_accuracy": 0.75, "other": 3.0}
    for given_ in (None, "val_loss", "val_accuracy", ["val_loss", "val_accuracy"]):
        mine, old = ours.create_objective(given_), objective.create_objective(given_)
        assert (mine.name, mine.direction, str(mine)) == (old.name, old.direction, str(old))
        assert mine.has_value(logs) == old.has_value(logs)
        assert mine.has_value({}) == old.has_value({})
        for a, b in ((1, 2), (2, 1), (1, 1), (math.nan, 1), (math.inf, 1)):
            assert mine.better_than(a, b) == old.better_than(a, b)
        if given_ is not None:
            assert mine.get_value(logs) == old.get_value(logs)
    for make in (ours.create_objective, objective.create_objective):
        with pytest.raises(ValueError, match="Could not infer optimization direction"):
            make("mystery")
        with pytest.raises(TypeError, match="`objective` not understood"):
            make(3)


updates = st.lists(
    st.tuples(
        st.sampled_from(["loss", "val_accuracy", "mystery"]),
        st.sampled_from([0.0, 0.25, 0.5, 1.0, -3.0, math.nan, math.inf]),
        st.integers(0, 4),
    ),
    max_size=25,
)


def state(tracker: Any, name: str) -> list[Any]:
    """Everything that a tracker tells of a metric."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # KerasTuner's means of infinities and of NaN alone
        statistics = tracker.get_statistics(name)
        return [
            tracker.get_best_value(name),
            tracker.get_best_step(name),
            tracker.get_last_value(name),
            tracker.get_direction(name),
            [(o.value, o.step, o.mean()) for o in tracker.get_history(name)],
            statistics,
        ]


@given(updates=updates)
def test_trackers(updates: list[tuple[str, float, int]]) -> None:
    mine, old = ours.MetricsTracker(), metrics_tracking.MetricsTracker()
    for name, value, step in updates:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            better = old.update(name, value, step)
        with np.errstate(invalid="ignore"):
            told = mine.update(name, value, step)
        assert told == better
    with np.errstate(invalid="ignore"):
        for name in {u[0] for u in updates}:
            np.testing.assert_equal(state(mine, name), state(old, name))
        np.testing.assert_equal(mine.get_config(), old.get_config())
        again = ours.MetricsTracker.from_config(old.get_config())
        np.testing.assert_equal(again.get_config(), old.get_config())


def test_tracker_errors() -> None:
    for tracker in (ours.MetricsTracker(), metrics_tracking.MetricsTracker()):
        tracker.register("loss")
        with pytest.raises(ValueError, match="Metric already exists: loss"):
            tracker.register("loss")
        for ask in (tracker.get_history, tracker.get_best_value, tracker.get_best_step, tracker.get_statistics):
            with pytest.raises(ValueError, match="Unknown metric: x"):
                ask("x")
        with pytest.raises(ValueError, match="`direction` should be one of"):
            tracker.register("y", "up")
        tracker.register("z", direction="max")
        assert tracker.get_direction("z") == "max"
        assert tracker.get_best_value("z") is tracker.get_best_step("z") is tracker.get_last_value("z") is None
        assert tracker.get_statistics("z") == {}
