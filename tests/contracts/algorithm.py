"""The laws of search/protocol.py. A test class of an algorithm inherits `AlgorithmContract` and gives `make`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from krigetuner.search.protocol import Algorithm, Answer, Done, Suggestion, Wait
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Value

Result = float | None
"""A loss, or None for a failed trial."""


def mixed_space() -> Space:
    """Every type, a log scale, and two levels of conditions."""
    hp = HyperParameters()
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    hp.Int("units", 8, 64, step=8)
    hp.Boolean("flag")
    hp.Choice("kind", ["a", "b", "c"])
    hp.Float("only_b", 0.0, 1.0, parent_name="kind", parent_values=["b"])
    hp.Int("only_flag", 1, 3, parent_name="flag", parent_values=[True])
    hp.Fixed("constant", 7)
    return Space(hp.space)


def small_space() -> Space:
    """Five configurations: two under one branch, three under the other."""
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b"])
    hp.Int("level", 1, 3, parent_name="kind", parent_values=["b"])
    hp.Boolean("flag", parent_name="kind", parent_values=["a"])
    return Space(hp.space)


def toy_loss(space: Space, values: Mapping[str, Value]) -> float:
    """A smooth loss of the encoded values."""
    return float(((space.encode(values) - 0.3) ** 2).sum())


class Conversation:
    """Asks an algorithm and tells it results, as a loop would, keeping the history."""

    def __init__(self, make: Callable[[], Algorithm], space: Space, fresh: bool = False) -> None:
        self.make, self.space, self.fresh = make, space, fresh
        self.algorithm = make()
        self.observations: list[Observation] = []

    @property
    def history(self) -> History:
        return History(self.observations)

    def ask(self, count: int = 1) -> Answer:
        if self.fresh:
            self.algorithm = self.make()
        answer = self.algorithm.ask(self.space, self.history, count)
        for suggestion in answer if isinstance(answer, list) else []:
            number = len(self.observations)
            origin, name = suggestion.origin, f"{number:04d}"
            self.observations.append(Observation(number, suggestion.values, "running", None, None, origin, name))
        return answer

    def tell(self, number: int, loss: Result, variance: float | None = None) -> None:
        old = self.observations[number]
        phase: Any = "failed" if loss is None else "completed"
        self.observations[number] = Observation(number, old.values, phase, loss, variance, old.origin, old.trial_id)

    def run(
        self, losses: Sequence[Result] | Callable[[Mapping[str, Value]], Result], trials: int
    ) -> list[Mapping[str, Value]]:
        """Up to `trials` new trials one after the other; returns the values of all that began anew."""
        first, enough = len(self.observations), len(self.begun) + trials
        while len(self.begun) < enough:
            answer = self.ask()
            if not isinstance(answer, list):
                assert isinstance(answer, Done)
                break
            number = len(self.observations) - 1
            self.tell(number, losses(answer[0].values) if callable(losses) else losses[(number - first) % len(losses)])
        return self.begun

    @property
    def begun(self) -> list[Mapping[str, Value]]:
        """The values of the trials that began anew; those that go on with another's training repeat its values."""
        return [o.values for o in self.observations if o.origin.parent is None]

    def end(self) -> Answer:
        """The answer to the first question that is not answered with a trial that goes on with another's training."""
        while isinstance(answer := self.ask(), list) and answer[0].origin.parent is not None:
            self.tell(len(self.observations) - 1, 1.0)
        return answer


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Random spaces: every type, steps, scales, single values, some parameters under a condition."""
    hp = HyperParameters()
    hp.Choice("root", [f"r{i}" for i in range(draw(st.integers(1, 3)))])
    for i in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["float", "log", "step", "int", "wide", "bool", "choice", "fixed"]))
        under: dict[str, Any] = {"parent_name": "root", "parent_values": ["r0"]} if draw(st.booleans()) else {}
        name = f"p{i}"
        if kind == "float":
            hp.Float(name, -2.0, 3.0, **under)
        elif kind == "log":
            hp.Float(name, 1e-6, 1e3, sampling="log", **under)
        elif kind == "step":
            hp.Float(name, 0.0, 1.0, step=0.25, **under)
        elif kind == "int":
            hp.Int(name, 1, draw(st.integers(1, 4)), **under)
        elif kind == "wide":
            hp.Int(name, 1, 1000, sampling="log", **under)
        elif kind == "bool":
            hp.Boolean(name, **under)
        elif kind == "choice":
            hp.Choice(name, list(range(draw(st.integers(1, 4)))), **under)
        else:
            hp.Fixed(name, 3, **under)
    return Space(hp.space)


RESULTS = st.one_of(
    st.none(),
    st.just(float("inf")),
    st.floats(-1e3, 1e3),
    st.sampled_from([0.0, 1.0, 1.0 + 1e-12, 1e30, -1e30, 1e-300]),
)


class AlgorithmContract:
    """The laws. `trials` and `examples` bound the work of the random ones."""

    trials = 30
    examples = 10

    def make(self, seed: int = 0) -> Algorithm:
        raise NotImplementedError

    def converse(self, space: Space, seed: int = 0, fresh: bool = False) -> Conversation:
        return Conversation(lambda: self.make(seed), space, fresh)

    def test_the_same_inputs_give_the_same_answer(self) -> None:
        space = mixed_space()
        first = self.converse(space).run(lambda v: toy_loss(space, v), self.trials)
        again = self.converse(mixed_space(), fresh=True).run(lambda v: toy_loss(space, v), self.trials)
        assert first == again, "a fresh object per ask, as after a resume, must not differ from one that lives on"

    def test_asking_leaves_the_history_alone(self) -> None:
        talk = self.converse(mixed_space())
        talk.run([0.5, 0.2, None, float("inf")], 8)
        before = list(talk.observations)
        one, two = (talk.algorithm.ask(talk.space, talk.history, 2) for _ in range(2))
        assert talk.observations == before
        assert [s.values for s in one] == [s.values for s in two]  # type: ignore[union-attr]

    def test_values_lie_in_the_space_and_are_active(self) -> None:
        space = mixed_space()
        for values in self.converse(space).run(lambda v: toy_loss(space, v), 20):
            assert space.contains(values)
            assert ("only_b" in values) == (values["kind"] == "b")
            assert ("only_flag" in values) == bool(values["flag"])
            assert values["constant"] == 7

    def test_suggestions_name_their_origin(self) -> None:
        algorithm = self.make()
        answer = algorithm.ask(mixed_space(), History(), 1)
        assert isinstance(answer, list)
        assert isinstance(answer[0], Suggestion)
        assert answer[0].origin.algorithm == algorithm.name

    def test_an_exhausted_space_ends_without_repeats(self) -> None:
        space = small_space()
        talk = self.converse(space)
        seen = talk.run(lambda v: toy_loss(space, v), 10)
        assert len(seen) == len({space.key(v) for v in seen}) == space.size == 5
        answer = talk.end()
        assert isinstance(answer, Done)
        assert "5 configurations" in answer.reason

    def test_running_trials_are_respected(self) -> None:
        space = small_space()
        talk = self.converse(space)
        for _ in range(5):
            assert isinstance(talk.ask(), list)
        assert len({space.key(o.values) for o in talk.observations}) == 5
        assert isinstance(talk.ask(), Wait), "while trials run, an exhausted space waits"
        for number in range(5):
            talk.tell(number, 1.0)
        assert isinstance(talk.end(), Done)

    def test_a_batch_has_no_repeats(self) -> None:
        space = mixed_space()
        talk = self.converse(space)
        talk.run(lambda v: toy_loss(space, v), 10)
        answer = talk.ask(5)
        assert isinstance(answer, list)
        assert len({space.key(s.values) for s in answer}) == len(answer) == 5

    def test_asking_for_more_than_there_is_gives_what_is_left(self) -> None:
        answer = self.converse(small_space()).ask(50)
        assert isinstance(answer, list)
        assert len(answer) == 5

    def test_a_space_with_nothing_to_vary_is_tried_once(self) -> None:
        hp = HyperParameters()
        hp.Fixed("constant", 7)
        hp.Choice("single", ["x"])
        talk = self.converse(Space(hp.space))
        answer = talk.ask()
        assert isinstance(answer, list)
        assert dict(answer[0].values) == {"constant": 7, "single": "x"}
        assert isinstance(talk.ask(), Wait)
        talk.tell(0, 1.0)
        assert isinstance(talk.end(), Done)

    def test_an_empty_space_waits_while_a_trial_runs(self) -> None:
        talk = self.converse(Space([]))
        answer = talk.ask()
        assert isinstance(answer, list)
        assert dict(answer[0].values) == {}
        assert isinstance(talk.ask(), Wait)

    @pytest.mark.parametrize("losses", [[None], [float("inf")], [1.0], [None, float("inf"), 1.0]], ids=str)
    def test_bad_results_do_not_stop_the_search(self, losses: list[Result]) -> None:
        space = mixed_space()
        seen = self.converse(space).run(losses, 20)
        assert len({space.key(v) for v in seen}) == 20

    def test_random_spaces_and_results(self) -> None:
        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(spaces(), st.lists(RESULTS, min_size=1, max_size=self.trials), st.integers(0, 10**6))
        def law(space: Space, results: list[Result], seed: int) -> None:
            seen = self.converse(space, seed).run(results, self.trials)
            assert len({space.key(v) for v in seen}) == len(seen)
            assert len(seen) == (self.trials if space.size is None else min(self.trials, space.size))
            assert all(space.contains(v) for v in seen)

        law()

    def test_parallel_trials_that_end_in_any_order(self) -> None:
        space = mixed_space()
        rng = np.random.default_rng(0)
        talk = self.converse(space)
        for _ in range(12):
            talk.ask(int(rng.integers(1, 4)))
            running = [o.number for o in talk.observations if o.phase == "running"]
            for number in rng.permutation(running)[:2]:
                talk.tell(int(number), None if rng.random() < 0.2 else float(rng.normal()))
        assert len({space.key(v) for v in talk.begun}) == len(talk.begun)


class SeededContract:
    """The laws of algorithms that have a seed; inherited beside `AlgorithmContract`."""

    def make(self, seed: int = 0) -> Algorithm:
        raise NotImplementedError

    def test_neighbouring_seeds_are_independent(self) -> None:
        space = mixed_space()
        runs = [
            [space.key(v) for v in Conversation(lambda s=s: self.make(s), space).run(lambda v: toy_loss(space, v), 10)]  # type: ignore[misc]
            for s in (0, 1, 2)
        ]
        shared = set(runs[0]) & set(runs[1]) | set(runs[1]) & set(runs[2])
        assert len(shared) <= 2, "only the defaults may agree"

    def test_zero_is_a_seed(self) -> None:
        space = mixed_space()
        one, two = (Conversation(lambda: self.make(0), space).run([1.0, 0.5], 6) for _ in range(2))
        assert one == two
