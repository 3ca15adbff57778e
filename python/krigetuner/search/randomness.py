"""Randomness belongs to the trial: a counter-based generator keyed by (seed, trial number, purpose).

Nothing is kept between suggestions, so the same trial gets the same draws after a crash, and with one worker or forty.
The key is a hash, so that neighbouring seeds and numbers give independent streams (Salmon et al. 2011: Philox).
"""

from __future__ import annotations

import hashlib

import numpy as np

from krigetuner.trial.history import History


def generator(seed: int, number: int, purpose: str | int = 0) -> np.random.Generator:
    """A fresh generator for one purpose of one trial.

    Args:
        seed: of the search; 0 is a seed like any other, and negative ones are too.
        number: of the trial.
        purpose: tells apart the independent streams that one trial needs.
    """
    digest = hashlib.blake2b(f"{seed}|{number}|{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, dtype="<u8").astype(np.uint64)))


def next_number(history: History) -> int:
    """The number of the next trial."""
    return history.next_number
