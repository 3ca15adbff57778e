"""What keeps a lease while its holder lives, and gives it back at the end."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from krigetuner.errors import StoreError
from krigetuner.store.connection import Connection


class Holder(Protocol):
    """Who holds a lease."""

    def renew(self) -> None:
        """Renews it."""


def beat(holder: weakref.ref[Holder], stop: threading.Event, pause: float) -> None:
    """Renews a lease every `pause` seconds until it is given back or nobody holds the store any more."""
    while not stop.wait(pause):
        alive = holder()
        if alive is None:
            return
        alive.renew()
        del alive


def give_back(connection: Connection, release: Callable[[Any], Any], stop: threading.Event, pid: int) -> None:
    """Ends the heartbeat, gives the lease back and closes the connection."""
    if os.getpid() != pid:
        return  # a forked child: connection and lease are its parent's
    stop.set()
    with suppress(StoreError), connection.transaction() as cursor:  # else the lease runs out by itself
        release(cursor)
    connection.close()
