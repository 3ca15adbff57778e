"""What Ray's executor says about its arguments, before any cluster is there."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import krigetuner as kt
from krigetuner.errors import KrigeTunerWarning, MissingDependency
from krigetuner.run.ray import cluster
from krigetuner.run.ray.cluster import actor_options, checked_resources
from krigetuner.run.ray.slot import PAUSE
from krigetuner.run.ray.slots import Slots
from krigetuner.run.ray.worker import Setup
from krigetuner.tuners.search_options import SearchOptions


@pytest.fixture
def _ray() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'krigetuner[ray]'")


@pytest.mark.usefixtures("_ray")
@pytest.mark.parametrize("number", [0, -1, 2.5, True, "4"])
def test_the_number_of_workers_is_positive(number: Any) -> None:
    with pytest.raises(ValueError, match="num_workers: expected a positive number"):
        kt.RayExecutor(num_workers=number)


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        ({"CPU": -1}, "got 'CPU': -1"),
        ({"CPU": "2"}, "got 'CPU': '2'"),
        ({"": 1}, "got '': 1"),
        ({"CPU": float("inf")}, "got 'CPU': inf"),
        ({"CPU": 0}, "expected at least one positive number"),
        ({"GPU": 1.5}, "a whole number of GPUs or a fraction below 1"),
    ],
)
def test_resources_are_numbers_that_ray_can_give(resources: Any, text: str) -> None:
    with pytest.raises(ValueError, match="resources_per_trial: .*" + re.escape(text)):
        checked_resources(resources)


def test_resources_become_options_of_an_actor() -> None:
    assert checked_resources(None) == {"CPU": 1.0}
    assert actor_options({"CPU": 2, "GPU": 0.5, "memory": 1e9}) == {"num_cpus": 2, "num_gpus": 0.5, "memory": 1e9}
    assert actor_options({"large": 1}) == {"num_cpus": 0.0, "resources": {"large": 1}}


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=re.escape("pip install 'krigetuner[ray]'")):
        kt.RayExecutor()


@pytest.mark.usefixtures("_ray")
def test_who_waits_for_workers_of_which_none_is_there_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("krigetuner.run.ray.slots.time.sleep", slept.append)
    slots = Slots(Setup("search", 1, 0.0, False, None, None, None, ""), {"CPU": 1.0}, 1, None)
    assert [list(slots.listen(seconds)) for seconds in (5.0, 0.0)] == [[], []]
    assert slept == [PAUSE, 0.0]


@pytest.mark.usefixtures("_ray")
def test_making_one_loads_no_ray() -> None:
    script = "import sys, krigetuner as kt; kt.RayExecutor(num_workers=2); sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=300, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_ray")
def test_a_cluster_of_this_machine_is_started_compared_and_ended(tmp_path: Any) -> None:
    """The whole of it in a process of its own: what this machine does not have, what it has, and a search."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(path), str(tmp_path)], capture_output=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr.decode()


SCRIPT = """
import os, signal, sys
from pathlib import Path

import psutil
import krigetuner as kt

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.pop("RAY_ADDRESS", None)


class Tuner(kt.BaseTuner):
    def run_trial(self, trial, shift, **_):
        if shift is None:
            import shifts

            shift = shifts.SHIFT
        x = trial.hyperparameters.Float("x", -1, 1)
        return x * x + shift


def make(name):
    oracle = kt.oracles.RandomSearchOracle(objective=kt.Objective("loss", "min"), max_trials=3, seed=1)
    return Tuner(oracle, directory=sys.argv[1], project_name=name)


tuner = make("a")
handler = signal.getsignal(signal.SIGTERM)
try:
    tuner.search(1.0, verbose=0, executor=kt.RayExecutor(resources_per_trial={"CPU": 0.5, "unheard": 1}))
except ValueError as error:
    assert "resources_per_trial: expected what this machine has, {CPU" in str(error), error
else:
    raise RuntimeError("a resource that is not there was given")
where = Path(sys.argv[1], "sent")  # nobody but the workers finds what is in it
where.mkdir()
(where / "shifts.py").write_text("SHIFT = 1.0")
tuner.search(None, verbose=0, executor=kt.RayExecutor(num_workers=1, runtime_env={"working_dir": str(where)}))
assert signal.getsignal(signal.SIGTERM) is handler
plain = make("b")
plain.search(1.0, verbose=0)
scores = [list(t.results().sort_values("trial_id")["score"]) for t in (tuner, plain)]
assert scores[0] == scores[1] and len(scores[0]) == 3, scores
names = [p.name() for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
assert not any("raylet" in name or "gcs_server" in name for name in names), names
"""


@pytest.mark.usefixtures("_ray")
def test_gpus_that_no_trial_asks_for_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def executor(gpus: float | None) -> Any:
        return SearchOptions(executor="ray", gpus_per_trial=gpus).make_executor(tmp_path)

    monkeypatch.setattr(cluster, "offers", lambda: "{CPU 8, GPU 2}")
    monkeypatch.setattr(cluster, "room", lambda resources: 2)
    with pytest.warns(KrigeTunerWarning, match=r"the cluster has GPUs, \{CPU 8, GPU 2\}.* give gpus_per_trial=1"):
        executor(None)._mind_gpus()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for gpus in (0, 0.5, 1):
            executor(gpus)._mind_gpus()
        monkeypatch.setattr(cluster, "room", lambda resources: 0)
        executor(None)._mind_gpus()
