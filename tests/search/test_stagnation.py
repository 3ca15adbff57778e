"""What Bayesian optimization does when nothing gets better, and when results are on their way."""

from __future__ import annotations

import numpy as np
import pytest

from krigetuner.search.bayesian import PATIENCE, SHRINK, BayesianSearch, stagnates
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin

WORSE = [1.0] * PATIENCE


def test_stagnation_is_no_gain_among_the_last_few() -> None:
    assert stagnates(np.array([0.5, *WORSE]))
    assert not stagnates(np.array([0.5, *WORSE[1:]]))
    assert not stagnates(np.array([0.5, *WORSE[1:], 0.4]))
    assert not stagnates(np.array([0.5, 0.4, *WORSE[1:]]))
    assert stagnates(np.array([np.inf, *WORSE, np.inf, *WORSE]))
    assert stagnates(np.full(PATIENCE + 1, np.inf))


def note_of(losses: list[float], acquisition: str = "auto", running: int = 0) -> dict[str, object]:
    """The note of the suggestion after trials with these losses, and others that run."""
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0)
    space = Space(hp.space)
    points = np.linspace(0.0, 1.0, len(losses))
    trials = [
        Observation(i, {"x": float(x)}, "completed", loss, None, Origin("bayesian"))
        for i, (x, loss) in enumerate(zip(points, losses, strict=True))
    ]
    trials += [
        Observation(len(losses) + i, {"x": 0.05 + 0.9 * i / running}, "running", None, None, Origin("bayesian"))
        for i in range(running)
    ]
    answer = BayesianSearch(0, acquisition=acquisition).ask(space, History(trials), 1)
    assert isinstance(answer, list)
    return dict(answer[0].origin.note)


def test_one_in_four_then_comes_from_shorter_lengthscales() -> None:
    stuck = [0.2 + 0.1 * abs(i - 2) for i in range(PATIENCE + 5)]
    assert len(stuck) % 4 == 3
    assert note_of(stuck)["lengthscales"] == SHRINK
    assert "lengthscales" not in note_of([*stuck, 0.9])
    assert "lengthscales" not in note_of([*stuck[:-1], 0.01])


def test_one_in_four_is_where_a_parabola_is_lowest() -> None:
    stuck = [0.2 + (0.1 * (i - 3.3)) ** 2 for i in range(PATIENCE + 7)]
    assert len(stuck) % 4 == 1
    assert note_of(stuck) == {"model": "parabola"}
    assert "model" not in note_of([*stuck[:-1], 0.01])
    assert "model" not in note_of(stuck, "ei")


def test_a_named_acquisition_is_what_it_says() -> None:
    stuck = [0.2 + 0.1 * abs(i - 2) for i in range(PATIENCE + 5)]
    for name in ("ucb", "ei", "pi"):
        assert "lengthscales" not in note_of(stuck, name)


@pytest.mark.parametrize("running", [1, 2, 7, 8])
def test_while_others_run_every_second_one_comes_from_shorter_lengthscales(running: int) -> None:
    better = [1.0 - 0.1 * i for i in range(8)]
    shortened = running % 2 == 1
    assert (note_of(better, running=running).get("lengthscales") == SHRINK) == shortened
    assert "lengthscales" not in note_of(better, "ei", running)
    assert "model" not in note_of(better, running=running)


def test_one_at_a_time_the_lengthscales_are_as_fitted() -> None:
    better = [1.0 - 0.1 * i for i in range(9)]
    assert "lengthscales" not in note_of(better)
