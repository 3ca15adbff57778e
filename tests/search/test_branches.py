"""Gates that nobody declared: learned from what trials asked for, never against what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krigetuner.search.bayesian import BayesianSearch
from krigetuner.search.branches import Branches
from krigetuner.search.protocol import Algorithm, Done
from krigetuner.search.random_search import RandomSearch
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin, Value

Code = Callable[[Mapping[str, Value]], set[str]]
"""The names that a trial asks for, by its values."""


def layers(values: Mapping[str, Value]) -> set[str]:
    """A loop over layers."""
    return {"n", "kind", *(f"units_{i}" for i in range(int(values["n"])))}


def layered() -> Space:
    hp = HyperParameters()
    hp.Int("n", 1, 3)
    hp.Choice("kind", ["a", "b"])
    for i in range(3):
        hp.Int(f"units_{i}", 1, 2)
    return Space(hp.space)


def optimisers(values: Mapping[str, Value]) -> set[str]:
    """Two levels of plain ifs."""
    asked = {"opt", "size"}
    if values["opt"] == "sgd":
        asked |= {"nesterov"}
        if values["nesterov"]:
            asked |= {"momentum"}
    return asked | ({"beta"} if values["opt"] == "adam" else set())


def optimised() -> Space:
    hp = HyperParameters()
    hp.Choice("opt", ["sgd", "adam", "rmsprop"])
    hp.Int("size", 1, 2)
    hp.Boolean("nesterov")
    hp.Choice("momentum", [0.1, 0.5, 0.9])
    hp.Choice("beta", [0.8, 0.9])
    return Space(hp.space)


def both(values: Mapping[str, Value]) -> set[str]:
    """A parameter that needs two others: no single gate."""
    return {"a", "b"} | ({"c"} if values["a"] and values["b"] else set())


def two_gates() -> Space:
    hp = HyperParameters()
    hp.Boolean("a")
    hp.Boolean("b")
    hp.Int("c", 1, 4)
    return Space(hp.space)


def told(number: int, values: Mapping[str, Value], code: Code, space: Space) -> Observation:
    """A completed trial, and what its code did not ask for."""
    full = space.complete(values)
    unasked = tuple(name for name in full if name not in code(full))
    loss = float(((space.encode(full) - 0.3) ** 2).sum())
    return Observation(number, full, "completed", loss, None, Origin("random"), str(number), (), unasked)


def some(space: Space, code: Code, count: int, seed: int = 0) -> History:
    rows = space.sample(np.random.default_rng(seed).random((count, space.dimensions)))
    return History([told(i, space.decode(row), code, space) for i, row in enumerate(rows)])


def trainings(space: Space, code: Code) -> set[Any]:
    """All trainings that differ."""
    return {tuple((n, v) for n, v in values.items() if n in code(values)) for values in space.enumerate()}


def test_loops_and_nested_ifs_are_learned() -> None:
    found = Branches().space(layered(), some(layered(), layers, 20))
    conditions = {p.name: p.conditions for p in found.parameters if p.conditions}
    assert {name: (c[0].name, c[0].values) for name, c in conditions.items()} == {  # type: ignore[attr-defined]
        "units_1": ("n", [2, 3]),
        "units_2": ("n", [3]),
    }
    found = Branches().space(optimised(), some(optimised(), optimisers, 30))
    assert found.size == len(trainings(optimised(), optimisers)) == 2 * (1 + 3 + 2 + 1)


def test_what_has_no_single_gate_and_what_nobody_told_is_left_as_it_is() -> None:
    space = two_gates()
    assert Branches().space(space, some(space, both, 30)) is space
    silent = History([Observation(o.number, o.values, o.phase, o.loss, None, o.origin) for o in some(space, both, 30)])
    assert Branches().space(space, silent) is space
    everything = some(space, lambda values: set(values), 30)
    assert Branches().space(space, everything) is space


def test_a_guess_ends_with_the_trial_that_refutes_it() -> None:
    space = two_gates()
    first = History([told(i, {"a": bool(i % 2), "b": True, "c": 1 + i % 4}, both, space) for i in range(6)])
    branches = Branches()
    assert branches.space(space, first).size == 2 + 2 * 4
    refuting = told(6, {"a": True, "b": False, "c": 2}, both, space)
    assert branches.space(space, first.updated([refuting])) is space
    assert branches.space(space, first).size == 2 + 2 * 4


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(layered, layers), (optimised, optimisers), (two_gates, both)]))
def test_reading_step_by_step_is_reading_at_once(seed: int, case: tuple[Callable[[], Space], Code]) -> None:
    space, rng, branches = case[0](), np.random.default_rng(seed), Branches()
    history, running = History(), list[Observation]()
    for o in some(space, case[1], 30, seed):
        running.append(Observation(o.number, o.values, "running", None, None, o.origin))
        done = [running.pop(int(rng.integers(len(running))))] if len(running) > 2 else []
        history = history.updated([*running[-1:], *(told(d.number, d.values, case[1], space) for d in done)])
        if rng.random() < 0.3:
            step, once = branches.space(space, history), Branches().space(space, History(history))
            assert [p.conditions for p in step.parameters] == [p.conditions for p in once.parameters]
            assert branches.space(space, history) is step


@pytest.mark.parametrize("make", [RandomSearch, BayesianSearch])
@pytest.mark.parametrize(("made", "code"), [(layered, layers), (optimised, optimisers), (two_gates, both)])
def test_every_training_once_then_the_end(
    make: Callable[[int], Algorithm], made: Callable[[], Space], code: Code
) -> None:
    space, algorithm, trials = made(), make(3), list[Observation]()
    while True:
        answer = algorithm.ask(space, History(trials), 1)
        if not isinstance(answer, list):
            break
        assert dict(answer[0].values) == space.complete(answer[0].values)
        trials.append(told(len(trials), answer[0].values, code, space))
    ran = [tuple((n, v) for n, v in o.values.items() if n in code(o.values)) for o in trials]
    assert isinstance(answer, Done)
    assert "exhausted" in answer.reason
    assert len(ran) == len(set(ran))
    assert set(ran) == trainings(space, code)


def test_what_runs_counts_for_its_branch() -> None:
    """Four at a time, the gate is known: of the branch without anything to vary only one runs."""
    hp = HyperParameters()
    hp.Boolean("flag")
    hp.Float("rate", 0.0, 1.0)
    space = Space(hp.space)

    def code(values: Mapping[str, Value]) -> set[str]:
        return {"flag", "rate"} if values["flag"] else {"flag"}

    known = [told(i, {"flag": i > 0, "rate": i / 7}, code, space) for i in range(5)]
    for make in (RandomSearch, BayesianSearch):
        answer = make(0).ask(space, History(known), 4)
        assert isinstance(answer, list)
        assert all(s.values["flag"] for s in answer)
