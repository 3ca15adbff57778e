"""A real PostgreSQL server for tests: in a temporary directory, on a socket there, killed and started at will."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psutil

OWNERS = ("postgres", "nobody")
"""Users as whom the server runs when the tests run as root, which it refuses."""


def program(name: str) -> str | None:
    """The path of one of the server's programs, the newest version's; None where it is not installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    folders = [os.environ.get("PATH", ""), *map(str, reversed(versions))]
    return shutil.which(name, path=os.pathsep.join(folders))


class Server:
    """One cluster; `start` it, and `remove` it at the end.

    Attributes:
        directory: of the cluster and of its socket.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="krigetuner-pg-", dir="/tmp"))  # short, for the socket's name
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = self._find_owner()
        if self._owner is not None:
            os.chown(self.directory, self._owner.pw_uid, self._owner.pw_gid)
        self.run("initdb", "-D", "data", "-U", "krige", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")

    @staticmethod
    def _find_owner() -> pwd.struct_passwd | None:
        """Who runs the server; None for the present user."""
        if os.geteuid() != 0:
            return None
        users = {user.pw_name: user for user in pwd.getpwall()}
        return next(users[name] for name in OWNERS if name in users)

    def _popen(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        who = {} if self._owner is None else {"user": self._owner.pw_uid, "group": self._owner.pw_gid}
        if self._owner is not None:
            who["extra_groups"] = []  # type: ignore[assignment]
        command = [str(program(name)), *arguments]
        environment = {**os.environ, "LC_ALL": "C", "HOME": str(self.directory)}
        with (self.directory.parent / f"{self.directory.name}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.directory, stdout=log, stderr=log, env=environment, start_new_session=True, **who
            )

    def run(self, name: str, *arguments: str) -> None:
        """Runs one of the server's programs to its end."""
        status = self._popen(name, *arguments).wait(300)
        assert status == 0, f"{name} ended with {status}:\n{self.log()}"

    def log(self) -> str:
        """What the server has said."""
        return (self.directory.parent / f"{self.directory.name}.log").read_text(errors="replace")[-5000:]

    def start(self, *settings: str) -> None:
        """Starts the server; returns when it answers.

        Args:
            *settings: such as "max_connections=5".
        """
        options = [x for setting in settings for x in ("-c", setting)]
        self._process = self._popen("postgres", "-D", "data", "-k", str(self.directory), "-h", "", *options)
        deadline = time.monotonic() + 180
        while self._popen("pg_isready", "-h", str(self.directory), "-q").wait(120):
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9 of the server and of all its processes."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        family = [*postmaster.children(recursive=True), postmaster]
        for process in reversed(family):
            process.kill()
        psutil.wait_procs(family, timeout=120)
        self._process.wait(120)
        self._process = None

    def stop(self) -> None:
        """Stops the server as its administrator would, without waiting for those connected."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(180)
            self._process = None

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://krige@/{database}?host={quote(str(self.directory), safe='')}"

    def create(self, database: str) -> str:
        """Makes an empty database and returns its URL."""
        self.run("createdb", "-h", str(self.directory), "-U", "krige", database)
        return self.url(database)

    def remove(self) -> None:
        """Stops the server and removes its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory.parent / f"{self.directory.name}.log").unlink(missing_ok=True)


def why_not() -> str | None:
    """Why there can be no server here; None when there can."""
    if os.name == "nt":
        return "a PostgreSQL server is started on POSIX systems only"
    if program("initdb") is None or program("postgres") is None:
        return "no PostgreSQL server is installed (Debian: apt-get install postgresql)"
    if importlib.util.find_spec("psycopg") is None:
        return "no driver is installed (pip install 'krigetuner[postgresql]')"
    return None
