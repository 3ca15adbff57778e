"""Searches whose record is in PostgreSQL, through the public tuner."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.contracts.store import portrait
from tests.postgresql import Server

import krigetuner as kt
from krigetuner.adapters.context import present_context
from krigetuner.cli import main
from krigetuner.errors import KrigeTunerWarning, StoreError
from krigetuner.store.database import DatabaseStore
from krigetuner.store.replay import fold


@pytest.fixture(scope="module")
def url(postgresql: Server) -> str:
    return postgresql.create("searches")


def build(hp: kt.HyperParameters) -> None:
    hp.Float("x", 0.0, 1.0)
    hp.Choice("kind", ["a", "b"])


class Quick(kt.RandomSearch):
    """Three epochs a trial; something may happen in the middle of one."""

    server: Server | None = None
    at = 2
    again: ClassVar[list[threading.Timer]] = []

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        context = present_context()
        assert context is not None
        for epoch in range(3):
            if self.server is not None and (context.number, epoch) == (self.at, 1):
                self.server.kill()
                self.again.append(threading.Timer(0.4, self.server.start, ["fsync=off"]))
                self.again[-1].start()
            context.report(epoch, {"val_loss": trial.hyperparameters.get("x") + epoch})
        return float(trial.hyperparameters.get("x"))


def tuner(directory: Path, name: str, storage: str | None, trials: int = 5, **more: Any) -> Quick:
    return Quick(
        build, "val_loss", max_trials=trials, seed=1, directory=directory, project_name=name, storage=storage, **more
    )


def told(one: Quick) -> list[Any]:
    return [(t.trial_id, t.status, t.score, t.hyperparameters.values) for t in one.oracle.trials.values()]


def test_a_server_killed_in_the_middle_of_a_search(tmp_path: Path, url: str, postgresql: Server) -> None:
    undisturbed = tuner(tmp_path, "m", "memory")
    undisturbed.search(verbose=0)
    one = tuner(tmp_path, "killed", url)
    one.server = postgresql
    with pytest.warns(KrigeTunerWarning, match="The search waits for it"):
        one.search(verbose=0)
    for timer in one.again:
        timer.join()
    assert told(one) == told(undisturbed)
    one.oracle.close()
    store = DatabaseStore(url, "killed", read_only=True)
    state = store.state()
    assert portrait(state) == portrait(fold(store.read()))
    assert [len(list(store.measurements(number))) for number in state.trials] == [3] * 5
    assert state.ended == list(range(5))
    store.close()


def test_searches_of_one_database_go_on_each_by_its_name(tmp_path: Path, url: str, capsys: Any) -> None:
    for name, trials in (("one", 2), ("two", 3)):
        first = tuner(tmp_path / "here", name, url, trials)
        first.search(verbose=0)
        first.oracle.close()
    again = tuner(tmp_path / "elsewhere", "one", url, 4)  # from another directory, or another machine
    assert len(again.oracle.trials) == 2
    again.search(verbose=0)
    assert len(again.oracle.end_order) == 4
    again.oracle.close()
    fresh = tuner(tmp_path / "here", "two", url, 1, overwrite=True)
    assert fresh.oracle.trials == {}
    fresh.oracle.close()
    assert main(["show", "one", "--storage", url]) == 0
    assert "4 trials: 4 completed" in capsys.readouterr().out
    assert main(["export", "one", "--storage", url, "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert main(["show", "nothing", "--storage", url]) == 1
    error = capsys.readouterr().err
    assert "expected a study named 'nothing', got none; check the project_name (or --study)" in error
    assert "the last that were made there are " in error
    assert "'one'" in error


def test_a_search_moves_to_postgresql_and_back(tmp_path: Path, url: str) -> None:
    first = tuner(tmp_path, "moves", None, 2)
    first.search(verbose=0)
    first.oracle.close()
    assert main(["copy", str(tmp_path / "moves"), url]) == 0
    there = tuner(tmp_path, "moves", url, 4)
    there.search(verbose=0)
    there.oracle.close()
    assert main(["copy", url, str(tmp_path / "back" / "moves")]) == 0
    back = tuner(tmp_path / "back", "moves", None, 6)
    back.search(verbose=0)
    whole = tuner(tmp_path, "whole", "memory", 6)
    whole.search(verbose=0)
    assert told(back) == told(whole)
    back.oracle.close()


def test_a_second_search_of_the_same_name_is_refused(tmp_path: Path, url: str) -> None:
    code = (
        "import sys, krigetuner as kt\nhp = kt.HyperParameters()\nhp.Int('units', 1, 100)\n"
        "one = kt.oracles.RandomSearchOracle('val_loss', hyperparameters=hp, storage=sys.argv[1])\n"
        "one._set_project_dir(sys.argv[2], 'locked')\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, url, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match=rf"held by process {other.pid} on host"):
            tuner(tmp_path / "x", "locked", url)
        other.communicate(timeout=120)
