"""Random search: the laws, full cover of small spaces, and draws that follow the parameters' own distributions."""

from __future__ import annotations

import numpy as np
import pytest
from tests.contracts.algorithm import AlgorithmContract, Conversation, SeededContract

from krigetuner.search.protocol import Algorithm, Done, Wait
from krigetuner.search.random_search import RandomSearch
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin


class TestRandomSearch(AlgorithmContract, SeededContract):
    def make(self, seed: int = 0) -> Algorithm:
        return RandomSearch(seed)


def space_of_18() -> Space:
    hp = HyperParameters()
    hp.Choice("a", [1, 2, 3])
    hp.Choice("b", ["x", "y", "z"])
    hp.Boolean("c")
    return Space(hp.space)


@pytest.mark.parametrize("seed", range(10))
def test_as_many_trials_as_points_visit_every_point(seed: int) -> None:
    space = space_of_18()
    talk = Conversation(lambda: RandomSearch(seed), space)
    assert len({space.key(v) for v in talk.run([0.0], 18)}) == 18
    answer = talk.ask()
    assert isinstance(answer, Done)
    assert "exhausted" in answer.reason
    assert "18 configurations" in answer.reason


def test_a_rare_branch_is_found_at_the_end() -> None:
    hp = HyperParameters()
    hp.Choice("kind", ["plain", "rich"])
    hp.Int("level", 0, 99, parent_name="kind", parent_values=["rich"])
    space = Space(hp.space)
    seen = Conversation(lambda: RandomSearch(1), space).run([0.0], 200)
    assert len(seen) == len({space.key(v) for v in seen}) == space.size == 101


def test_integers_on_a_logarithmic_scale_are_all_visited() -> None:
    hp = HyperParameters()
    hp.Int("n", 1, 60, sampling="log")
    seen = Conversation(lambda: RandomSearch(0), Space(hp.space)).run([0.0], 100)
    assert sorted(v["n"] for v in seen) == list(range(1, 61))


def test_a_space_too_large_to_list_ends_when_no_draw_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krigetuner.search.random_search.LISTED", 2)
    talk = Conversation(lambda: RandomSearch(1), space_of_18())
    assert len(talk.run([0.0], 40)) == 18


def test_the_draw_of_a_trial_depends_on_its_number_alone() -> None:
    space = space_of_18()
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0)
    space = Space(hp.space)
    alone = Conversation(lambda: RandomSearch(5), space).run([0.3], 6)
    failing = Conversation(lambda: RandomSearch(5), space).run([None, float("inf")], 6)
    batch = RandomSearch(5).ask(space, History(), 6)
    assert isinstance(batch, list)
    assert alone == failing == [dict(s.values) for s in batch]


def test_draws_follow_the_scale_of_each_parameter() -> None:
    hp = HyperParameters()
    hp.Float("log", 1e-4, 1.0, sampling="log")
    hp.Int("int", 1, 4)
    hp.Choice("choice", ["a", "b", "c"])
    seen = Conversation(lambda: RandomSearch(0), Space(hp.space)).run([0.0], 600)
    logs = np.log10([float(v["log"]) for v in seen])
    assert abs(logs.mean() + 2.0) < 4 * 4 / np.sqrt(12 * 600)
    for name, shares in (("int", 4), ("choice", 3)):
        counts = np.unique([str(v[name]) for v in seen], return_counts=True)[1]
        assert len(counts) == shares
        assert (abs(counts - 600 / shares) < 5 * np.sqrt(600 / shares)).all()


def test_an_earlier_trial_without_a_parameter_counts_with_its_default() -> None:
    hp = HyperParameters()
    hp.Choice("a", ["x", "y"])
    hp.Boolean("late", default=True)
    space = Space(hp.space)
    before = Observation(0, space.complete({"a": "x"}), "completed", 1.0, None, Origin("random"))
    talk = Conversation(lambda: RandomSearch(0), space)
    talk.observations.append(before)
    seen = talk.run([0.0], 5)
    assert len(seen) == 4
    assert seen.count({"a": "x", "late": True}) == 1


def test_an_object_that_saw_another_history_answers_as_a_new_one() -> None:
    space, algorithm = space_of_18(), RandomSearch(3)
    long = Conversation(lambda: algorithm, space)
    long.run([0.0], 12)
    short = History(long.observations[:5])
    assert algorithm.ask(space, short, 2) == RandomSearch(3).ask(space, short, 2)
    assert algorithm.ask(space_of_18(), long.history, 2) == RandomSearch(3).ask(space_of_18(), long.history, 2)


def test_waits_while_the_last_configuration_runs() -> None:
    hp = HyperParameters()
    hp.Boolean("b")
    talk = Conversation(lambda: RandomSearch(0), Space(hp.space))
    talk.ask(2)
    answer = talk.ask()
    assert isinstance(answer, Wait)
    assert "2 running trials" in answer.reason
