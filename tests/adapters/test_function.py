"""Results of runs: numbers, dicts, Histories and lists of them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from krigetuner.adapters.function import epochs_of, executions, rank
from krigetuner.errors import FatalTypeError, FatalValueError
from krigetuner.run.messages import Execution
from krigetuner.trial.objective import Objective, create_objective

LOSS = Objective("val_loss", "min")
ACCURACY = Objective("val_accuracy", "max")
BOTH = create_objective(["val_loss", "val_accuracy"])


def history(epoch: list[int] | None = None, **columns: list[float]) -> Any:
    length = max(map(len, columns.values()), default=0)
    return SimpleNamespace(history=columns, epoch=list(range(length)) if epoch is None else epoch)


@pytest.mark.parametrize("value", [0.25, 3, np.float32(0.25), np.float64(1.5), np.int64(2), True])
def test_a_number_is_the_objective(value: Any) -> None:
    assert executions(value, LOSS, "run_trial()") == (Execution({"val_loss": float(value)}),)


def test_a_dict_keeps_every_metric() -> None:
    (found,) = executions({"val_loss": np.float32(0.5), "time": 3}, LOSS, "run_trial()")
    assert found == Execution({"val_loss": 0.5, "time": 3.0})


def test_a_history_counts_with_its_best_epoch() -> None:
    h = history(val_accuracy=[0.1, 0.9, 0.9, 0.3], val_loss=[4.0, 3.0, 2.0, 1.0])
    assert executions(h, ACCURACY, "fit()") == (Execution({"val_accuracy": 0.9, "val_loss": 3.0}, 1),)
    assert executions(h, LOSS, "fit()")[0].step == 3


def test_nan_in_the_first_epoch_does_not_spoil_the_later_ones() -> None:
    (found,) = executions(history(val_loss=[math.nan, 2.0, math.nan, 1.0, math.inf]), LOSS, "fit()")
    assert found == Execution({"val_loss": 1.0}, 3)


def test_without_a_finite_epoch_the_infinitely_bad_one_counts_and_nan_last() -> None:
    assert executions(history(val_loss=[math.nan, -math.inf, math.inf]), LOSS, "fit()")[0].step == 2
    assert math.isnan(executions(history(val_loss=[math.nan, -math.inf]), LOSS, "fit()")[0].metrics["val_loss"])


def test_the_step_of_a_history_that_went_on_is_its_own_epoch() -> None:
    assert executions(history(epoch=[5, 6], val_loss=[1.0, 0.5]), LOSS, "fit()")[0].step == 6


def test_validation_every_second_epoch_belongs_to_those_epochs() -> None:
    rows = epochs_of(history(loss=[5.0, 4.0, 3.0, 2.0], val_loss=[1.0, 0.5]))
    assert rows == [
        (0, {"loss": 5.0}),
        (1, {"loss": 4.0, "val_loss": 1.0}),
        (2, {"loss": 3.0}),
        (3, {"loss": 2.0, "val_loss": 0.5}),
    ]
    assert executions(history(loss=[5.0, 4.0, 3.0, 2.0], val_loss=[1.0, 0.5]), LOSS, "fit()")[0].step == 3


def test_lists_keep_each_execution() -> None:
    found = executions([0.5, {"val_loss": 0.25}, [history(val_loss=[3.0, 2.0])]], LOSS, "run_trial()")
    assert [e.metrics["val_loss"] for e in found] == [0.5, 0.25, 2.0]


@pytest.mark.parametrize(
    "result", [{"val_loss": 0.5, "val_accuracy": 0.75}, history(val_loss=[9.0, 0.5], val_accuracy=[0.5, 0.75])]
)
def test_several_objectives_work_with_a_dict_and_a_history(result: Any) -> None:
    (found,) = executions(result, BOTH, "fit()")
    assert found.metrics["multi_objective"] == 0.5 - 0.75


@pytest.mark.parametrize(
    ("result", "objective", "error", "text"),
    [
        (None, LOSS, FatalTypeError, "The return value of fit\\(\\) is None.*Did you forget to return the metrics"),
        (
            {"loss": 1.0, "accuracy": 0.5},
            LOSS,
            FatalValueError,
            "val_loss, as one of the keys; it has \\['accuracy', 'loss'\\]; return it by that name \\(evaluate",
        ),
        ({"val_acc": 1.0}, ACCURACY, FatalValueError, "it has \\['val_acc'\\]; return it by that name"),
        (history(loss=[1.0]), LOSS, FatalValueError, "the History from fit\\(\\).*val_loss.*\\['loss'\\]"),
        (history(), LOSS, FatalValueError, "val_loss"),
        ("0.5", LOSS, FatalTypeError, "one of float, dict, keras.callbacks.History, or a list of one of these types"),
        ({"val_loss": "high"}, LOSS, FatalTypeError, "expected a number for metric 'val_loss', got 'high'"),
        (
            {"val_loss": np.ones(3)},
            LOSS,
            FatalValueError,
            r'one number for val_loss, got values of shape \(3,\); use.*average="macro"',
        ),
        (history(val_loss=[np.ones((2, 1))]), LOSS, FatalValueError, r"one number for val_loss.*\(2, 1\)"),
        (np.ones(2), LOSS, FatalTypeError, "one of float, dict"),
        ({"a": 1.0}, create_objective(None), FatalTypeError, "a single float when `objective` is left unspecified"),
        (0.5, BOTH, FatalValueError, "got the single number 0.5"),
        ({"val_loss": 0.5}, BOTH, FatalValueError, "val_accuracy, as one of the keys"),
        ([], LOSS, FatalValueError, "at least one result"),
        ([0.5, None], LOSS, FatalTypeError, "is None"),
    ],
)
def test_bad_results(result: Any, objective: Objective, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"(?s){text}"):
        executions(result, objective, "fit()")


@pytest.mark.parametrize(
    "result",
    [
        {"val_loss": np.array([0.5]), "each": np.ones(3), "list": [1, 2]},
        history(val_loss=[np.array([[0.5]])], each=[np.ones(3)]),
        np.array([0.5]),
    ],
)
def test_arrays_of_one_number_are_numbers_and_longer_ones_do_no_harm(result: Any) -> None:
    assert executions(result, LOSS, "fit()")[0].metrics == {"val_loss": 0.5}


def test_an_unspecified_objective_takes_a_dict_with_its_name() -> None:
    assert (
        executions({"default_objective": 2, "x": 1}, create_objective(None), "fit()")[0].metrics["default_objective"]
        == 2.0
    )


@given(st.lists(st.floats(), min_size=1), st.sampled_from(["min", "max"]))
def test_rank_orders_finite_then_bad_then_useless(values: list[float], direction: str) -> None:
    best = min(values, key=lambda v: rank(v, direction))
    finite = [v for v in values if math.isfinite(v)]
    if finite:
        assert best == (min if direction == "min" else max)(finite)
    elif any(v == (math.inf if direction == "min" else -math.inf) for v in values):
        assert best == (math.inf if direction == "min" else -math.inf)


@pytest.mark.compat
@pytest.mark.filterwarnings("ignore")
def test_the_same_best_epoch_as_keras_tuner() -> None:
    from keras.callbacks import History
    from keras_tuner.src.engine import objective as theirs
    from keras_tuner.src.engine import tuner_utils

    rng = np.random.default_rng(0)
    for case in range(60):
        h = History()
        length = int(rng.integers(1, 6))
        h.history = {n: np.round(rng.random(length), 1).tolist() for n in ("val_loss", "val_accuracy", "loss")}
        h.epoch = list(range(length))
        name, direction = [("val_loss", "min"), ("val_accuracy", "max")][case % 2]
        goal = theirs.Objective(name, direction)
        (ours,) = executions(h, Objective(name, direction), "fit()")
        assert ours.step == tuner_utils.get_best_step(h, goal)
        assert ours.metrics == tuner_utils.convert_to_metrics_dict(h, goal)
