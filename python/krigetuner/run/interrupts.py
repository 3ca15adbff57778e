"""Ctrl-C and SIGTERM: both become a KeyboardInterrupt, and neither ever cuts a record in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While entered, in the main thread, SIGTERM ends the search like Ctrl-C does.

    Inside `held()` an interrupt waits until the block ends; a second one is obeyed at once. Handlers that somebody
    else installed are left alone.
    """

    def __init__(self) -> None:
        self._former: dict[int, Any] = {}
        self._depth = 0
        self._pending = False
        self._outer: Interrupts | None = None

    def __enter__(self) -> Interrupts:
        self._outer = _present.get()
        _present.set(self)
        if threading.current_thread() is threading.main_thread():
            plain = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
            for number, default in plain.items():
                if signal.getsignal(number) is default:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()
        _present.set(self._outer)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._depth and not self._pending:
            self._pending = True
            return
        raise KeyboardInterrupt(signal.Signals(number).name)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps interrupts waiting until the block has ended."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._pending and not self._depth:
            self._pending = False
            raise KeyboardInterrupt


_present: ContextVar[Interrupts | None] = ContextVar("krigetuner_interrupts", default=None)


def uninterrupted() -> AbstractContextManager[None]:
    """Keeps the interrupts of the search that runs in this thread waiting until the block has ended."""
    present = _present.get()
    return nullcontext() if present is None else present.held()
