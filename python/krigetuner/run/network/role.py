"""Which part this process plays in a search of several: KerasTuner's environment variables.

The same script runs everywhere. KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT say where the chief listens, and
KERASTUNER_TUNER_ID names the process: the chief when it contains "chief". KRIGETUNER_TOKEN, when it is set, must be the
same in all of them.
"""

from __future__ import annotations

import ipaddress
import math
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from krigetuner.errors import MissingDependency

IP, PORT, ID = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"
TOKEN = "KRIGETUNER_TOKEN"
WORKER_TIMEOUT, CHIEF_TIMEOUT = "KRIGETUNER_WORKER_TIMEOUT", "KRIGETUNER_CHIEF_TIMEOUT"


@dataclass(frozen=True)
class Role:
    """The part of this process.

    Attributes:
        kind: "alone" when no chief is named.
        tuner_id: this process's name.
        host, port: where the chief listens.
        token: what all processes of the search share, None for nothing.
        worker_timeout: seconds without a sign after which a worker is lost, and its trial is run again.
        chief_timeout: seconds that a worker waits for the chief to come, or to come back.
    """

    kind: Literal["alone", "chief", "worker"]
    tuner_id: str = "tuner0"
    host: str = ""
    port: int = 0
    token: str | None = None
    worker_timeout: float = 10.0
    chief_timeout: float = 3600.0

    @property
    def address(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only processes of this machine can reach the chief."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def tuner_id() -> str:
    """This process's name: KERASTUNER_TUNER_ID, else "tuner0"."""
    return os.environ.get(ID) or "tuner0"


def has_chief_oracle() -> bool:
    """Whether the environment names a chief.

    Raises:
        RuntimeError: it does, and lacks the port or this process's id.
    """
    if not os.environ.get(IP):
        return False
    for name, what in ((PORT, "the port that the chief listens at"), (ID, "a name for each process of the search")):
        if not os.environ.get(name):
            raise RuntimeError(
                f'Environment variable "{IP}" was set, but "{name}" was not: expected {what}; set it, or unset {IP} '
                "to search in this process alone"
            )
    return True


def is_chief_oracle() -> bool:
    """Whether this process is the chief: its KERASTUNER_TUNER_ID contains "chief"."""
    return has_chief_oracle() and "chief" in os.environ[ID]


def present_role() -> Role:
    """The role that the environment says now.

    Raises:
        RuntimeError: the variables are not complete.
        ValueError: one of them cannot be read.
        MissingDependency: there is a chief, and grpcio is not installed.
    """
    if not has_chief_oracle():
        return Role("alone", tuner_id())
    if find_spec("grpc") is None:
        raise MissingDependency(
            f"{IP}: expected grpcio for chief and workers, which is not installed; run: "
            "pip install 'krigetuner[distributed]'"
        )
    host = os.environ[IP].strip().removeprefix("[").removesuffix("]")
    kind: Literal["chief", "worker"] = "chief" if is_chief_oracle() else "worker"
    return Role(
        kind,
        os.environ[ID],
        host,
        _port(),
        os.environ.get(TOKEN) or None,
        _seconds(WORKER_TIMEOUT, 10.0),
        _seconds(CHIEF_TIMEOUT, 3600.0),
    )


def _port() -> int:
    text = os.environ[PORT].strip()
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"{PORT}: expected a port from 1 to 65535, got {text!r}; the same for chief and workers")
    return int(text)


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name}: expected a number of seconds above 0, got {text!r}; leave it out for {default:g}")
    return seconds
