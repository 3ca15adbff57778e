"""One conductor at a time: live ones are respected, dead ones are not waited for."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.store.conductors import conductor, finish

from krigetuner.errors import KrigeTunerWarning, StoreError, StudyLocked
from krigetuner.store import events as e
from krigetuner.store import lease as leases
from krigetuner.store.database import DatabaseStore
from krigetuner.store.lease import Lease


@pytest.mark.parametrize("ending", ["close", "exit"])
def test_a_second_conductor_is_kept_out_and_let_in_afterwards(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "study.sqlite"
    process = conductor(path, ending)
    with pytest.raises(StudyLocked) as caught:
        DatabaseStore(path)
    assert f"held by process {process.pid} on host {socket.gethostname()!r}; end that process" in str(caught.value)
    reader = DatabaseStore(path, read_only=True)
    assert list(reader.read()) == []
    reader.close()
    finish(process)
    DatabaseStore(path).close()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("reaped", [False, True])
def test_a_killed_conductor_is_not_waited_for(tmp_path: Path, reaped: bool) -> None:
    path = tmp_path / "study.sqlite"
    process = conductor(path)
    process.send_signal(signal.SIGKILL)
    if reaped:
        process.wait()
    else:
        while leases._alive(process.pid):  # until the signal has arrived
            time.sleep(0.01)
    store = DatabaseStore(path)
    assert store.append(e.StudyClosed("x")) == 1
    store.close()
    process.communicate()


def put(path: Path, **columns: object) -> None:
    """Writes a lease of somebody else."""
    store = DatabaseStore(path)
    store.close()
    raw = {"token": "other", "host": "elsewhere", "pid": 1, "machine": "elsewhere/x/y", "birth": "7"} | columns
    connection = sqlite3.connect(path)
    names = ", ".join(f"lease_{n} = ?" for n in raw)
    connection.execute(f"update studies set {names}", list(raw.values()))
    connection.commit()
    connection.close()


def test_a_conductor_elsewhere_is_waited_for_until_its_lease_runs_out(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    put(path, expiry=time.time() + 38)
    with pytest.raises(StudyLocked, match=r"process 1 on host 'elsewhere'; .* runs out in [23]\d seconds"):
        DatabaseStore(path)
    put_expired = tmp_path / "other.sqlite"
    put(put_expired, expiry=time.time() - 1)
    DatabaseStore(put_expired).close()


def test_a_lease_that_a_clock_set_back_has_made_long_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SECONDS", 0.2)
    path = tmp_path / "study.sqlite"
    put(path, expiry=time.time() + 86_400)
    with pytest.warns(KrigeTunerWarning, match=r"a lease of 0 seconds at most, got one of 8\d{4}: a clock was"):
        DatabaseStore(path).close()  # its holder died, perhaps with its machine
    monkeypatch.setattr(leases, "SECONDS", 3600.0)
    rows = iter([(5, "token", 90_000.0, 86_400.0)] * 2 + [(5, "token", 90_010.0, 86_410.0)])
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.warns(KrigeTunerWarning, match="whether its holder lives"):
        assert leases.watched("here", lambda: next(rows)) == 3600.0


def test_a_long_lease_of_a_dead_process_of_this_machine_is_not_watched(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    process = conductor(path)
    process.kill()
    process.wait()
    change = f"update studies set lease_expiry = {time.time() + 86_400}"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    DatabaseStore(path).close()  # a warning would be an error
    process.communicate()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not say when a process began")
def test_a_later_process_of_the_same_number_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    parent = os.getppid()
    put(path, pid=parent, machine=leases._machine(), birth=leases._birth(parent), expiry=time.time() + 38)
    with pytest.raises(StudyLocked, match=f"process {parent} on host"):
        DatabaseStore(path)
    put_reused = tmp_path / "reused.sqlite"
    put(put_reused, pid=parent, machine=leases._machine(), birth="1", expiry=time.time() + 38)
    DatabaseStore(put_reused).close()


def test_the_same_process_takes_over_and_the_former_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    former = DatabaseStore(path)
    former.append(e.StudyClosed("a"))
    latter = DatabaseStore(path)
    latter.append(e.StudyClosed("b"))
    with pytest.raises(
        StudyLocked, match=r"the lease taken over by another tuner of this process; .* records nothing more"
    ):
        former.append(e.StudyClosed("c"))
    former.close()
    assert latter.append(e.StudyClosed("d")) == 3
    assert [event.reason for _, event in latter.read() if isinstance(event, e.StudyClosed)] == ["a", "b", "d"]
    latter.close()


def test_a_closed_store_has_given_its_lease_back(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    store = DatabaseStore(path)
    assert store._row()[1] is not None
    store.close()
    reader = DatabaseStore(path, read_only=True)
    assert reader._row()[1] is None
    reader.close()


def test_the_heartbeat_renews_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krigetuner.store.database.SECONDS", 0.3)
    store = DatabaseStore(tmp_path / "study.sqlite")
    first = store._row()[6]
    until = time.monotonic() + 60
    while store._row()[6] == first and time.monotonic() < until:
        time.sleep(0.02)
    assert store._row()[6] > first
    store.close()


def test_a_store_that_is_dropped_gives_its_lease_back(tmp_path: Path) -> None:
    import gc

    path = tmp_path / "study.sqlite"
    store = DatabaseStore(path)
    del store
    gc.collect()
    reader = DatabaseStore(path, read_only=True)
    assert reader._row()[1] is None
    reader.close()


def test_a_forked_child_does_not_give_back_what_its_parent_holds(tmp_path: Path) -> None:
    store = DatabaseStore(tmp_path / "study.sqlite")
    finish_of_a_child = store._finish
    assert finish_of_a_child.peek()[2][3] == os.getpid()  # the process that may give it back
    store.close()


def test_mine_says_who_i_am() -> None:
    mine, again = Lease.mine(), Lease.mine()
    assert (mine.pid, mine.host) == (os.getpid(), socket.gethostname())
    assert mine.token != again.token
    assert mine.birth == again.birth
    with pytest.raises(StoreError):
        Lease("t", "h", 1, "elsewhere", "").refuse_if_held("here", 5)
