"""The conductor of a search on a Ray cluster is killed, ended and started again; workers are killed beside."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.faults import campaign_ledger as ledger
from tests.ray_nodes import await_no_workers, nodes, workers

from krigetuner.store.database import DatabaseStore
from krigetuner.store.replay import StudyState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).with_name("ray_script.py")
ENDLESS = 10_000
PATIENCE = 150.0


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster with room for two trials."""
    with nodes(2) as cluster:
        yield cluster.address


def broken_connections() -> dict[str, str]:
    """The environment in which Ray loses some of the calls of actors, and more of their answers."""
    import ray

    if not ray.__version__.startswith("2.60."):  # how to ask for it is not public
        return {}
    calls = {"num_failures": 6, "req_failure_prob": 20, "resp_failure_prob": 40}
    return {
        "RAY_testing_rpc_failure": json.dumps({"CoreWorkerService.grpc_client.PushTask": calls}),
        "RAY_testing_rpc_failure_avoid_intra_node_failures": "0",
    }


class Campaign:
    """One search that is started again and again."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self.address = address
        self.diary = ledger.Diary()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, trials: int, environment: dict[str, str] | None = None) -> None:
        command = [sys.executable, str(SCRIPT), str(self.directory), self.address, str(trials)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})})

    def progress(self, count: int) -> None:
        """Waits until so many more trials have ended."""
        self.diary.refresh(self.directory / "diary")
        before, end = len(list(self.diary.told("ended"))), time.monotonic() + PATIENCE
        while len(list(self.diary.told("ended"))) < before + count:
            assert self.process is not None
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            assert time.monotonic() < end
            time.sleep(0.02)
            self.diary.refresh(self.directory / "diary")

    def end(self, how: signal.Signals | None = None) -> int:
        """The exit code of the process, after a signal or by itself."""
        assert self.process is not None
        if how is not None:
            self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=PATIENCE)
        sys.stderr.write(errors.decode())
        return self.process.returncode

    def read(self) -> tuple[ledger.Numbered, StudyState]:
        store = DatabaseStore(self.directory / "search" / "study.sqlite", "study", read_only=True)
        try:
            return list(store.read()), store.state()
        finally:
            store.close()


def kill_a_worker(chance: random.Random) -> None:
    """Kills one of the actors; between two of them there may be none for a moment."""
    end = time.monotonic() + PATIENCE
    while not (found := workers()):
        assert time.monotonic() < end
        time.sleep(0.02)
    with suppress(psutil.NoSuchProcess):
        chance.choice(found).kill()


def test_nothing_is_lost_and_nothing_is_left_behind(tmp_path: Path, address: str) -> None:
    campaign, chance = Campaign(tmp_path, address), random.Random(4)
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        campaign.start(ENDLESS, broken_connections() if how is signal.SIGTERM else None)
        campaign.progress(5)
        kill_a_worker(chance)
        campaign.progress(5)
        time.sleep(chance.uniform(0, 0.05))
        code = campaign.end(how)
        assert code == -how if how is signal.SIGKILL else code != 0
        await_no_workers()
    events, state = campaign.read()
    campaign.start(len(state.trials) + 3)
    assert campaign.end() == 0
    await_no_workers()
    events, state = campaign.read()
    campaign.diary.refresh(tmp_path / "diary")
    problems = [
        *ledger.record_problems(events, state),
        *ledger.result_problems(events, state, continued=False),
        *ledger.diary_problems(campaign.diary, events, synchronous=False),
        *ledger.replay_problems(events, "bayesian"),
    ]
    assert not problems
    for trial in state.trials.values():
        log = tmp_path / "search" / f"trial_{trial.trial_id}" / "output.log"
        assert f"this is {trial.trial_id}\n" in log.read_text()
    assert state.closed is not None
    assert state.closed.startswith("max_trials")
