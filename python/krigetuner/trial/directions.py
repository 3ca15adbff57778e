"""Whether a metric is better when small or when large, told from its name without importing Keras.

Names are compared without case and underscores, after taking off `val_`, `weighted_` and the number that Keras appends
to a repeated metric: `val_mean_io_u_2` and `MeanIoU` are one name.
"""

from __future__ import annotations

import re
from typing import Any, Literal

Direction = Literal["min", "max"]

_MAX = """
    acc accuracy binary_accuracy categorical_accuracy sparse_categorical_accuracy top_k_categorical_accuracy
    sparse_top_k_categorical_accuracy balanced_accuracy
    precision recall auc roc_auc pr_auc average_precision f1 f1_score f_beta_score
    precision_at_recall recall_at_precision sensitivity_at_specificity specificity_at_sensitivity
    true_positives true_negatives
    iou binary_iou mean_iou one_hot_iou one_hot_mean_iou
    accuracy_score balanced_accuracy_score top_k_accuracy_score precision_score recall_score jaccard_score
    roc_auc_score average_precision_score ndcg_score explained_variance_score matthews_corrcoef cohen_kappa_score
    r2 r2_score cosine_similarity pearson_correlation concordance_correlation
    score
"""

_MIN = """
    loss crossentropy ce bce
    binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy
    binary_focal_crossentropy categorical_focal_crossentropy categorical_generalized_cross_entropy
    mean_squared_error mse root_mean_squared_error rmse mean_absolute_error mae
    mean_absolute_percentage_error mape mean_squared_logarithmic_error msle
    mean_squared_log_error root_mean_squared_log_error median_absolute_error max_error
    mean_poisson_deviance mean_gamma_deviance mean_tweedie_deviance
    log_cosh log_cosh_error huber hinge squared_hinge categorical_hinge poisson
    kl_divergence kullback_leibler_divergence kld
    ctc circle dice tversky
    false_positives false_negatives
    mean sum
"""

_TELLING_NOTHING = "score mean sum ce dice tversky circle ctc poisson"
"""Names that are known alone, but not as the end of another one: a Brier score is small when good."""

_TURNED = {"neg", "negative", "minus", "inverse"}
"""Words after which a known name means the opposite: neg_mae."""


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


_DIRECTIONS: dict[str, Direction] = {
    **dict.fromkeys(map(_plain, _MAX.split()), "max"),
    **dict.fromkeys(map(_plain, _MIN.split()), "min"),
}
_ENDS = {name: way for name, way in _DIRECTIONS.items() if name not in map(_plain, _TELLING_NOTHING.split())}


def infer_metric_direction(metric: Any) -> Direction | None:
    """Whether a metric or loss is to be minimised ("min") or maximised ("max"); None when its name does not tell.

    Args:
        metric: a name as it appears in Keras' logs, or a Keras metric or loss: object, class or function. The name of
            one output's metric, such as `<output>_loss` or `<output>_mean_absolute_error`, is known too.
    """
    if not isinstance(metric, str):
        return _of_object(metric)
    name = metric.removeprefix("val_").removeprefix("weighted_")
    numberless = re.sub(r"_\d+$", "", name)
    for candidate in (name, numberless):
        found = _DIRECTIONS.get(_plain(candidate))
        if found is not None:
            return found
    return _of_end(numberless.split("_"))


def _of_end(words: list[str]) -> Direction | None:
    """The direction of a name whose last words are a known one, the longest that is."""
    for start in range(1, len(words)):
        found = _ENDS.get(_plain("".join(words[start:])))
        if found is not None:
            turned = words[start - 1] == "at" or not _TURNED.isdisjoint(word.lower() for word in words[:start])
            return None if turned else found  # what is measured "at" a recall need not be a recall
    return None


def _of_object(metric: Any) -> Direction | None:
    kind = metric if isinstance(metric, type) else type(metric)
    wrapped = getattr(metric, "_fn", None)
    if not isinstance(metric, type) and hasattr(metric, "__name__"):
        name, module = metric.__name__, getattr(metric, "__module__", "") or ""
    elif kind.__name__ == "MeanMetricWrapper" and wrapped is not None:
        name, module = getattr(wrapped, "__name__", ""), ""
    else:
        name, module = kind.__name__, kind.__module__
    found = infer_metric_direction(name)
    # A loss is minimised whatever its name: the loss called cosine_similarity is the negated similarity.
    return "min" if found is not None and ".losses" in module else found
