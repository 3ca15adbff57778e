"""Messages between a process and its workers: bytes over a socket pair, and open files beside them."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Sequence

_LENGTH = struct.Struct("!I")
_PIECE = 2**18
_MOST_FILES = 64


class Channel:
    """One end of a socket pair. Several threads may send; one receives.

    Args:
        end: a connected Unix stream socket, which is the channel's from now on.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = bytearray()
        self._lock = threading.Lock()
        self.ended = False

    def fileno(self) -> int:
        """The descriptor, for selectors."""
        return self._socket.fileno()

    def send(self, message: bytes, files: Sequence[int] = ()) -> None:
        """Sends a message, with copies of these open files.

        Raises:
            OSError: the other end is gone.
        """
        data = _LENGTH.pack(len(message)) + message
        with self._lock:
            sent = socket.send_fds(self._socket, [data], list(files)) if files else 0
            self._socket.sendall(data[sent:] if sent else data)

    def receive(self, pieces: int = 8) -> list[bytes]:
        """The whole messages that have come, without waiting; sets `ended` when no more can come.

        Args:
            pieces: how often at most the socket is read; whoever sends fast must not keep this end from its work.
        """
        found: list[bytes] = []
        for _ in range(pieces):
            try:
                piece = self._socket.recv(_PIECE, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionError:
                piece = b""
            found += self._messages(piece)
            if self.ended:
                break
        return found

    def wait(self) -> tuple[list[bytes], list[int]]:
        """Waits until something comes: the whole messages, and the files that came with them."""
        try:
            piece, files, _, _ = socket.recv_fds(self._socket, _PIECE, _MOST_FILES)
        except ConnectionError:
            piece, files = b"", []
        for number in files:
            os.set_inheritable(number, False)
        return self._messages(piece), list(files)

    def _messages(self, piece: bytes) -> list[bytes]:
        self.ended = self.ended or not piece
        self._received += piece
        found: list[bytes] = []
        start = 0
        while len(self._received) >= start + _LENGTH.size:
            begin = start + _LENGTH.size
            end = begin + _LENGTH.unpack_from(self._received, start)[0]
            if len(self._received) < end:
                break
            found.append(bytes(self._received[begin:end]))
            start = end
        del self._received[:start]
        return found

    def close(self) -> None:
        """Ends the channel on this side."""
        self._socket.close()
