"""Metric histories: the running best against a search through everything."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krigetuner.trial import MetricHistory, MetricObservation, MetricsTracker


@pytest.mark.parametrize("direction", ["min", "max"])
@given(updates=st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0, math.nan]), st.integers(0, 4)), max_size=30))
@settings(max_examples=150)
def test_the_running_best_is_the_best(direction: str, updates: list[tuple[float, int]]) -> None:
    history = MetricHistory(direction)
    values: dict[int, list[float]] = {}
    for value, step in updates:
        history.update(value, step)
        values.setdefault(step, []).append(value)
        means = {s: float(np.mean(v)) for s, v in values.items()}
        known = {s: m for s, m in means.items() if not math.isnan(m)}
        best = history.get_best_value()
        if known:
            expected = min(known.values()) if direction == "min" else max(known.values())
            assert best == expected
            assert history.get_best_step() == next(s for s, m in known.items() if m == expected)
        else:
            assert best is not None
            assert math.isnan(best)
            assert history.get_best_step() is None
        assert [o.step for o in history.get_history()] == sorted(values)


def test_executions_are_averaged() -> None:
    tracker = MetricsTracker()
    assert tracker.update("val_accuracy", 0.5, step=3)
    assert tracker.update("val_accuracy", 0.7, step=3)
    assert not tracker.update("val_accuracy", 0.1, step=4)
    assert tracker.get_history("val_accuracy") == [MetricObservation([0.5, 0.7], 3), MetricObservation(0.1, 4)]
    assert tracker.get_best_value("val_accuracy") == pytest.approx(0.6)
    assert tracker.get_best_step("val_accuracy") == 3
    assert tracker.get_last_value("val_accuracy") == 0.1


def test_statistics() -> None:
    tracker = MetricsTracker()
    for step, value in enumerate([1.0, 2.0, 4.0, math.nan]):
        tracker.update("loss", value, step)
    expected = {"min": 1.0, "max": 4.0, "mean": 7 / 3, "median": 2.0, "var": 14 / 9, "std": math.sqrt(14 / 9)}
    assert tracker.get_statistics("loss") == pytest.approx(expected)
    tracker.update("x", math.nan)
    assert all(math.isnan(v) for v in tracker.get_statistics("x").values())


def test_metrics_are_registered_by_name() -> None:
    tracker = MetricsTracker([SimpleNamespace(name="auc"), SimpleNamespace(name="mystery")])
    assert (tracker.get_direction("auc"), tracker.get_direction("mystery")) == ("max", "min")
    tracker.set_history("loss", [MetricObservation([1.0, 3.0], 0), MetricObservation(0.5, 1)])
    assert tracker.get_best_step("loss") == 1
    assert MetricsTracker.from_config(tracker.get_config()).get_config() == tracker.get_config()
    with pytest.raises(ValueError, match=r"Unknown metric: acc\. Known: auc, mystery, loss"):
        tracker.get_history("acc")
