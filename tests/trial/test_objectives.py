"""Objectives and directions, without Keras."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from krigetuner.trial import DefaultObjective, MultiObjective, Objective, create_objective, infer_metric_direction


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_f1_score", "max"),
        ("val_r2_score", "max"),
        ("val_cosine_similarity", "max"),
        ("val_iou", "max"),
        ("val_mean_io_u", "max"),
        ("val_mean_io_u_2", "max"),
        ("val_precision_1", "max"),
        ("val_weighted_recall", "max"),
        ("score", "max"),
        ("loss", "min"),
        ("val_loss", "min"),
        ("val_mse_12", "min"),
        ("fbeta_score", "max"),
        ("false_positives", "min"),
        ("true_positives", "max"),
        ("MeanIoU", "max"),
        ("val_digits_loss", "min"),
        ("val_digits_accuracy", "max"),
        ("val_b_mae", "min"),
        ("val_b_mean_absolute_error_1", "min"),
        ("out_top_k_categorical_accuracy", "max"),
        ("b_specificity_at_sensitivity", "max"),
        ("val_b_f1_score", "max"),
        ("val_rate_loss", "min"),
        ("neg_mean_absolute_error", None),
        ("neg_log_loss", None),
        ("fpr_at_recall", None),
        ("true_negative_rate", None),
        ("my_dice", None),
        ("val_brier_score", None),
        ("my_metric", None),
        ("", None),
        ("val_", None),
    ],
)
def test_direction(name: str, direction: str | None) -> None:
    assert infer_metric_direction(name) == direction
    if direction is None:
        for make in (create_objective, Objective):
            with pytest.raises(
                ValueError,
                match=r'Could not infer optimization direction \("min" or "max"\) for unknown metric .*direction="min"',
            ):
                make(name)
    else:
        assert create_objective(name) == Objective(name, direction) == Objective(name)


def test_objective() -> None:
    best = Objective("val_recall", "max")
    assert best.better_than(0.6, 0.5)
    assert not best.better_than(0.5, 0.5)
    assert not best.better_than(math.nan, 0.5)
    assert (best.loss(0.5), best.worst) == (-0.5, -math.inf)
    assert (Objective("x", "min").loss(0.5), Objective("x", "min").worst) == (0.5, math.inf)
    assert best != Objective("val_recall", "min")
    assert best != "val_recall"
    assert len({best, Objective("val_recall", direction="max")}) == 1
    assert str(best) == 'Objective(name="val_recall", direction="max")'
    assert create_objective(best) is best


def test_several_objectives() -> None:
    both = create_objective(["val_loss", Objective("speed", "max")])
    assert isinstance(both, MultiObjective)
    assert (both.name, both.direction) == ("multi_objective", "min")
    assert both.has_value({"val_loss": 1, "speed": 2, "x": 3})
    assert not both.has_value({"val_loss": 1})
    assert both.get_value({"x": 9, "speed": 2.0, "val_loss": 1.0}) == -1.0
    assert both == create_objective((Objective("speed", "max"), "val_loss"))
    assert both != create_objective(["val_loss"])
    assert hash(both) == hash(create_objective([Objective("speed", "max"), "val_loss"]))
    with pytest.raises(KeyError, match="speed"):
        both.get_value({"val_loss": 1})


def test_default_objective() -> None:
    assert create_objective(None) == DefaultObjective() == Objective("default_objective", "min")


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (3, TypeError, "`objective` not understood, expected str or `Objective` object"),
        ([], ValueError, "objective: expected at least one objective in the list"),
        (["val_loss", 3], TypeError, "`objective` not understood"),
        ([["mystery"]], ValueError, "Could not infer"),
    ],
)
def test_what_is_no_objective(given: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        create_objective(given)


def test_direction_is_checked() -> None:
    with pytest.raises(ValueError, match="direction: expected \"min\" or \"max\" for the objective 'x', got 'up'"):
        Objective("x", "up")


def test_rooms_load_no_framework() -> None:
    code = (
        "import sys, krigetuner.space, krigetuner.trial;"
        "bad = {'keras', 'tensorflow', 'sklearn', 'scipy', 'pandas', 'sqlalchemy', 'rich'} & set(sys.modules);"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
