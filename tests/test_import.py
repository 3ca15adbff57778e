"""Importing the package is cheap: nothing heavy is loaded before it is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires

HEAVY = (
    "tensorflow", "keras", "jax", "torch", "sklearn", "scipy.optimize", "scipy.linalg", "scipy.special", "scipy.stats",
    "sqlalchemy", "pandas", "rich", "tensorboard", "sqlite3", "keras_tuner", "krigetuner.backend._cpp",
)  # fmt: skip


def test_import_loads_nothing_heavy() -> None:
    ask = f"[m for m in {(*HEAVY, 'numpy')!r} if m in sys.modules]"
    code = f"import sys, json, krigetuner; krigetuner.__version__; print(json.dumps({ask}))"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
    assert done.stderr == ""


def test_the_extra_tensorflow_keeps_a_tensorflow_for_gpus() -> None:
    wanted = [r for r in requires("krigetuner") or () if 'extra == "tensorflow"' in r.replace("'", '"')]
    assert {re.split(r"[^\w-]", r)[0] for r in wanted} == {"krigetuner", "tensorflow"}  # not tensorflow-cpu


def test_import_reads_no_environment_variable_and_no_backend() -> None:
    code = "import krigetuner; from krigetuner.backend import registry; print(len(registry._State.loaded))"
    environment = {**os.environ, "KRIGETUNER_BACKEND": "nonsense", "KRIGETUNER_SIMD": "nonsense"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "0", done.stderr
