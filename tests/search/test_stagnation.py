"""What Bayesian optimization does when nothing gets better, and when results are on their way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from krigetuner.backend.protocol import Array
from krigetuner.search.bayesian import BayesianSearch
from krigetuner.search.stagnation import (
    DESCENT,
    GAIN,
    PATIENCE,
    PRECISE,
    QUIET,
    SETTLED,
    SHRINK,
    Step,
    next_step,
    stagnates,
)
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin

WORSE = [1.0] * PATIENCE
STUCK = Step(inside=True)


def test_stagnation_is_no_gain_among_the_last_few() -> None:
    assert stagnates(np.array([0.5, *WORSE]), 1.0)
    assert not stagnates(np.array([0.5, *WORSE[1:]]), 1.0)
    assert not stagnates(np.array([0.5, *WORSE[1:], 0.4]), 1.0)
    assert not stagnates(np.array([0.5, 0.4, *WORSE[1:]]), 1.0)
    assert stagnates(np.array([np.inf, *WORSE, np.inf, *WORSE]), 1.0)
    assert stagnates(np.full(PATIENCE + 1, np.inf), 1.0)
    assert not stagnates(np.array([np.inf, *WORSE]), 1.0)
    assert not stagnates(np.array([1e308, *WORSE[1:], -1e308]), 1.0)
    assert stagnates(np.array([np.inf, *WORSE]), 0.0)


def test_small_gains_are_none_also_together() -> None:
    falling = 1.0 - np.arange(PATIENCE + 1) * GAIN / (PATIENCE + 0.5)
    assert stagnates(falling, 1.0)
    assert not stagnates(falling, 1.5)
    assert not stagnates(1.0 - 1.5 * (1.0 - falling), 1.0)


def steps(losses: Array, categories: bool = False, noise: float = 1.0, running: int = 0) -> list[Step]:
    return [next_step(number, losses, 1.0, running, categories, noise) for number in range(4)]


def test_the_steps_of_trials_that_gain_nothing() -> None:
    losses = np.array([0.5, *[1.0] * (SETTLED - 2)])
    plain = [STUCK, replace(STUCK, parabola=True, shrunk=True), STUCK, replace(STUCK, shrunk=True)]
    assert steps(losses, True) == steps(np.append(losses, 1.0)) == plain
    bold = replace(STUCK, bold=True)
    assert steps(np.append(losses, 1.0), True) == [bold, plain[1], bold, replace(plain[3], elsewhere=True)]
    assert steps(np.append(losses, 0.0), True) == [Step()] * 4


def test_precise_losses_are_worth_a_parabola_at_every_turn_and_after_each_gain() -> None:
    losses = np.array([0.5, *WORSE])
    turn = replace(STUCK, parabola=True, shrunk=True, eager=True)
    assert steps(losses, noise=0.9 * PRECISE) == [replace(STUCK, nearby=True), turn, STUCK, turn]
    assert steps(losses, noise=PRECISE)[3] == replace(STUCK, shrunk=True)
    assert steps(np.append(losses, 0.0), noise=0.0) == [Step(parabola=True, eager=True)] * 4
    assert steps(np.array([1.0]), noise=0.0) == [Step()] * 4


def test_one_in_four_is_from_near_the_best_trial_where_numbers_tell() -> None:
    losses = np.array([0.5, *WORSE])
    quiet, loud = steps(losses, noise=0.9 * QUIET), steps(losses, noise=QUIET)
    assert [step.nearby for step in quiet] == [True, False, False, False]
    assert quiet[1:] == loud[1:]
    gained = np.append(losses, 0.0)
    others = [loud, steps(gained, noise=0.0), steps(losses, True, noise=0.0), steps(losses, noise=0.0, running=1)]
    assert not any(step.nearby for found in others for step in found)


def test_while_the_best_goes_down_in_any_digit_every_second_one_is_from_near_it() -> None:
    falling = np.append(0.5 - 1e-9 * np.arange(DESCENT), 1.0)
    keen, turn = replace(STUCK, nearby=True, keen=True), replace(STUCK, parabola=True, shrunk=True, eager=True)
    assert steps(falling, noise=0.9 * PRECISE) == [keen, turn] * 2
    for losses, noise in (falling, PRECISE), (np.append(falling, np.ones(DESCENT)), 0.0), (falling[-DESCENT:], 0.0):
        assert [step.nearby for step in steps(losses, noise=noise)] == [True, False, False, False]
        assert not any(step.keen for step in steps(losses, noise=noise))
    assert not any(step.nearby for step in steps(falling, True, noise=0.0) + steps(falling, noise=0.0, running=1))


def note_of(
    losses: list[float], acquisition: str = "auto", running: int = 0, points: list[float] | None = None
) -> dict[str, object]:
    """The note of the suggestion after trials with these losses, and others that run."""
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0)
    space = Space(hp.space)
    points = points or list(np.linspace(0.0, 1.0, len(losses)))
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


@pytest.mark.parametrize("precise", [0.0, 1e9])
def test_one_in_four_is_where_a_parabola_is_lowest(monkeypatch: pytest.MonkeyPatch, precise: float) -> None:
    monkeypatch.setattr("krigetuner.search.stagnation.PRECISE", precise)
    stuck = [0.2 + (0.1 * (i - 3.3)) ** 2 for i in range(PATIENCE + 7)]
    assert len(stuck) % 4 == 1
    assert note_of(stuck) == {"model": "parabola"}
    assert "model" not in note_of([*stuck[:-1], 0.01])
    assert "model" not in note_of(stuck, "ei")


ORDER = (0, 1, 2, 9, 10, 11, 12, 13, 5, 6, 7, 4)


def after_a_gain(noise: float = 0.0, order: tuple[int, ...] = ORDER, **more: Any) -> dict[str, object]:
    """The note after an even number of trials on a parabola; the last of ORDER is the best by far."""
    losses = np.array([1.0 + (0.1 * (i - 3.3)) ** 2 for i in order])
    losses[:-1] += noise * np.random.default_rng(1).standard_normal(len(order) - 1)
    if noise:
        losses[-1] = losses[:-1].min() - 0.01
    return note_of(list(losses), points=[i / 13 for i in order], **more)


def test_a_gain_is_followed_by_a_parabola_where_losses_are_precise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert after_a_gain() == {"model": "parabola"}
    assert "model" not in after_a_gain(order=(*ORDER[:-2], 4, 7))
    assert "model" not in after_a_gain(running=2)
    assert "model" not in after_a_gain(acquisition="ei")
    assert "model" not in after_a_gain(noise=0.05)
    monkeypatch.setattr("krigetuner.search.stagnation.PRECISE", 1e9)
    assert after_a_gain(noise=0.05) == {"model": "parabola"}


def test_a_gain_among_categories_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krigetuner.search.stagnation.PRECISE", 1e9)
    hp = HyperParameters()
    hp.Choice("family", ["a", "b"])
    hp.Float("x", 0.0, 1.0)
    trials = [
        Observation(i, {"family": "a", "x": j / 13}, "completed", (j - 3.3) ** 2, None, Origin("bayesian"))
        for i, j in enumerate(ORDER)
    ]
    answer = BayesianSearch(0).ask(Space(hp.space), History(trials), 1)
    assert isinstance(answer, list)
    assert "model" not in answer[0].origin.note


def settled(families: list[str], count: int = SETTLED + 3) -> History:
    """Trials of two families; the best was found long ago, in the one that looks better by far."""
    number = np.arange(count)
    return History(
        [
            Observation(
                int(i),
                {"family": families[i % 2], "x": float(x)},
                "completed",
                (x - 0.4) ** 2 + 2.0 * (i % 2) + 0.1,
                None,
                Origin("bayesian"),
            )
            for i, x in zip(number, np.modf(0.4 + number * 0.381966)[0], strict=True)
        ]
    )


def test_one_in_four_is_then_of_another_category() -> None:
    hp = HyperParameters()
    hp.Choice("family", ["a", "b", "c"])
    hp.Float("x", 0.0, 1.0)
    history = settled(["a", "b"])
    assert len(history) % 4 == 3
    answer = BayesianSearch(0).ask(Space(hp.space), history, 1)
    assert isinstance(answer, list)
    assert answer[0].origin.note["categories"] == "others"
    assert answer[0].values["family"] in ("b", "c")
    named = BayesianSearch(0, acquisition="ei").ask(Space(hp.space), history, 1)
    assert isinstance(named, list)
    assert "categories" not in named[0].origin.note


def test_those_between_do_not_refine_what_is_found() -> None:
    hp = HyperParameters()
    hp.Choice("family", ["a", "b"])
    hp.Float("x", 0.0, 1.0)
    early, late = (
        BayesianSearch(0).ask(Space(hp.space), settled(["a", "b"], count), 1) for count in (SETTLED - 2, SETTLED + 2)
    )
    assert isinstance(early, list)
    assert isinstance(late, list)
    assert early[0].values["family"] == "a"
    assert early[0].values["x"] == pytest.approx(0.4, abs=0.01)
    assert late[0].values["family"] != "a" or abs(late[0].values["x"] - 0.4) > 0.05


def test_without_others_left_the_best_of_the_same_categories_follows() -> None:
    hp = HyperParameters()
    hp.Choice("family", ["a", "b"])
    hp.Float("x", 0.0, 1.0, step=0.5, parent_name="family", parent_values=["b"])
    hp.Int("y", 0, 1000, parent_name="family", parent_values=["a"])
    tried = [{"family": "b", "x": x} for x in (0.0, 0.5, 1.0)]
    tried += [{"family": "a", "y": y} for y in range(0, 40 * SETTLED, 40)]
    history = History(
        [
            Observation(i, dict(v), "completed", 0.0 if i == 3 else 1.0 + 0.01 * i, None, Origin("bayesian"))
            for i, v in enumerate(tried)
        ]
    )
    assert len(history) % 4 == 3
    answer = BayesianSearch(0).ask(Space(hp.space), history, 1)
    assert isinstance(answer, list)
    assert answer[0].values["family"] == "a"


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


@pytest.mark.parametrize("best", [0.6, 0.9])
def test_when_nothing_gets_better_edges_far_from_the_best_are_not_tried_one_by_one(
    best: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    hp = HyperParameters()
    for i in range(3):
        hp.Float(f"x{i}", 0.0, 1.0)
    space = Space(hp.space)

    def coordinates_at_such_edges() -> int:
        search, trials, rows = BayesianSearch(2), list[Observation](), list[Array]()
        for i in range(40):
            answer = search.ask(space, History(trials), 1)
            assert isinstance(answer, list)
            rows.append(space.encode(answer[0].values))
            loss = -round(float(np.exp(-10.0 * ((rows[-1] - best) ** 2).sum())), 2)  # found early, and then no better
            trials.append(Observation(i, answer[0].values, "completed", loss, None, Origin("bayesian")))
        later = np.array(rows[20:])
        return int(((np.abs(later - 0.5) == 0.5) & (np.abs(later - best) > 0.5)).sum())

    few = coordinates_at_such_edges()
    monkeypatch.setattr("krigetuner.search.bayesian.INSIDE", 10**9)
    assert few <= 4 < coordinates_at_such_edges()
