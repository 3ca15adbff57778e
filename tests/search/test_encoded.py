"""A history as arrays: what is kept from ask to ask changes nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from krigetuner.search.encoded import EncodedHistory, Seen
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import CHUNK, History, Observation, Origin, Value


def mixed() -> Space:
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0)
    hp.Int("n", 1, 500)
    hp.Choice("kind", ["a", "b"])
    return Space(hp.space)


def same(a: Seen, b: Seen) -> bool:
    arrays = (
        (a.x, b.x),
        (a.losses, b.losses),
        (a.variances, b.variances),
        (a.failed, b.failed),
        (a.running, b.running),
    )
    return all(np.array_equal(m, n) for m, n in arrays) and a.taken == b.taken


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_reading_step_by_step_is_reading_at_once(seed: int) -> None:
    rng, space, encoded = np.random.default_rng(seed), mixed(), EncodedHistory()
    history, running = History(), list[Observation]()
    for number in range(CHUNK + 20):
        values = space.decode(space.sample(rng.random((1, 3)))[0])
        running.append(Observation(number, values, "running", None, None, Origin("bayesian")))
        changed = [running[-1]]
        if len(running) > 3:
            o = running.pop(int(rng.integers(len(running))))
            values = {**o.values, "x": 0.125} if rng.random() < 0.1 else o.values
            failed = rng.random() < 0.2
            loss, variance = (None, None) if failed else (float(rng.standard_normal()), float(rng.random()))
            phase = "failed" if failed else "completed"
            unasked = (None, ("n",), ("x", "kind"))[int(rng.integers(3))]
            changed.append(Observation(o.number, values, phase, loss, variance, o.origin, unasked=unasked))
        history = history.updated(changed)
        if rng.random() < 0.2:
            assert same(encoded.read(space, history), EncodedHistory().read(space, History(history)))


def test_another_space_is_read_anew() -> None:
    encoded, history = EncodedHistory(), History([Observation(0, {"x": 0.5}, "completed", 1.0, None, Origin("given"))])
    rows = []
    for high in (1.0, 2.0):
        hp = HyperParameters()
        hp.Float("x", 0.0, high)
        rows.append(encoded.read(Space(hp.space), history).x[0, 0])
    assert rows == [0.5, 0.25]


def test_an_empty_history_has_no_rows() -> None:
    seen = EncodedHistory().read(mixed(), History())
    assert seen.x.shape == (0, 3)
    assert seen.running.shape == (0, 3)
    assert not seen.taken


def test_rows_that_agree_in_what_a_trial_asked_for_are_taken() -> None:
    space, done = mixed(), {"x": 0.25, "n": 7, "kind": "b"}
    history = History([Observation(0, done, "completed", 1.0, None, Origin("random"), unasked=("n",))])
    taken = EncodedHistory().read(space, history).taken

    def holds(**values: Value) -> bool:
        return space.row_keys(space.encode({**done, **values})[None])[0] in taken

    assert holds()
    assert holds(n=400)
    assert not holds(kind="a")
    assert not holds(x=0.26, n=400)
    taken.add(space.row_keys(space.encode({**done, "x": 0.5})[None])[0])
    assert holds(x=0.5)
    assert not holds(x=0.5, n=400)
    assert sorted(taken) == sorted(space.row_keys(space.encode_many([done, {**done, "x": 0.5}])))
    assert len(taken) == 2
