"""Where trials run: what search() accepts, what it refuses, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.tuners.courier import Courier
from tests.tuners.parabola import Parabola

from krigetuner.run.local.processes import ProcessExecutor
from krigetuner.run.sequential import SequentialExecutor
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.search_options import SearchOptions


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"workers": 0}, r'workers: expected a whole number from 1 on, or "auto", got 0'),
        ({"workers": 2.5}, "workers: expected a whole number.*got 2.5"),
        ({"workers": True}, "workers: expected a whole number.*got True"),
        ({"workers": "four"}, "workers: expected a whole number.*got 'four'"),
        ({"trial_timeout": 0}, "trial_timeout: expected seconds above 0, got 0; leave it out"),
        ({"trial_timeout": -1.0}, "trial_timeout: expected seconds above 0.*got -1.0"),
        ({"trial_timeout": float("nan")}, "trial_timeout: expected seconds above 0.*got nan"),
        ({"trial_timeout": "60"}, "trial_timeout: expected seconds above 0.*got '60'"),
        ({"isolate_trials": "yes"}, "isolate_trials: expected True or False, got 'yes'"),
        ({"gpus_per_trial": -1}, "gpus_per_trial: expected GPUs from 0 on.*got -1"),
        ({"cpus_per_trial": 0.5}, "cpus_per_trial: expected a whole number of cores.*got 0.5"),
        ({"executor": "dask"}, 'executor: expected "processes", "ray", an Executor or None, got \'dask\''),
        ({"executor": Courier(), "workers": 3}, "workers: expected none beside an executor object, got 3; give it to"),
        ({"executor": SequentialExecutor(), "trial_timeout": 5}, "trial_timeout: expected none with an executor"),
        ({"executor": Courier(), "isolate_trials": True}, "isolate_trials: expected none beside an executor object"),
    ],
)
def test_bad_options(given: dict[str, Any], text: str, tmp_path: Path, opened: list[BaseTuner]) -> None:
    opened.append(Parabola(max_trials=1, directory=tmp_path))
    with pytest.raises(ValueError, match=text):
        opened[0].search(**given)
    assert not opened[0].oracle.trials


@pytest.mark.parametrize("executor", [Courier, 4, object()])
def test_what_is_no_executor(executor: Any) -> None:
    with pytest.raises(TypeError, match=r"executor: expected .* make one, for instance ProcessExecutor\(workers=4\)"):
        SearchOptions(executor=executor)


@pytest.mark.parametrize(
    ("given", "workers"),
    [
        ({"workers": 3}, 3),
        ({"isolate_trials": True}, 1),
        ({"trial_timeout": 5.0}, 1),
        ({"gpus_per_trial": 0}, 1),
        ({"executor": "processes", "workers": 2}, 2),
    ],
)
def test_processes_are_taken_where_something_asks_for_them(given: Any, workers: int, tmp_path: Path) -> None:
    executor = SearchOptions(**given).make_executor(tmp_path)
    assert isinstance(executor, ProcessExecutor)
    assert executor.capacity == workers
    assert executor.logs == tmp_path


def test_nothing_asked_for_is_this_process(tmp_path: Path) -> None:
    assert isinstance(SearchOptions().make_executor(tmp_path), SequentialExecutor)
    assert SearchOptions().single
    assert SearchOptions(isolate_trials=True).single
    assert not SearchOptions(workers=2).single
    assert not SearchOptions(executor="processes").single


def test_an_executor_without_a_place_for_logs_gets_one(tmp_path: Path) -> None:
    executor = ProcessExecutor(1)
    assert SearchOptions(executor=executor).make_executor(tmp_path) is executor
    assert executor.logs == tmp_path
    executor.close()  # as a search does in its end; the next one may be another project's
    assert executor.logs is None
    elsewhere = ProcessExecutor(1, logs=tmp_path / "elsewhere")
    SearchOptions(executor=elsewhere).make_executor(tmp_path)
    assert elsewhere.logs == tmp_path / "elsewhere"


def test_more_gpus_than_there_are(tmp_path: Path, opened: list[BaseTuner], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    opened.append(Parabola(max_trials=1, directory=tmp_path))
    with pytest.raises(ValueError, match="gpus_per_trial"):
        opened[0].search(workers=3, gpus_per_trial=1)
    assert not opened[0].oracle.trials


@pytest.mark.parametrize("name", ["chief", "worker0"])
def test_chief_and_workers_refuse(
    name: str, tmp_path: Path, opened: list[BaseTuner], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.append(Parabola(max_trials=1, directory=tmp_path))
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", name)
    with pytest.raises(ValueError, match=r"search: expected no workers=2 where KERASTUNER_ORACLE_IP names a chief"):
        opened[0].search(workers=2)


def test_run_trial_does_not_get_them(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Keywords(Parabola):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            assert args == (1,)
            assert kwargs == {"verbose": 0, "epochs": 3}
            return super().run_trial(trial)

    opened.append(Keywords(max_trials=1, directory=tmp_path))
    opened[0].search(1, epochs=3, verbose=0, executor=Courier(), trial_timeout=9)
    assert opened[0].oracle.trials["0"].status == "COMPLETED"
