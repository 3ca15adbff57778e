"""The face of the chief's oracle on a worker: what is told there arrives here, and the other way round."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.ports import free_port

import krigetuner as kt
from krigetuner.errors import TrialTaken
from krigetuner.run.network import link
from krigetuner.run.network.role import Role
from krigetuner.run.network.wire import Server
from krigetuner.run.progress import Progress, Shown
from krigetuner.space.asks import BUILD
from krigetuner.tuners.network import chief
from krigetuner.tuners.network.assignment import Ending
from krigetuner.tuners.network.chief import Service, serve
from krigetuner.tuners.network.remote_oracle import follow_chief


class Picky(kt.oracles.RandomSearchOracle):
    """A user's oracle, with a score of its own and something to remember."""

    def score_trial(self, trial: Any) -> None:
        trial.score, trial.best_step = trial.metrics.get_last_value("loss") + 100.0, 7

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "mine": len(self.trials)}

    def best_id(self) -> str:
        return self.get_best_trials(1)[0].trial_id


def made(oracle: Any = kt.oracles.RandomSearchOracle, **options: Any) -> Any:
    return oracle(kt.Objective("loss", "min"), **{"max_trials": 5, "seed": 11, **options})


class Pair:
    """A chief's oracle and two workers' faces of it, in one process, over a real connection."""

    def __init__(self, folder: Path, kind: Any = kt.oracles.RandomSearchOracle, **options: Any) -> None:
        port = free_port()
        self.chief = made(kind, **options)
        self.chief._set_project_dir(folder, "search")
        self.chief._begin_search()
        progress = Progress("silent", Shown("loss"))
        self.service = Service(self.chief, 5.0, progress)
        self.server = Server(f"127.0.0.1:{port}", None, self.service.answer, self.service.attend)
        self.workers = [made(kind, **options) for _ in range(2)]
        for name, oracle in zip(("w0", "w1"), self.workers, strict=True):
            follow_chief(oracle, Role("worker", name, "127.0.0.1", port), folder / "search")

    def close(self) -> None:
        for oracle in self.workers:
            oracle.close()
        self.server.stop(0.0)
        self.chief.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    found = Pair(tmp_path)
    yield found
    found.close()


def run(oracle: Any, worker: str, loss: float) -> Any:
    """One trial, whose code asks for a space and reports two steps."""
    trial = oracle.create_trial(worker)
    if trial.status == "RUNNING":
        trial.hyperparameters.Float("x", 0.0, 1.0)
        trial.hyperparameters.Choice("kind", ["a", "b"])
        for step in range(2):
            oracle.report(trial.trial_id, step, {"loss": loss - step, "other": math.inf})
        oracle.update_trial(trial.trial_id, {"loss": loss}, step=1)
        trial.status, trial.asked = "COMPLETED", (BUILD, "x")
        oracle.end_trial(trial)
    return trial


def until_connected(oracle: Any) -> None:
    oracle._link.await_news()


def test_what_one_worker_does_the_others_know(pair: Pair) -> None:
    first, second = pair.workers
    until_connected(first)
    run(first, "w0", 1 / 3)
    until_connected(second)
    run(second, "w1", 0.1)
    until_connected(first)
    for oracle in (pair.chief, first, second):
        assert [t.score for t in oracle.trials.values()] == [1 / 3, 0.1]
        assert (oracle.start_order, oracle.end_order) == (["0", "1"], ["0", "1"])
        assert oracle.get_best_trials(1)[0].trial_id == "1"
        assert (oracle.remaining_trials(), oracle.seed, oracle.ongoing_trials) == (3, 11, {})
        assert [p.name for p in oracle.get_space().space] == ["x", "kind"]
        assert [r.unasked for r in oracle._ledger.state.trials.values()] == [("kind",), ("kind",)]
    for worker in (first, second):
        assert worker.results().equals(pair.chief.results())
        assert worker.history().equals(pair.chief.history())
        assert worker.trials["0"].hyperparameters.values == pair.chief.trials["0"].hyperparameters.values
        assert worker.trials["0"].metrics.get_history("loss")[0].step == 1


def test_the_best_trial_may_be_another_workers(pair: Pair) -> None:
    first, second = pair.workers
    for oracle, worker, loss in ((first, "w0", 0.5), (second, "w1", 0.1)):
        until_connected(oracle)
        run(oracle, worker, loss)
        assert oracle.get_best_trials(1)[0].score == loss
    deadline = time.monotonic() + 10
    while len(first.end_order) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert first.get_best_trials(1)[0].score == 0.1


def test_two_workers_never_run_the_same_trial(pair: Pair) -> None:
    first, second = pair.workers
    until_connected(first)
    until_connected(second)
    run(first, "w0", 0.5)
    mine, yours = first.create_trial("w0"), second.create_trial("w1")
    assert mine.trial_id != yours.trial_id
    assert first.create_trial("w0").trial_id == mine.trial_id  # asked again, it is the same one
    until_connected(first)
    assert {w: t.trial_id for w, t in first.ongoing_trials.items()} == {"w0": mine.trial_id, "w1": yours.trial_id}
    yours.status = "COMPLETED"
    with pytest.raises(TrialTaken, match=f"trial {yours.trial_id}: expected results from the worker that runs it"):
        first.end_trial(yours)


def test_a_space_without_hyperparameters_keeps_the_second_worker_waiting(pair: Pair) -> None:
    first, second = pair.workers
    until_connected(first)
    until_connected(second)
    trial = first.create_trial("w0")
    assert second.create_trial("w1").status == "IDLE"
    trial.hyperparameters.Float("x", 0.0, 1.0)
    first.report(trial.trial_id, 0, {"loss": 1.0})  # tells what it has asked for
    assert second.create_trial("w1").status == "RUNNING"


def test_errors_come_back_with_their_class(pair: Pair) -> None:
    oracle = pair.workers[0]
    until_connected(oracle)
    trial = oracle.create_trial("w0")
    with pytest.raises(ValueError, match="Objective value missing"):
        oracle.update_trial(trial.trial_id, {"accuracy": 1.0})
    with pytest.raises(KeyError, match="trial_id: expected one of the 1 trials"):
        oracle.get_trial("none")
    with pytest.raises(ValueError, match="loss"):
        oracle.add_observation({}, {"loss": math.nan})
    assert pair.service.work.over is None


def test_what_is_enqueued_and_observed_reaches_the_chief(pair: Pair) -> None:
    oracle = pair.workers[0]
    hp = kt.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    oracle.update_space(hp)
    given = oracle.add_observation({"x": 0.25}, 2.0)
    assert (given.score, pair.chief.trials[given.trial_id].score) == (2.0, 2.0)
    oracle.enqueue({"x": 0.75})
    assert oracle.create_trial("w0").hyperparameters.values == {"x": 0.75}
    oracle._ledger.save_state("tuner/w0", {"n": 3})
    assert pair.chief._ledger.state.saved["tuner/w0"] == {"n": 3}


def test_a_users_oracle_decides_on_the_chief_and_reads_on_the_worker(tmp_path: Path) -> None:
    pair = Pair(tmp_path, Picky)
    try:
        worker = pair.workers[0]
        assert isinstance(worker, Picky)
        until_connected(worker)
        trial = run(worker, "w0", 1.0)
        assert (trial.score, trial.best_step) == (101.0, 7)
        assert worker.best_id() == pair.chief.best_id() == trial.trial_id
        assert pair.chief._ledger.state.saved["oracle"]["mine"] == 1
    finally:
        pair.close()


def test_the_end_is_known_everywhere(tmp_path: Path) -> None:
    pair = Pair(tmp_path, max_trials=2)
    try:
        first, second = pair.workers
        until_connected(first)
        until_connected(second)
        run(first, "w0", 1.0)
        last = second.create_trial("w1")
        assert first.create_trial("w0").status == "IDLE"  # the last trial may have to be run again
        waiting = threading.Thread(target=first._pause, args=(0.1,))
        waiting.start()
        second.report(last.trial_id, 0, {"loss": 2.0})
        second.update_trial(last.trial_id, {"loss": 2.0})
        last.status = "COMPLETED"
        second.end_trial(last)
        waiting.join(60)
        assert not waiting.is_alive()  # woken by the end of the trial
        assert second.create_trial("w1").status == "STOPPED"
        assert first.create_trial("w0").status == "STOPPED"
        assert first.stop_reason == second.stop_reason == "max_trials: all 2 trials have been run"
        assert len(first.trials) == 2
        known = pair.chief.history()
        pair.chief.close()
        assert second.history().equals(known)  # from the file, beside which reading leaves none
        assert [path.name for path in (tmp_path / "search").glob("study*")] == ["study.sqlite"]
    finally:
        pair.close()


def test_processes_that_train_one_model_together_get_its_trials(pair: Pair) -> None:
    reporter, follower = pair.workers
    follower._role = replace(follower._role, tuner_id="w0")  # as in KerasTuner: one name, and one of them reports
    follower._link = follower._new_link()
    follower._mirror.follow(follower._link)
    reporter.multi_worker = follower.multi_worker = True
    follower.should_report = False
    until_connected(reporter)
    until_connected(follower)
    assert follower.create_trial("w0").status == "IDLE"  # it never begins a trial by itself
    first = reporter.create_trial("w0")
    copy = follower.create_trial("w0")
    assert copy.trial_id == first.trial_id
    follower.report(copy.trial_id, 0, {"loss": 5.0})
    copy.status = "COMPLETED"
    follower.end_trial(copy)
    assert pair.chief.trials[first.trial_id].status == "RUNNING"  # what it says does not count
    assert follower.create_trial("w0").status == "IDLE"
    reporter.update_trial(first.trial_id, {"loss": 1.0})
    first.status = "COMPLETED"
    reporter.end_trial(first)
    second = reporter.create_trial("w0")
    assert follower.create_trial("w0").trial_id == second.trial_id != first.trial_id


def test_a_chief_without_a_token_warns_where_others_can_reach_it(tmp_path: Path) -> None:
    oracle = made()
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        role = Role("chief", "chief", "0.0.0.0", taken.getsockname()[1])
        with (
            pytest.warns(kt.errors.KrigeTunerWarning, match="without a token; set KRIGETUNER_TOKEN"),
            pytest.raises(RuntimeError, match="expected an address of this machine and a free port"),
        ):
            serve(oracle, role, Progress("silent", Shown("loss")), tmp_path)
        with pytest.raises(RuntimeError, match="expected an address of this machine"):  # and no warning
            serve(oracle, replace(role, token="secret"), Progress("silent", Shown("loss")), tmp_path)


@pytest.mark.filterwarnings("ignore::krigetuner.errors.KrigeTunerWarning")
@pytest.mark.parametrize("least", [0.0, 0.5])
def test_no_worker_waits_for_a_trial_whose_values_the_code_does_not_allow_any_more(
    least: float, tmp_path: Path
) -> None:
    for low in (0.0, least):
        hp = kt.HyperParameters()
        hp.Float("x", low, 1.0)
        with closing(made(hyperparameters=hp)) as oracle:
            oracle._set_project_dir(tmp_path, "search")
            if not oracle.trials:
                oracle.enqueue({"x": 0.1})
                oracle.interrupt_trial(oracle.create_trial("w0").trial_id, "the chief was killed")
            reserved = Service(oracle, 5.0, Progress("silent", Shown("loss"))).work.seconds_reserved()
    assert (reserved is None) == (least > 0.1)


def test_a_chief_without_workers_says_where_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chief, "LONELY", 0.0)
    monkeypatch.setattr(Service, "until_over", lambda service, interrupts: Ending("done", "enough"))
    role = Role("chief", "chief", "127.0.0.1", free_port())
    assert serve(made(), role, Progress("silent", Shown("loss")), tmp_path) == "enough"
    assert f"Waiting for workers at {role.address}" in capsys.readouterr().err


def test_a_chief_with_a_worker_waits_for_none(pair: Pair) -> None:
    assert not pair.service.attended(0.0)
    until_connected(pair.workers[0])
    assert pair.service.attended(0.0)


def test_a_worker_that_hears_of_the_end_does_not_say_that_the_chief_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(link, "TELL_AFTER", 0.0)
    monkeypatch.setattr(link, "tell", said.append)
    word = {"kind": "done", "reason": "all trials have been run", "run": "1"}
    late = link.Link(Role("worker", "w0", "127.0.0.1", free_port()), dict, "", lambda waited: word if said else None)
    late.await_news()
    late.close()
    assert late.over == word
    assert [line.split(" at ")[0] for line in said] == ["Waiting for the chief"]


def test_a_worker_never_opens_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "9")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "w1")
    monkeypatch.setenv("KRIGETUNER_CHIEF_TIMEOUT", "0.5")

    class Tuner(kt.BaseTuner):
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> float:
            return 1.0

    tuner = Tuner(made(), directory=tmp_path, project_name="search")
    assert tuner.tuner_id == "w1"
    with pytest.raises(RuntimeError, match=r"chief: expected one at 127\.0\.0\.1:9 within 0\.5 seconds"):
        tuner.search()
    assert list(tmp_path.iterdir()) == []
