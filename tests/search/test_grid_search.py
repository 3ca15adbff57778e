"""Grid search: the laws, KerasTuner's order, spaces that grow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.algorithm import RESULTS, AlgorithmContract, Conversation, mixed_space, spaces

from krigetuner.search.grid_search import GridSearch
from krigetuner.search.protocol import Algorithm, Done, Wait
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin, Phase


class TestGridSearch(AlgorithmContract):
    def make(self, seed: int = 0) -> Algorithm:
        return GridSearch()

    def test_random_spaces_and_results(self) -> None:
        @given(spaces(), st.lists(RESULTS, min_size=1, max_size=self.trials))
        def law(space: Space, results: list[float | None]) -> None:
            grid = []
            for values in space.enumerate():
                grid.append(values)
                if len(grid) == self.trials:
                    break
            assert self.converse(space).run(results, self.trials) == grid

        law()


def test_the_last_parameter_varies_fastest_and_defaults_come_first() -> None:
    hp = HyperParameters()
    hp.Choice("a", ["x", "y"], default="y")
    hp.Int("b", 1, 3, default=2)
    seen = Conversation(GridSearch, Space(hp.space)).run([0.0], 10)
    assert [(v["a"], v["b"]) for v in seen] == [("y", 2), ("y", 1), ("y", 3), ("x", 2), ("x", 1), ("x", 3)]


def test_an_unstepped_float_is_visited_at_its_default_and_ten_quantiles() -> None:
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0, default=0.33)
    talk = Conversation(GridSearch, Space(hp.space))
    seen = talk.run([0.0], 50)
    assert [round(float(v["x"]), 9) for v in seen] == [0.33, *(round(0.05 + 0.1 * i, 9) for i in range(10))]
    answer = talk.ask()
    assert isinstance(answer, Done)
    assert answer.reason == "the search space is exhausted: all 11 configurations of the grid have been tried"


def test_a_grid_too_large_to_list_is_visited_from_its_beginning() -> None:
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0, step=1e-12)
    hp.Int("n", 0, 2**200, default=1)
    seen = Conversation(GridSearch, Space(hp.space)).run([0.0], 4)
    assert [(v["x"], v["n"]) for v in seen] == [(0.0, 1), (0.0, 0), (0.0, 2), (0.0, 3)]
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0, step=1e-12, default=0.5)
    assert [v["x"] for v in Conversation(GridSearch, Space(hp.space)).run([0.0], 3)] == [0.5, 0.0, 1e-12]


def test_a_space_that_grows_is_completed() -> None:
    hp = HyperParameters()
    hp.Choice("a", [1, 2, 3])
    talk = Conversation(GridSearch, Space(hp.space))
    talk.run([0.0], 2)
    hp.Choice("b", [10, 20])
    talk.space = Space(hp.space)
    talk.observations = [
        Observation(o.number, talk.space.complete(o.values), o.phase, o.loss, None, o.origin) for o in talk.observations
    ]
    seen = [(v["a"], v["b"]) for v in talk.run([0.0], 50)]
    assert seen == [(1, 10), (2, 10), (1, 20), (2, 20), (3, 10), (3, 20)]


def test_it_goes_on_where_another_object_stopped() -> None:
    space = mixed_space()
    one = Conversation(GridSearch, space)
    one.run([1.0], 7)
    two = Conversation(GridSearch, space)
    two.observations = list(one.observations)
    assert two.run([1.0], 9)[7:] == one.run([1.0], 9)[7:]


def test_a_configuration_from_elsewhere_is_not_visited_again() -> None:
    hp = HyperParameters()
    hp.Int("b", 1, 3)
    talk = Conversation(GridSearch, Space(hp.space))
    talk.observations.append(Observation(0, {"b": 2}, "completed", 1.0, None, Origin("given")))
    assert [v["b"] for v in talk.run([0.0], 9)] == [2, 1, 3]


def test_an_object_that_saw_a_longer_history_answers_as_a_new_one() -> None:
    space, algorithm = mixed_space(), GridSearch()
    talk = Conversation(lambda: algorithm, space)
    talk.run([0.0], 6)
    short = History(talk.observations[:2])
    assert algorithm.ask(space, short, 1) == GridSearch().ask(space, short, 1)


def test_a_trial_stands_for_the_values_of_what_it_did_not_ask_for() -> None:
    hp = HyperParameters()
    hp.Boolean("deep")
    hp.Choice("layers", [1, 2])  # asked for by trials with deep=True alone, and without a condition
    space = Space(hp.space)

    def trial(number: int, deep: bool, phase: Phase, layers: int | None = None, by: str = "grid") -> Observation:
        values = {"deep": deep, "layers": layers or 1}
        loss = 1.0 if phase == "completed" else None
        return Observation(number, values, phase, loss, None, Origin(by), "", () if layers else ("layers",))

    first = trial(0, False, "completed")

    def next_of(search: GridSearch, *observations: Observation) -> object:
        answer = search.ask(space, History(observations, len(observations)))
        return answer if isinstance(answer, Done | Wait) else dict(answer[0].values)

    assert next_of(GridSearch(), first) == {"deep": True, "layers": 1}
    assert next_of(GridSearch(["layers"]), first) == {"deep": False, "layers": 2}, "known before: it had the default"
    for other in (trial(0, False, "completed", by="given"), trial(0, False, "failed")):
        assert next_of(GridSearch(), other) == {"deep": False, "layers": 2}

    search, deep = GridSearch(), trial(1, True, "running")
    assert isinstance(next_of(search, first, deep), Wait), "the running trial may not ask for it either"
    deep = trial(1, True, "completed", layers=1)
    assert next_of(search, first, deep) == {"deep": True, "layers": 2}
    assert isinstance(next_of(search, first, deep, trial(2, True, "completed", layers=2)), Done)
