"""krigetuner.compat: code that imports KerasTuner gets our own modules, unchanged scripts too.

Each case runs in a process of its own: what is in `sys.modules` belongs to the whole process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "error"}


def python(*arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """A finished Python process."""
    done = subprocess.run(
        [sys.executable, *arguments], env={**QUIET, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def run(code: str) -> list[str]:
    """The lines that code prints after the names have been installed."""
    return python("-c", f"from krigetuner import compat; compat.install()\n{code}").stdout.splitlines()


def test_modules_and_classes_are_the_very_same() -> None:
    code = """
import sys, importlib, krigetuner, keras_tuner
paths = ["tuners", "oracles", "errors", "engine", "applications", "utils", "distribute.utils", "tuners.bayesian",
         "tuners.randomsearch", "tuners.gridsearch", "tuners.sklearn", "engine.hyperparameters"]
paths += [f"engine.{name}" for name in krigetuner.engine.__all__]
for path in paths:
    ours = importlib.import_module(f"krigetuner.{path}")
    for package in ("keras_tuner", "keras_tuner.src"):
        theirs = importlib.import_module(f"{package}.{path}")
        assert theirs is ours is sys.modules[f"{package}.{path}"], path
    assert ours.__name__ == ours.__spec__.name == f"krigetuner.{path}", path
for name in ("RandomSearch", "Oracle", "HyperParameters", "Tuner", "synchronized"):
    assert getattr(keras_tuner, name) is getattr(krigetuner, name)
import keras_tuner.engine.trial as one
from keras_tuner.engine import trial as two
from keras_tuner.src.engine.trial import Trial
assert one is two is krigetuner.engine.trial and Trial is krigetuner.Trial
print(keras_tuner.__version__, krigetuner.__version__ != keras_tuner.__version__)
"""
    assert run(code) == ["1.4.8 True"]


def test_the_names_of_version_1_0() -> None:
    code = """
import warnings
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    import kerastuner as kt
    from kerastuner.tuners.bayesian import BayesianOptimization
    from kerastuner.tuners.randomsearch import RandomSearch
    from kerastuner.engine.multi_execution_tuner import MultiExecutionTuner
    from kerastuner.engine.logger import Logger
    from kerastuner.engine.stateful import Stateful
    from kerastuner.engine.conditions import Condition
    from kerastuner.engine.oracle import Objective
print([w.category.__name__ for w in caught], "use `import keras_tuner`" in str(caught[0].message))
import krigetuner
assert kt.RandomSearch is RandomSearch is krigetuner.RandomSearch
assert kt.oracles.BayesianOptimization is krigetuner.oracles.BayesianOptimizationOracle
assert MultiExecutionTuner is krigetuner.Tuner and issubclass(kt.Trial, Stateful)
"""
    assert run(code) == ["['DeprecationWarning'] True"]


def test_writing_to_the_package_writes_to_ours() -> None:
    code = """
import krigetuner, keras_tuner, unittest.mock
with unittest.mock.patch("keras_tuner.engine.base_tuner.BaseTuner.search") as search:
    assert krigetuner.BaseTuner.search is search
with unittest.mock.patch("keras_tuner.Oracle.get_best_trials", return_value=[1]):
    assert krigetuner.Oracle.get_best_trials() == [1]
with unittest.mock.patch("keras_tuner.RandomSearch", 5):
    assert krigetuner.RandomSearch == 5
assert isinstance(krigetuner.RandomSearch, type)
keras_tuner.__version__ = "1.0.0"
assert krigetuner.__version__ != "1.0.0"
print("RandomSearch" in dir(keras_tuner))
"""
    assert run(code) == ["True"]


def test_packages_that_extend_it() -> None:
    code = """
from keras_tuner.src.api_export import keras_tuner_export
from keras_tuner.protos import get_proto
import keras_tuner.src.engine.oracle as oracle_module

@keras_tuner_export(["keras_tuner.oracles.Own"])
class Own(oracle_module.Oracle):
    def populate_space(self, trial_id):
        return {"status": "STOPPED", "values": None}

print(Own().create_trial("t").status, get_proto().Trial(trial_id="3").trial_id)
from keras_tuner.src.backend import config
import keras_tuner.src.backend.config as same
print(config.multi_backend(), same is config)
"""
    assert run(code) == ["STOPPED 3", "True True"]


def test_modules_that_lie_elsewhere_are_found_as_names_of_their_packages_too() -> None:
    code = """
import krigetuner, keras_tuner
framework = keras_tuner.backend.config.backend()
from keras_tuner.applications import augment, resnet
from keras_tuner.src.engine.hyperparameters import hp_types, hyperparameter
from keras_tuner.protos import keras_tuner_pb2
assert resnet.HyperResNet is keras_tuner.applications.HyperResNet and hp_types.Int is hyperparameter.Int
from krigetuner import backend
import keras_tuner.backend.keras as same
import keras
assert keras_tuner.backend.keras is keras_tuner.src.backend.keras is same is keras
assert framework == keras.backend.backend()
print(backend.__name__, krigetuner.backend is backend)
"""
    assert run(code) == ["krigetuner.backend True"]


def test_pickles_and_copies() -> None:
    code = """
import copy, pickle, keras_tuner as kt
hp = kt.HyperParameters()
hp.Int("units", 1, 4)
again = pickle.loads(pickle.dumps(hp))
assert type(again) is kt.HyperParameters and again.get_config() == hp.get_config()
assert copy.deepcopy(hp).get_config() == hp.get_config()
assert pickle.loads(pickle.dumps(kt.RandomSearch)) is kt.RandomSearch
assert pickle.loads(b"ckeras_tuner.src.engine.hyperparameters.hp_types\\nFloat\\n.") is kt.engine.hyperparameters.Float
print("same")
"""
    assert run(code) == ["same"]


def test_what_does_not_exist() -> None:
    code = """
import importlib.util
for name in ("keras_tuner.nothing", "keras_tuner.engine.nothing", "kerastuner.tuners.ultimate"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error, error.name == name)
print(importlib.util.find_spec("keras_tuner") is not None, importlib.util.find_spec("keras_tuner.nothing"))
try:
    from keras_tuner import Nothing
except ImportError as error:
    print(type(error).__name__)
"""
    lines = run(
        code.replace("import importlib.util", "import warnings, importlib.util\nwarnings.simplefilter('ignore')")
    )
    assert lines == [
        "No module named 'keras_tuner.nothing' True",
        "No module named 'keras_tuner.engine.nothing' True",
        "No module named 'kerastuner.tuners.ultimate' True",
        "True None",
        "ImportError",
    ]


def test_install_comes_first(tmp_path: Path) -> None:
    (tmp_path / "keras_tuner.py").write_text("", encoding="utf-8")
    code = """
import keras_tuner
from krigetuner import compat
try:
    compat.install()
except RuntimeError as error:
    print(error)
print(compat.installed())
"""
    lines = python("-c", code, PYTHONPATH=str(tmp_path)).stdout.splitlines()
    assert lines[0].startswith(
        f"krigetuner.compat.install(): expected keras_tuner not to be imported yet, got the one from {tmp_path}"
    )
    assert "python -m krigetuner.compat" in lines[0]
    assert lines[1] == "False"


def test_uninstall_gives_the_names_back(tmp_path: Path) -> None:
    (tmp_path / "keras_tuner.py").write_text("word = 'theirs'", encoding="utf-8")
    code = """
from krigetuner import compat
compat.install(); compat.install()
import keras_tuner.engine.trial
print(compat.installed(), keras_tuner.__version__)
compat.uninstall(); compat.uninstall()
import keras_tuner
print(compat.installed(), keras_tuner.word)
"""
    lines = python("-c", code, PYTHONPATH=str(tmp_path)).stdout.splitlines()
    assert lines == ["True 1.4.8", "False theirs"]


def test_installing_loads_nothing_heavy() -> None:
    code = """
import sys, keras_tuner, keras_tuner.engine
heavy = ("keras", "tensorflow", "sklearn", "sqlalchemy", "pandas", "grpc", "google.protobuf")
print([m for m in heavy if m in sys.modules])
"""
    assert run(code) == ["[]"]


SCRIPT = """
import sys, beside
import keras_tuner
from keras_tuner.engine.hyperparameters import HyperParameters
assert __name__ == "__main__"
print(beside.word, sys.argv[1:], keras_tuner.RandomSearch.__module__, HyperParameters is keras_tuner.HyperParameters)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script with a module beside it."""
    (tmp_path / "beside.py").write_text("word = 'beside'", encoding="utf-8")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_a_script_as_it_is(script: Path) -> None:
    done = python("-m", "krigetuner.compat", str(script), "0", "--option")
    assert done.stdout.strip() == "beside ['0', '--option'] krigetuner.tuners.classes True"
    assert python("-m", "krigetuner.compat", str(script), "7", code=7).stdout.startswith("beside")


def test_a_module_as_it_is(script: Path) -> None:
    done = python("-m", "krigetuner.compat", "-m", "script", "0", PYTHONPATH=str(script.parent))
    assert done.stdout.strip() == "beside ['0'] krigetuner.tuners.classes True"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "usage: python -m krigetuner.compat script.py"),
        (["-m"], 2, "usage: python -m krigetuner.compat script.py"),
        (["--nothing"], 2, "usage: python -m krigetuner.compat script.py"),
        (["absent.py"], 2, "expected a script, got absent.py, which does not exist"),
        (["--help"], 0, "usage: python -m krigetuner.compat script.py"),
    ],
)
def test_the_command_line(arguments: list[str], code: int, says: str) -> None:
    done = python("-m", "krigetuner.compat", *arguments, code=code)
    assert says in (done.stdout if code == 0 else done.stderr)


def test_workers_know_the_names_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        """
import keras_tuner as kt
from keras_tuner.engine import trial as trials

class Own(kt.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        assert isinstance(trial, trials.Trial) and kt.__version__ == "1.4.8"
        return trial.hyperparameters.Float("x", 0.0, 1.0)
"""
    )
    (tmp_path / "script.py").write_text(
        """
import sys
import keras_tuner as kt
import mine

class Sub(mine.Own):
    def run_trial(self, trial, *args, **kwargs):
        assert kt.__version__ == "1.4.8"
        return super().run_trial(trial)

tuner = Sub(max_trials=2, directory=sys.argv[1])
tuner.search(verbose=0, workers=1)
print([trial.status for trial in tuner.oracle.trials.values()])
"""
    )
    done = python("-m", "krigetuner.compat", str(tmp_path / "script.py"), str(tmp_path))
    assert done.stdout.splitlines() == ["['COMPLETED', 'COMPLETED']"]
