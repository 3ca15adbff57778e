"""Suggestions from a model of the trials near the best one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.contracts.algorithm import Conversation

from krigetuner.backend.registry import get_backend
from krigetuner.errors import KrigeTunerWarning
from krigetuner.gp.acquisition import Acquisition
from krigetuner.gp.feasibility import boundary, feasibility
from krigetuner.gp.model import LEARNED, Choice, choose
from krigetuner.gp.priors import Columns
from krigetuner.search.bayesian import CLIMB, BayesianSearch
from krigetuner.search.encoded import Seen, Taken
from krigetuner.search.nearby import WORTH, nearby_row
from krigetuner.search.stagnation import Step
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space

D = 3
TARGET = 0.37
TURNED = np.linalg.qr(np.random.default_rng(3).standard_normal((D, D)))[0]


def cube(d: int = D) -> Space:
    hp = HyperParameters()
    for i in range(d):
        hp.Float(f"x{i}", 0.0, 1.0)
    return Space(hp.space)


def needle(x: np.ndarray) -> np.ndarray:
    """Rough from afar, and not column by column; a bowl near its minimum."""
    distance = np.linalg.norm(x - TARGET, axis=1)
    return np.asarray(
        np.minimum(30.0 * distance**2, 1.0) + 0.3 * np.sin(40.0 * x @ TURNED).sum(axis=1) * (distance > 0.2)
    )


def seen_of(space: Space, x: np.ndarray, losses: np.ndarray, failed: np.ndarray | None = None) -> Seen:
    n = len(x)
    none = np.zeros(n, dtype=bool)
    taken = Taken(set(space.row_keys(x)))
    return Seen(x, losses, np.zeros(n), none if failed is None else failed, np.empty((0, space.dimensions)), taken)


def trials(count: int = 40, close: int = 20) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.random((count, D)), TARGET + 0.08 * rng.standard_normal((close, D))])


def suggestion(
    x: np.ndarray, losses: np.ndarray, fails: bool = False, floor: float = 0.0, d: int = D, worth: float = WORTH
) -> np.ndarray | None:
    space, backend, columns = cube(d), get_backend(), Columns.linear(d)
    seen = seen_of(space, x, losses)
    choice = choose(backend, x, losses, seen.variances, columns, floor, LEARNED)
    feasible = None
    if fails:
        failed = x[:, 0] < TARGET + 0.02
        feasible = feasibility(backend, x, failed, boundary(backend, x, failed, columns))
    rng = np.random.default_rng(3)
    found = nearby_row(backend, space, seen, choice, Acquisition(), floor, feasible, CLIMB, worth, rng)
    return None if found is None else found[0]


def test_it_comes_closer_than_the_best() -> None:
    x = trials()
    losses = needle(x)
    row = suggestion(x, losses)
    assert row is not None
    best = x[np.argmin(losses)]
    assert np.linalg.norm(row - TARGET) < 0.5 * np.linalg.norm(best - TARGET)
    assert needle(row[None])[0] < losses.min()


def test_more_near_trials_than_a_model_has() -> None:
    d, rng = 60, np.random.default_rng(4)
    x = np.concatenate([rng.random((50, d)), TARGET + 0.1 * rng.standard_normal((250, d))]).clip(0.0, 1.0)
    losses = ((x - TARGET) ** 2).sum(axis=1)
    row = suggestion(x, losses, d=d)
    assert row is not None
    assert ((row - TARGET) ** 2).sum() < losses.min()


def test_noise_that_is_given_is_the_least_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    floors: list[float] = []

    def listening(*args: Any) -> Choice:
        floors.append(args[5])
        return choose(*args)

    monkeypatch.setattr("krigetuner.search.nearby.choose", listening)
    x = trials()
    suggestion(x, needle(x), floor=0.02)
    assert floors == [0.02]


def test_jitter_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    search, space = BayesianSearch(0), cube()
    monkeypatch.setattr("krigetuner.search.bayesian.nearby_row", lambda *_: (np.full(D, 0.25), 1e-8))
    monkeypatch.setattr("krigetuner.search.bayesian.next_step", lambda *_: Step(nearby=True))
    talk = Conversation(lambda: search, space)
    with pytest.warns(KrigeTunerWarning, match="jitter 1e-08 was added"):
        talk.run(lambda v: float(v["x0"]), 6)
    assert talk.observations[-1].origin.note == {"model": "nearby", "jitter": 1e-8}


def test_where_trainings_fail_is_left_alone() -> None:
    x = trials()
    row = suggestion(x, needle(x), fails=True)
    assert row is None or row[0] > TARGET


def test_a_gain_that_does_not_count_is_worth_no_trial() -> None:
    x = trials()
    losses = needle(x)
    rows = np.concatenate([x, TARGET + 1e-5 * np.random.default_rng(1).standard_normal((20, D))])
    assert suggestion(rows, needle(rows)) is None, "it is found to the fifth digit"
    assert suggestion(rows, needle(rows), worth=0.0) is not None
    assert suggestion(x[:10], losses[:10]) is None, "too few"


def test_a_search_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> tuple[list[object], list[object]]:
        talk = Conversation(lambda: BayesianSearch(5), cube())
        tried = talk.run(lambda v: float(needle(np.array([[v[f"x{i}"] for i in range(D)]], dtype=float))[0]), 48)
        return [o.origin.note.get("model") for o in talk.observations], list(tried)

    notes, tried = run()
    turns = [number for number, note in enumerate(notes) if note == "nearby"]
    assert turns
    assert all(number % 2 == 0 for number in turns)
    for turned_off in "QUIET", "PRECISE":
        monkeypatch.setattr(f"krigetuner.search.stagnation.{turned_off}", 0.0)
    without, plain = run()
    assert "nearby" not in without
    assert tried[: turns[0]] == plain[: turns[0]]
    assert tried[turns[0]] != plain[turns[0]]


def test_a_narrow_valley_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> tuple[float, list[int]]:
        talk = Conversation(lambda: BayesianSearch(1), cube())
        scale = np.array([1.0, 300.0, 90_000.0])
        talk.run(lambda v: float(scale @ np.array([abs(float(v[f"x{i}"]) - TARGET) ** 2.2 for i in range(D)])), 70)
        notes = [o.origin.note.get("model") for o in talk.observations]
        return min(o.loss or 0.0 for o in talk.observations), [i for i, note in enumerate(notes) if note == "nearby"]

    best, turns = run()
    monkeypatch.setattr("krigetuner.search.stagnation.DESCENT", 1000)
    without, fewer = run()
    assert any(number % 4 == 2 for number in turns)
    assert all(number % 4 == 0 for number in fewer)
    assert best < 0.1 * without
