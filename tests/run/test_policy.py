"""What results are worth, and what follows a failure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from krigetuner.errors import FatalValueError
from krigetuner.run.messages import Execution
from krigetuner.run.policy import after_failure, judge, loss_of, too_many_failures, variance_of_mean


@dataclass
class Goal:
    """An objective over one metric."""

    name: str = "val_loss"
    direction: str = "min"

    def has_value(self, logs: Mapping[str, float]) -> bool:
        return self.name in logs

    def get_value(self, logs: Mapping[str, float]) -> float:
        return logs[self.name]


MIN, MAX = Goal(), Goal("val_loss", "max")
FINITE = st.floats(-1e150, 1e150)


def executions(*scores: float, step: int = 0) -> list[Execution]:
    return [Execution({"val_loss": s}, step) for s in scores]


@given(scores=st.lists(FINITE, min_size=1, max_size=6), goal=st.sampled_from([MIN, MAX]))
def test_the_score_is_the_mean_and_the_variance_that_of_the_mean(scores: list[float], goal: Goal) -> None:
    result = judge(executions(*scores), goal)
    assert result.score == pytest.approx(np.mean(scores), rel=1e-12, abs=1e-12 * max(map(abs, scores)))
    assert loss_of(result.score, goal.direction) == (-result.score if goal.direction == "max" else result.score)
    if len(scores) == 1:
        assert result.variance is None
        assert result.score == scores[0]
    else:
        expected = statistics.variance(scores) / len(scores)
        assert result.variance == pytest.approx(expected, rel=1e-9, abs=1e-12 * max(map(abs, scores)) ** 2)


def test_the_known_answer() -> None:
    given_ = [
        Execution({"val_loss": 1.0, "loss": 4.0}, 3),
        Execution({"val_loss": 2.0}, 4),
        Execution({"val_loss": 6.0, "acc": 1.0}, 7),
    ]
    result = judge(given_, MIN)
    assert (result.score, result.step, result.metrics) == (3.0, 4, {"val_loss": 3.0, "loss": 4.0, "acc": 1.0})
    assert result.variance == pytest.approx(7 / 3)  # spread 4 + 1 + 9, over 2, over 3


@pytest.mark.parametrize(
    ("scores", "direction", "loss"),
    [
        ([math.inf], "min", math.inf),
        ([-math.inf], "max", math.inf),
        ([-math.inf], "min", None),
        ([math.inf], "max", None),
        ([math.nan], "min", None),
        ([1.0, math.nan], "max", None),
        ([1.0, math.inf], "min", math.inf),
        ([math.inf, -math.inf], "min", None),
        ([1e308, 1e308, 1e308], "min", 1e308),
    ],
)
def test_what_is_not_finite(scores: list[float], direction: str, loss: float | None) -> None:
    result = judge(executions(*scores), Goal(direction=direction))
    assert loss_of(result.score, direction) == (None if loss is None else pytest.approx(loss))
    if not all(map(math.isfinite, scores)):
        assert result.variance is None


def test_a_metric_that_is_nan_elsewhere_does_not_matter() -> None:
    result = judge([Execution({"val_loss": 1.0, "other": math.nan})], MIN)
    assert result.score == 1.0
    assert math.isnan(result.metrics["other"])


def test_an_objective_that_is_absent_lists_what_is_there() -> None:
    with pytest.raises(
        FatalValueError, match=r"objective: expected 'val_loss' among the metrics, got \['acc', 'loss'\]; "
    ):
        judge([Execution({"loss": 1.0, "acc": 0.5})], MIN)
    with pytest.raises(FatalValueError, match="executions: expected at least one result, got none; return the metrics"):
        judge([], MIN)


@given(score=st.floats())
def test_a_loss_is_never_infinitely_good_nor_nan(score: float) -> None:
    for direction in ("min", "max"):
        loss = loss_of(score, direction)
        assert loss is None or loss > -math.inf
    assume(math.isfinite(score))
    assert loss_of(score, "min") == score
    assert loss_of(score, "max") == -score


def test_a_spread_too_large_to_square_gives_no_variance() -> None:
    assert variance_of_mean([1e200, -1e200]) is None
    assert variance_of_mean([2.0]) is None
    assert variance_of_mean([2.0, 2.0]) == 0.0


@pytest.mark.parametrize(
    ("kind", "failures", "retries", "expected"),
    [
        ("invalid", 0, 0, "fail"),
        ("invalid", 0, 1, "requeue"),
        ("invalid", 1, 1, "fail"),
        ("invalid", 1, 2, "requeue"),
        ("failed", 0, 5, "fail"),
        ("fatal", 0, 5, "fail"),
        ("interrupted", 9, 0, "requeue"),
    ],
)
def test_after_a_failure(kind: str, failures: int, retries: int, expected: str) -> None:
    assert after_failure(kind, failures, retries) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statuses", "limit", "expected"),
    [
        ("FFF", 3, True),
        ("FF", 3, False),
        ("CFFF", 3, True),
        ("FFCF", 3, False),
        ("FFFC", 3, False),
        ("F", 1, True),
        ("", 1, False),
    ],
)
def test_too_many_failures(statuses: str, limit: int, expected: bool) -> None:
    words = {"F": "FAILED", "C": "COMPLETED"}
    assert too_many_failures([words[s] for s in statuses], limit) is expected
