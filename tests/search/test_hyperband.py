"""Hyperband: the laws, the order of rungs, parallel trials, failures, spaces that end, and options that change."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.algorithm import AlgorithmContract, Conversation, Result, SeededContract, mixed_space, small_space

from krigetuner.search.hyperband import Hyperband
from krigetuner.search.protocol import Algorithm, Done, Wait
from krigetuner.search.schedule import Schedule
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import Observation, Origin


def search(max_epochs: int = 9, factor: float = 3, iterations: float = 1, seed: int = 0) -> Hyperband:
    return Hyperband(seed, Schedule(max_epochs, factor, iterations))


class TestHyperband(AlgorithmContract, SeededContract):
    def make(self, seed: int = 0) -> Algorithm:
        return search(100, 3, seed=seed)


class TestHyperbandOfShortBrackets(AlgorithmContract):
    def make(self, seed: int = 0) -> Algorithm:
        return search(4, 2, 20, seed)


def rungs(talk: Conversation) -> dict[tuple[int | None, int | None], int]:
    """How many trials each rung of each bracket has."""
    return dict(Counter((o.origin.bracket, o.origin.rung) for o in talk.observations))


def finish(talk: Conversation, losses: Sequence[Result] = (1.0,), most: int = 1000) -> None:
    """Runs one trial after the other to the end, with these results in turn."""
    for number in range(len(talk.observations), most):
        answer = talk.ask()
        if not isinstance(answer, list):
            assert isinstance(answer, Done)
            return
        talk.tell(number, losses[number % len(losses)])
    raise AssertionError("it does not end")


def converse(max_epochs: int = 9, factor: float = 3, iterations: float = 1, space: Space | None = None) -> Conversation:
    return Conversation(lambda: search(max_epochs, factor, iterations), mixed_space() if space is None else space)


@pytest.mark.parametrize(("max_epochs", "factor", "iterations"), [(9, 3, 1), (8, 2, 2), (10, 3, 1), (1, 3, 3)])
def test_one_trial_after_the_other_follows_the_schedule(max_epochs: int, factor: int, iterations: int) -> None:
    talk, schedule = converse(max_epochs, factor, iterations), Schedule(max_epochs, factor, iterations)
    finish(talk, [3.0, 1.0, 2.0])
    expected = [
        (index, rung, schedule.epochs(s, rung))
        for index in range(schedule.brackets * iterations)
        for s in [schedule.brackets - 1 - index % schedule.brackets]
        for rung in range(s + 1)
        for _ in range(schedule.size(s, rung))
    ]
    assert [(o.origin.bracket, o.origin.rung, o.origin.budget) for o in talk.observations] == expected
    assert len(expected) == schedule.trials * iterations
    answer = talk.ask()
    assert isinstance(answer, Done)
    assert "hyperband_iterations" in answer.reason


def test_the_best_of_a_rung_go_on_with_their_values() -> None:
    talk = converse()
    rng = np.random.default_rng(0)
    for number in range(23):
        talk.ask()
        talk.tell(number, float(rng.normal()))
    by_name = {o.trial_id: o for o in talk.observations}
    for index, s in ((0, 2), (1, 1)):
        for rung in range(1, s + 1):
            before = [o for o in talk.observations if (o.origin.bracket, o.origin.rung) == (index, rung - 1)]
            here = [o for o in talk.observations if (o.origin.bracket, o.origin.rung) == (index, rung)]
            best = sorted(before, key=lambda o: o.loss or 0.0)[: len(here)]
            assert [o.origin.parent for o in here] == [o.trial_id for o in best]
            assert all(o.values == by_name[str(o.origin.parent)].values for o in here)


def promoted(talk: Conversation) -> bool:
    """Whether the next suggestion goes on with a training; it is not asked for."""
    answer = talk.algorithm.ask(talk.space, talk.history, 1)
    return isinstance(answer, list) and answer[0].origin.parent is not None


def test_a_promotion_waits_until_nothing_can_change_it() -> None:
    talk = converse(9, 3)
    for _ in range(9):
        talk.ask()
    for number in range(6):
        talk.tell(number, float(number))
    assert not promoted(talk), "three are still running, any of which may be better: only later brackets begin"
    talk.tell(6, 6.0)
    assert promoted(talk), "two are still running: the first of seven is among the best three of nine"
    talk.ask()
    assert not promoted(talk)
    talk.tell(7, -1.0)
    answer = talk.ask()
    assert isinstance(answer, list)
    assert answer[0].origin.parent == "0007"


@pytest.mark.parametrize(
    ("failed", "sizes"),
    [
        ({0}, [9, 3, 1]),
        ({3, 5}, [9, 3, 1]),
        (set(range(7)), [9, 2, 1]),
        (set(range(8)), [9, 1, 1]),
        (set(range(9)), [9]),
        ({9}, [9, 3, 1]),
        ({9, 10}, [9, 3, 1]),
        ({9, 10, 11}, [9, 3]),
        ({12}, [9, 3, 1]),
    ],
)
@pytest.mark.parametrize("result", [None, math.inf])
def test_a_failure_costs_its_place_and_no_rung(failed: set[int], sizes: list[int], result: Result) -> None:
    talk = converse()
    for number in range(100):
        if isinstance(talk.ask(), Done):
            break
        talk.tell(number, result if number in failed else float(number))
    found = rungs(talk)
    assert [found[0, rung] for rung in range(3) if (0, rung) in found] == sizes
    assert [found[1, rung] for rung in range(2)] == [5, 2]
    assert found[2, 0] == 3
    bad = {o.trial_id for o in talk.observations if o.number in failed}
    assert not bad & {o.origin.parent for o in talk.observations}


def test_everything_fails() -> None:
    talk = converse(9, 3, 2)
    finish(talk, [None])
    assert rungs(talk) == {(0, 0): 9, (1, 0): 5, (2, 0): 3, (3, 0): 9, (4, 0): 5, (5, 0): 3}


def test_workers_fill_the_brackets_that_follow_and_then_wait() -> None:
    talk = converse(4, 2)
    for _ in range(10):
        assert isinstance(talk.ask(), list)
    assert rungs(talk) == {(0, 0): 4, (1, 0): 3, (2, 0): 3}
    answer = talk.ask()
    assert isinstance(answer, Wait)
    assert "10 running trials" in answer.reason
    for number in range(10):
        talk.tell(number, 1.0)
    assert [len(talk.ask(3)), len(talk.ask(3))] == [3, 1]  # type: ignore[arg-type]
    assert isinstance(talk.ask(), Wait)


def test_any_order_of_any_results_fills_every_rung_that_can_be_filled() -> None:
    results = st.one_of(st.none(), st.just(math.inf), st.floats(-5, 5), st.sampled_from([0.0, 1.0]))

    @settings(max_examples=60)
    @given(st.data(), st.integers(1, 5), st.sampled_from([(9, 3, 1), (4, 2, 2), (10, 3, 1)]))
    def law(data: st.DataObject, workers: int, options: tuple[int, int, int]) -> None:
        talk = converse(*options)
        for _ in range(400):
            running = [o.number for o in talk.observations if o.phase == "running"]
            answer = talk.ask() if len(running) < workers else None
            if isinstance(answer, Done):
                break
            if not isinstance(answer, list):
                talk.tell(data.draw(st.sampled_from(running)), data.draw(results))
        assert isinstance(talk.ask(), Done)
        check_rungs(talk, Schedule(*options))

    law()


def check_rungs(talk: Conversation, schedule: Schedule) -> None:
    """Sizes are kept, and as many of the completed go on as there are places; nobody twice."""
    for index in schedule.indices():
        s = schedule.halvings(index)
        members = [
            [o for o in talk.observations if (o.origin.bracket, o.origin.rung) == (index, r)] for r in range(s + 1)
        ]
        assert len(members[0]) == schedule.size(s, 0)
        for rung in range(s):
            able = {o.trial_id for o in members[rung] if o.loss is not None and math.isfinite(o.loss)}
            parents = [o.origin.parent for o in members[rung + 1]]
            assert len(parents) == len(set(parents)) == min(schedule.size(s, rung + 1), len(able))
            assert set(parents) <= able


def test_a_stop_changes_nothing() -> None:
    one = converse(9, 3, 2)
    two = Conversation(lambda: search(9, 3, 2), mixed_space(), fresh=True)
    losses: list[Result] = [2.0, None, 0.5, 1.0, math.inf, 0.7]
    finish(one, losses)
    finish(two, losses)
    assert one.observations == two.observations


def test_a_small_space_is_trained_to_the_end() -> None:
    talk = converse(9, 3, 3, small_space())
    finish(talk, [3.0, 1.0, 2.0])
    assert rungs(talk) == {(0, 0): 5, (0, 1): 3, (0, 2): 1}
    answer = talk.ask()
    assert isinstance(answer, Done)
    assert "5 configurations" in answer.reason


def test_a_space_that_ends_in_the_second_bracket() -> None:
    hp = HyperParameters()
    hp.Int("a", 1, 11)
    talk = converse(9, 3, math.inf, Space(hp.space))
    finish(talk)
    assert rungs(talk) == {(0, 0): 9, (0, 1): 3, (0, 2): 1, (1, 0): 2, (1, 1): 2}


def test_a_space_that_is_found_by_the_first_trial() -> None:
    talk = converse(9, 3, 1, Space([]))
    assert isinstance(talk.ask(), list)
    assert isinstance(talk.ask(), Wait)
    talk.space = mixed_space()
    talk.tell(0, 1.0)
    finish(talk)
    assert rungs(talk)[0, 0] == 9
    assert len(talk.observations) == 23


def test_no_end_is_possible() -> None:
    talk = converse(3, 3, math.inf)
    for number in range(200):
        assert isinstance(talk.ask(), list)
        talk.tell(number, 1.0)
    assert len({o.origin.bracket for o in talk.observations}) > 50


def reopened(talk: Conversation, **options: Any) -> Conversation:
    """The same record under other options."""
    other = Conversation(lambda: search(**options), talk.space)
    other.observations = list(talk.observations)
    return other


def test_more_iterations_go_on() -> None:
    talk = converse(9, 3, 1)
    finish(talk)
    more = reopened(talk, iterations=2)
    finish(more)
    assert len(more.observations) == 46
    assert isinstance(reopened(more, iterations=1).ask(), Done)


def test_more_epochs_take_over_the_rungs_that_fit() -> None:
    talk = converse(9, 3)
    finish(talk)
    more = reopened(talk, max_epochs=27)
    finish(more)
    schedule = Schedule(27, 3)
    new = [(o.origin.bracket, o.origin.rung) for o in more.observations[23:]]
    # three times as many epochs: 9/3/1 to the epochs 1, 3, 9 is a part of 27/9/3/1, 5/2 of 12/4/2, 3 of the next
    assert [new.count((0, rung)) for rung in range(4)] == [27 - 9, 9 - 3, 3 - 1, 1]
    assert [new.count((1, rung)) for rung in range(3)] == [12 - 5, 4 - 2, 2]
    assert [new.count((2, rung)) for rung in range(2)] == [schedule.size(1, 0) - 3, schedule.size(1, 1)]
    assert len({more.space.key(v) for v in more.begun}) == len(more.begun), "nothing is begun twice"


def test_another_factor_begins_again_beside_the_old_trials() -> None:
    talk = converse(9, 3)
    finish(talk)
    other = reopened(talk, max_epochs=8, factor=2)
    finish(other)
    assert len(other.observations) >= 23 + Schedule(8, 2).trials - 9
    assert len({other.space.key(v) for v in other.begun}) == len(other.begun)


def test_what_later_rungs_may_need() -> None:
    talk, algorithm = converse(9, 3), search()
    for number in range(9):
        talk.ask()
        talk.tell(number, float(number))
    assert algorithm.continued(talk.history) == {"0000", "0001", "0002"}
    talk.ask()
    assert algorithm.continued(talk.history) == {"0000", "0001", "0002"}, "0000 while the one that goes on from it runs"
    talk.tell(9, 0.0)
    assert algorithm.continued(talk.history) == {"0001", "0002", "0009"}
    for number in (10, 11):
        talk.ask()
        talk.tell(number, 1.0)
    assert algorithm.continued(talk.history) == {"0009"}
    talk.ask()
    talk.tell(12, None)
    assert algorithm.continued(talk.history) == set()


def test_a_place_for_what_is_given_from_outside() -> None:
    talk, algorithm = converse(3, 3), search(3, 3)
    origin = algorithm.place(talk.history)
    assert (origin.bracket, origin.rung, origin.budget, origin.parent) == (0, 0, 1, None)
    finish(talk)
    origin = algorithm.place(talk.history)
    assert (origin.bracket, origin.rung, origin.budget) == (None, None, 3)


def test_trials_beside_the_brackets_are_respected() -> None:
    talk = converse(3, 3)
    talk.ask()
    taken = talk.observations[0]
    stranger = Observation(0, taken.values, "completed", 0.0, None, Origin("given"), "0000")
    talk.observations = [stranger]
    finish(talk, most=100)
    assert rungs(talk)[0, 0] == 3
    assert len({talk.space.key(v) for v in talk.begun}) == len(talk.begun)
    assert "0000" not in {o.origin.parent for o in talk.observations}
