"""A history as arrays, kept from one ask to the next at the cost of what is new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from krigetuner.backend.protocol import Array
from krigetuner.search.seen import differs_unasked
from krigetuner.space.space import INACTIVE, Space
from krigetuner.trial.history import History, Observation


@dataclass
class Taken:
    """Identities (`Space.row_keys`) of rows, and of all rows that agree with one of some others in certain columns.

    Attributes:
        keys: of rows.
        agreeing: for each choice of columns, as a row of ones and zeros, the keys of rows which hold `INACTIVE` in the
            other columns.
    """

    keys: set[bytes]
    agreeing: dict[bytes, set[bytes]] = field(default_factory=dict)

    def __contains__(self, key: object) -> bool:
        if key in self.keys:
            return True
        if not self.agreeing or not isinstance(key, bytes):
            return False
        row = np.frombuffer(key)
        return any(_kept(np.frombuffer(which), row) in rows for which, rows in self.agreeing.items())

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, key: bytes) -> None:
        """Adds a row."""
        self.keys.add(key)


@dataclass
class Seen:
    """The rows of ended and of running trials, and which are taken.

    Attributes:
        x: (n, d) of those that ended.
        losses: (n,), +inf where diverged or failed.
        variances: (n,), 0 where not known.
        failed: (n,) which have no loss at all.
        running: (k, d) of those that run.
        taken: all of them, and what would be the same training as one.
    """

    x: Array
    losses: Array
    variances: Array
    failed: npt.NDArray[np.bool_]
    running: Array
    taken: Taken

    def completed(self) -> Seen:
        """The same without the trials that failed; they remain taken."""
        if not self.failed.any():
            return self
        done = ~self.failed
        x, losses, variances = self.x[done], self.losses[done], self.variances[done]
        return Seen(x, losses, variances, self.failed[done], self.running, self.taken)


@dataclass(frozen=True)
class _Piece:
    """One chunk of a history."""

    observations: tuple[Observation, ...]
    rows: Array
    ended: npt.NDArray[np.bool_]
    losses: Array
    variances: Array
    failed: npt.NDArray[np.bool_]
    keys: list[bytes]
    agreeing: list[tuple[bytes, bytes]]


class EncodedHistory:
    """Reads histories; a cache of a pure function of (space, history), whose observations it compares by identity."""

    def __init__(self) -> None:
        self._space: Space | None = None
        self._pieces: list[_Piece] = []

    def read(self, space: Space, history: History) -> Seen:
        """The history in terms of the space."""
        known = self._pieces if space is self._space else []
        self._space = space
        self._pieces = [
            known[i] if i < len(known) and chunk is known[i].observations else _piece(space, chunk, known[i : i + 1])
            for i, chunk in enumerate(history.chunks)
        ]
        rows = np.concatenate([np.empty((0, space.dimensions)), *(p.rows for p in self._pieces)])
        ended = np.concatenate([np.empty(0, dtype=bool), *(p.ended for p in self._pieces)])
        losses = np.concatenate([np.empty(0), *(p.losses for p in self._pieces)])
        variances = np.concatenate([np.empty(0), *(p.variances for p in self._pieces)])
        failed = np.concatenate([np.empty(0, dtype=bool), *(p.failed for p in self._pieces)])
        agreeing: dict[bytes, set[bytes]] = {}
        for which, key in (pair for p in self._pieces for pair in p.agreeing):
            agreeing.setdefault(which, set()).add(key)
        taken = Taken(set[bytes]().union(*(p.keys for p in self._pieces)), agreeing)
        return Seen(rows[ended], losses[ended], variances[ended], failed[ended], rows[~ended], taken)


def _piece(space: Space, chunk: tuple[Observation, ...], former: Sequence[_Piece]) -> _Piece:
    """A chunk as arrays; rows of configurations that the former piece of this place has are taken from it."""
    known = former[0].observations if former else ()
    rows = np.empty((len(chunk), space.dimensions))
    for i, o in enumerate(chunk):
        same = i < len(known) and (known[i] is o or known[i].values is o.values or known[i].values == o.values)
        rows[i] = former[0].rows[i] if same else space.encode(o.values)
    ended = np.array([o.phase != "running" for o in chunk], dtype=bool)
    losses = np.array([np.inf if o.loss is None else o.loss for o in chunk], dtype=np.float64)
    variances = np.array([o.variance or 0.0 for o in chunk], dtype=np.float64)
    failed = np.array([o.phase == "failed" for o in chunk], dtype=bool)
    partly = ((o, row) for o, row in zip(chunk, rows, strict=True) if differs_unasked(space, o))
    agreeing = [_agreeing(space, o, row) for o, row in partly]
    return _Piece(chunk, rows, ended, losses, variances, failed, space.row_keys(rows), agreeing)


def _agreeing(space: Space, o: Observation, row: Array) -> tuple[bytes, bytes]:
    """The columns of what a trial asked for, and its row in them: rows that agree there are the same training."""
    asked = {name for name in o.values if name not in (o.unasked or ())}
    which = np.array([float(p.name in asked) for p in space.columns])
    return which.tobytes(), _kept(which, row)


def _kept(which: Array, row: Array) -> bytes:
    """The key of a row (d,) in the columns that are not 0 in `which` (d,)."""
    return np.where(which, row, INACTIVE).tobytes()
