"""Ports for servers that tests start."""

from __future__ import annotations

import random
import socket

RANGE = range(20_000, 32_000)
"""Below those that systems give to outgoing connections and to servers that ask for any: nobody takes one meanwhile."""


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    chance = random.SystemRandom()
    while True:
        port = chance.choice(RANGE)
        with socket.socket() as server:
            try:
                server.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
