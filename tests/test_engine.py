"""KerasTuner's module paths below `engine`: the same objects, found when they are first used."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import krigetuner as kt

NAMES = {
    "base_tuner": ["BaseTuner"],
    "conditions": ["Condition", "Parent"],
    "hypermodel": ["DefaultHyperModel", "HyperModel", "get_hypermodel"],
    "hyperparameters": [
        "Boolean", "Choice", "Fixed", "Float", "HyperParameter", "HyperParameters", "Int", "deserialize", "serialize",
    ],
    "logger": ["Logger"],
    "metrics_tracking": ["MetricHistory", "MetricObservation", "MetricsTracker", "infer_metric_direction"],
    "multi_execution_tuner": ["MultiExecutionTuner"],
    "objective": ["DefaultObjective", "MultiObjective", "Objective", "create_objective"],
    "oracle": ["Objective", "Oracle", "synchronized"],
    "stateful": ["Stateful"],
    "trial": ["Trial", "TrialStatus", "generate_trial_id"],
    "tuner": ["Tuner", "maybe_distribute"],
    "tuner_utils": [
        "SaveBestEpoch", "TunerCallback", "average_histories", "average_metrics_dicts",
        "convert_hyperparams_to_hparams", "convert_to_metrics_dict", "get_best_step", "validate_trial_results",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", list(NAMES))
def test_a_module_has_its_names(name: str) -> None:
    module = importlib.import_module(f"krigetuner.engine.{name}")
    assert getattr(kt.engine, name) is module
    assert set(NAMES[name]) <= set(module.__all__)
    for public in module.__all__:
        assert getattr(module, public).__module__.startswith("krigetuner.")
    for public in set(NAMES[name]) & set(kt.__all__):
        assert getattr(module, public) is getattr(kt, public)


def test_what_it_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'krigetuner\.engine' has no attribute 'nothing'"):
        kt.engine.nothing  # noqa: B018
    assert set(NAMES) <= set(dir(kt.engine))


def test_the_modules_are_reached_without_an_import() -> None:
    code = (
        "import sys, krigetuner as kt; kt.engine; assert 'krigetuner.engine.trial' not in sys.modules;"
        "print(kt.engine.trial.TrialStatus.COMPLETED, 'keras' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["COMPLETED", "False", "False"]


def test_the_table_of_names_in_the_documents_is_so() -> None:
    text = (Path(__file__).parent.parent / "docs" / "migrating.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(krigetuner[.\w]*)` \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) > 20
    for path, names in rows:
        module = importlib.import_module(path)
        for name in re.split(r"[,;] ", re.sub(r"\([^)]*\)|:.*|; so are.*| and the other.*", "", names)):
            assert hasattr(module, name.strip()), f"{path}.{name}"
