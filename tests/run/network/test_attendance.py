"""Roles by the environment, and who is there."""

from __future__ import annotations

import sys

import pytest

from krigetuner.errors import MissingDependency
from krigetuner.run.network import role
from krigetuner.run.network.attendance import Attendance, Occupied, Worker

NAMES = ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID", "KRIGETUNER_TOKEN")


@pytest.fixture(autouse=True)
def no_role(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, role.WORKER_TIMEOUT, role.CHIEF_TIMEOUT):
        monkeypatch.delenv(name, raising=False)


def give(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    for name, value in zip(NAMES, values, strict=False):
        monkeypatch.setenv(name, value)


def test_alone_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert role.present_role() == role.Role("alone")
    assert (role.has_chief_oracle(), role.is_chief_oracle()) == (False, False)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "mine")
    assert role.present_role().tuner_id == role.tuner_id() == "mine"


@pytest.mark.parametrize(("name", "kind"), [("chief", "chief"), ("my-chief-0", "chief"), ("tuner3", "worker")])
def test_roles(monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    give(monkeypatch, "::1", "8000", name, "secret")
    found = role.present_role()
    assert (found.kind, found.tuner_id, found.address, found.token) == (kind, name, "[::1]:8000", "secret")
    assert role.is_chief_oracle() == (kind == "chief")


def test_incomplete_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, "127.0.0.1")
    with pytest.raises(RuntimeError, match='"KERASTUNER_ORACLE_IP" was set, but "KERASTUNER_ORACLE_PORT" was not'):
        role.has_chief_oracle()
    give(monkeypatch, "127.0.0.1", "8000")
    with pytest.raises(RuntimeError, match='"KERASTUNER_ORACLE_IP" was set, but "KERASTUNER_TUNER_ID" was not'):
        role.is_chief_oracle()


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80.5"])
def test_bad_ports(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    give(monkeypatch, "127.0.0.1", port, "chief")
    with pytest.raises(ValueError, match="KERASTUNER_ORACLE_PORT: expected a port from 1 to 65535"):
        role.present_role()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_bad_timeouts(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    give(monkeypatch, "127.0.0.1", "8000", "w1")
    monkeypatch.setenv(role.WORKER_TIMEOUT, seconds)
    with pytest.raises(ValueError, match="KRIGETUNER_WORKER_TIMEOUT: expected a number of seconds above 0"):
        role.present_role()


def test_without_grpcio(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, "127.0.0.1", "8000", "w1")
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.setattr(role, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'krigetuner\[distributed\]'"):
        role.present_role()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("n1", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert role.Role("chief", host=host).loopback == loopback


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_that_is_away_is_lost_after_its_time() -> None:
    clock = Clock()
    there = Attendance(5.0, clock)
    worker = there.arrive(Worker("s", "w1"))
    assert there.overdue() == []
    assert there.next_deadline() is None
    clock.now = 100.0
    assert there.overdue() == []  # connected, however silent
    there.depart(worker, worker.connection)  # type: ignore[arg-type]
    clock.now = 103.0
    assert there.next_deadline() == 2.0
    assert there.overdue() == []
    clock.now = 105.0
    assert there.overdue() == [worker]
    there.remove(worker)
    assert (len(there), there.find("s"), there.next_deadline()) == (0, None, None)


def test_a_worker_that_comes_back_is_the_same() -> None:
    clock = Clock()
    there = Attendance(5.0, clock)
    worker = there.arrive(Worker("s", "w1"))
    former = worker.connection
    again = there.arrive(Worker("s", "w1"))
    assert again is worker
    there.depart(worker, former)  # type: ignore[arg-type]  # the end of the first connection comes late
    clock.now = 50.0
    assert there.overdue() == []


def test_one_process_for_each_name() -> None:
    there = Attendance(5.0)
    first = there.arrive(Worker("s", "w1", "node", 7))
    with pytest.raises(Occupied, match=r"KERASTUNER_TUNER_ID: expected an id of its own .*process 7 on host 'node'"):
        there.arrive(Worker("t", "w1"))
    there.depart(first, first.connection)  # type: ignore[arg-type]
    assert there.arrive(Worker("t", "w1")).session == "t"  # its former process has ended
    shared = Attendance(5.0)
    shared.arrive(Worker("s", "w1", shares=True))
    shared.arrive(Worker("t", "w1", shares=True, reports=False))  # one training on several machines
    assert len(shared) == 2
