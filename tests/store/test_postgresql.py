"""PostgreSQL: the contract, several studies and many readers, conductors that meet, and a server that is killed."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa
from tests.contracts.store import StoreContract, live_side_by_side, portrait, texts
from tests.postgresql import Server

from krigetuner.errors import KrigeTunerWarning, MissingDependency, StoreError, StudyLocked
from krigetuner.store import database
from krigetuner.store import events as e
from krigetuner.store.database import DatabaseStore
from krigetuner.store.protocol import Store
from krigetuner.store.replay import fold
from krigetuner.trial.history import Origin

OPENED = e.StudyOpened("s", {"name": "loss", "direction": "min"}, "random", {}, "cpp", 1, 0.0, "0.1")
NUMBERS = itertools.count()


def asked(number: int) -> e.TrialAsked:
    return e.TrialAsked(number, f"{number:04d}", {"x": 0.5}, Origin("random"), 1)


@pytest.fixture(scope="module")
def url(postgresql: Server) -> str:
    return postgresql.create("laws")


@pytest.fixture
def fresh(postgresql: Server) -> str:
    """A database without tables."""
    return postgresql.create(f"fresh{next(NUMBERS)}")


class TestPostgresql(StoreContract):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _place(cls, url: str) -> None:
        cls.url = url

    url = ""

    @contextmanager
    def make(self) -> Iterator[Store]:
        store = DatabaseStore(self.url, f"study {next(NUMBERS)}")
        try:
            yield store
        finally:
            store.close()


def test_studies_of_one_database_do_not_see_each_other(fresh: str) -> None:
    with closing(DatabaseStore(fresh, "first")) as first, closing(DatabaseStore(fresh, "second")) as second:
        live_side_by_side(first, second)
        with pytest.raises(StoreError, match=r"named .third., got none; check .*; the last that were made there"):
            DatabaseStore(fresh, "third", read_only=True)


def test_readers_see_whole_moments_while_one_writes(fresh: str) -> None:
    store, stop, found = DatabaseStore(fresh), threading.Event(), []
    store.append(OPENED)
    looked = threading.Event()

    def look() -> None:
        reader = DatabaseStore(fresh, read_only=True)
        while not stop.is_set():
            state = reader.state()
            found.append(portrait(state) == portrait(fold(itertools.islice(reader.read(), state.position))))
            looked.set()
        reader.close()

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(60):
            if number % 15 == 0:  # they look while events are written
                looked.clear()
                assert looked.wait(120)
            store.append(asked(number))
            store.append(e.TrialStarted(number, 0))
            store.append(e.TrialFailed(number, 0, "invalid", "x", number % 2 == 0))
    finally:
        stop.set()
    for reader in readers:
        reader.join()
    assert all(found)
    store.close()


CONDUCTOR = """
import sys
from krigetuner.errors import StudyLocked
from krigetuner.store.database import DatabaseStore
sys.stdin.readline()
try:
    store = DatabaseStore(sys.argv[1], sys.argv[2])
    sys.stdout.write("conducts\\n")
except StudyLocked as error:
    sys.stdout.write(f"{error}\\n")
sys.stdout.flush()
sys.stdin.readline()
"""


def conductors(url: str, study: str, count: int) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", CONDUCTOR, url, study]
    made = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for process in made:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return made


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_one_of_three_that_come_at_once_makes_the_tables_and_conducts(fresh: str) -> None:
    made = conductors(fresh, "race", 3)
    answers = sorted(map(said, made))
    assert answers[0] == "conducts"
    assert all("expected a study that nobody else conducts" in a or "lease taken over by" in a for a in answers[1:])
    for process in made:
        process.communicate("end\n")


def test_a_second_conductor_is_told_host_and_process_and_need_not_wait_for_a_dead_one(url: str) -> None:
    (first,) = conductors(url, "locked", 1)
    assert said(first) == "conducts"
    with pytest.raises(StudyLocked, match=rf"held by process {first.pid} on host '{socket.gethostname()}'; end that"):
        DatabaseStore(url, "locked")
    first.kill()
    first.communicate()
    DatabaseStore(url, "locked").close()


def statement(url: str, text: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(text))
    engine.dispose()


def test_the_lease_of_another_host_runs_out_by_the_servers_clock(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    DatabaseStore(url, "elsewhere").close()
    lease = "lease_token='x', lease_host='node7', lease_pid=1, lease_machine='m', lease_birth=''"
    until = "lease_expiry = extract(epoch from clock_timestamp()) + {}"
    where = "where study = 'elsewhere'"
    statement(url, f"update studies set {lease}, {until.format(38)} {where}")
    monkeypatch.setattr(time, "time", lambda: 4e9)  # this host's clock is far ahead
    with pytest.raises(StudyLocked, match=r"process 1 on host 'node7'; .* runs out in [23]\d seconds"):
        DatabaseStore(url, "elsewhere")
    statement(url, f"update studies set {lease}, {until.format(-1)} {where}")
    DatabaseStore(url, "elsewhere").close()


def test_a_conductor_whose_lease_was_taken_records_nothing_more(url: str) -> None:
    former = DatabaseStore(url, "taken")
    former.append(OPENED)
    latter = DatabaseStore(url, "taken")  # the same process may
    with pytest.raises(StudyLocked, match="lease taken over by another tuner of this process"):
        former.append(asked(0))
    with pytest.raises(StudyLocked, match="lease taken over"):
        former.erase()
    assert latter.append(asked(0)) == 2
    former.close()
    latter.close()


def test_a_server_that_is_killed_is_waited_for_and_nothing_is_lost(postgresql: Server, fresh: str) -> None:
    store = DatabaseStore(fresh)
    store.append(OPENED)
    starter = threading.Timer(0.5, postgresql.start, ["fsync=off"])
    postgresql.kill()
    starter.start()
    with pytest.warns(KrigeTunerWarning, match=r"expected to write the study, got .* The search waits for it"):
        assert store.append(asked(0)) == 2
    starter.join()
    assert store.append(asked(1)) == 3
    reader = DatabaseStore(fresh, read_only=True)
    assert texts(x for _, x in reader.read()) == texts([OPENED, asked(0), asked(1)])
    assert portrait(reader.state()) == portrait(fold(reader.read()))
    for each in (reader, store):
        each.close()


@pytest.mark.parametrize("committed", [False, True])
def test_an_event_whose_commit_is_unsure_is_looked_up(url: str, committed: bool) -> None:
    """The connection breaks in the commit: before the server had it, or before its answer came."""
    study = f"unsure {committed}"
    store = DatabaseStore(url, study)
    store.append(OPENED)
    inner = store._connection._raw

    class Breaks:
        """The driver's connection, whose next commit is the last thing it does."""

        def __getattr__(self, name: str) -> object:
            return getattr(inner, name)

        def commit(self) -> None:
            if committed:
                inner.commit()
            inner.close()
            inner.commit()

    store._connection._raw = Breaks()
    with pytest.warns(KrigeTunerWarning, match="The search waits for it"):
        assert store.append(asked(0)) == 2
    assert store.append(asked(1)) == 3
    assert texts(x for _, x in store.read()) == texts([OPENED, asked(0), asked(1)])
    store.close()


def test_a_session_that_the_administrator_ends_is_begun_again(url: str) -> None:
    store = DatabaseStore(url, "ended")
    store.append(OPENED)
    statement(url, "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")
    with pytest.warns(KrigeTunerWarning, match="The search waits for it"):
        assert len(list(store.read())) == 1
    statement(url, "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")
    store.renew()  # the heartbeat connects again by itself
    assert store.append(asked(0)) == 2
    store.close()


def test_a_server_that_stays_away_ends_the_search_with_an_error(
    postgresql: Server, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OUTAGE", 0.5)
    store = DatabaseStore(fresh)
    store.append(OPENED)
    postgresql.kill()
    try:
        with (
            pytest.warns(KrigeTunerWarning),
            pytest.raises(StoreError, match=r"start the database server, .*waited for, 0 seconds"),
        ):
            store.append(asked(0))
        monkeypatch.setattr(database, "OUTAGE", 1e9)
        with pytest.raises(StoreError, match="start the database server"):
            store.append(asked(0))  # not waited for again
        with pytest.raises(StoreError, match=r"expected to open the study, got .*start the database server"):
            DatabaseStore(fresh)
    finally:
        postgresql.start("fsync=off")
    assert store.append(asked(0)) == 2
    store.close()


def test_what_can_be_wrong_with_a_url(postgresql: Server, url: str) -> None:
    with pytest.raises(StoreError, match=r'database "nowhere" does not exist.*make it, with createdb'):
        DatabaseStore(postgresql.url("nowhere"))
    with pytest.raises(StoreError, match="start the database server, or correct host and port"):
        DatabaseStore("postgresql+psycopg://krige:secret@127.0.0.1:1/x?password=hidden")
    with pytest.raises(StoreError, match='role "nobody here" does not exist'):
        DatabaseStore(url.replace("krige@", "nobody here@"))
    with pytest.raises(StoreError) as caught:
        DatabaseStore("postgresql+psycopg://krige:secret@127.0.0.1:1/x?password=hidden")
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_user_who_may_not_make_tables_reads_and_is_told_what_to_ask_for(postgresql: Server, fresh: str) -> None:
    statement(fresh, "create role guest login")
    statement(fresh, "revoke create on schema public from public")
    guest = fresh.replace("krige@", "guest@")
    try:
        with pytest.raises(StoreError, match=r"permission denied for .*; have the database's owner grant this user"):
            DatabaseStore(guest, "mine")
        store = DatabaseStore(fresh, "mine")
        store.append(OPENED)
        statement(fresh, "grant select on all tables in schema public to guest")
        reader = DatabaseStore(guest, "mine", read_only=True)
        assert len(list(reader.read())) == 1
        reader.close()
        statement(fresh, "grant insert, update, delete on all tables in schema public to guest")
        store.close()
        writer = DatabaseStore(guest, "mine")
        assert writer.append(asked(0)) == 2
        writer.close()
    finally:
        statement(fresh, "drop owned by guest")
        statement(fresh, "drop role guest")


def test_full_durability_is_insisted_on(url: str) -> None:
    statement(url, "alter role krige set synchronous_commit = off")
    try:
        for durability, expected in (("normal", "off"), ("full", "on")):
            store = DatabaseStore(url, "durable", durability)  # type: ignore[arg-type]
            with store._connection.transaction() as cursor:
                assert cursor.execute("show synchronous_commit").fetchone() == (expected,)
            store.close()
    finally:
        statement(url, "alter role krige reset synchronous_commit")


def test_without_the_driver_the_remedy_is_named() -> None:
    code = (
        "import json, sys; sys.modules['psycopg'] = None\n"
        "from krigetuner.store.database import DatabaseStore\n"
        "try:\n    DatabaseStore('postgresql://u@h/d')\n"
        "except Exception as error:\n    sys.stdout.write(json.dumps([type(error).__name__, str(error)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    name, text = json.loads(done.stdout)
    assert name == MissingDependency.__name__
    assert text.endswith("pip install 'krigetuner[postgresql]'")
