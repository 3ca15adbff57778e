"""Space: encoding there and back, activity against a plain reading of the conditions, grid order, size, neighbours."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from krigetuner.space import (
    INACTIVE,
    Boolean,
    Choice,
    Fixed,
    Float,
    HyperParameter,
    HyperParameters,
    Int,
    Parent,
    Space,
)


@st.composite
def parameters(draw: Any, name: str, continuous: bool = True) -> HyperParameter:
    """One parameter of any kind with few values."""
    kind = draw(st.sampled_from(["int", "step", "log", "float", "choice", "numbers", "bool", "fixed"]))
    if kind == "int":
        return Int(name, 1, draw(st.integers(1, 4)), default=1)
    if kind == "step":
        return Float(name, 0, 0.3, step=0.1, default=draw(st.sampled_from([None, 0.2, 0.15])))
    if kind == "log":
        return Int(name, 1, draw(st.integers(2, 5)), sampling=draw(st.sampled_from(["log", "reverse_log"])))
    if kind == "float" and continuous:
        return Float(name, 1e-3, 1, sampling=draw(st.sampled_from(["linear", "log", "reverse_log"])), default=0.01)
    if kind == "choice":
        return Choice(name, ["a", "b", "c"][: draw(st.integers(1, 3))])
    if kind == "numbers":
        return Choice(name, draw(st.permutations([1, 2, 4])))
    return Boolean(name) if kind == "bool" else Fixed(name, 2)


def ancestors(conditions: list[Any], made: list[HyperParameter]) -> set[str]:
    """The names that conditions depend on, near and far."""
    names = {c.name for c in conditions}
    while True:
        more = names | {c.name for p in made if p.name in names for c in p.conditions if isinstance(c, Parent)}
        if more == names:
            return names
        names = more


@st.composite
def spaces(draw: Any, continuous: bool = True) -> Space:
    """Up to seven parameters, some of them conditional on earlier ones, some of one name."""
    made: list[HyperParameter] = []
    for i in range(draw(st.integers(0, 7))):
        parameter = draw(parameters(f"p{i}", continuous))
        conditions = []
        for parent in draw(st.lists(st.sampled_from(made), max_size=2, unique_by=id)) if made else []:
            wanted = draw(st.lists(st.sampled_from(list(parent.values)), min_size=1, max_size=2))
            conditions.append(Parent(parent.name, wanted))
        if made and draw(st.integers(0, 5)) == 0:
            twin = draw(st.sampled_from(made))
            if twin.name not in ancestors(conditions, made):
                parameter.name = twin.name
        made.append(parameter.from_config({**parameter.get_config(), "conditions": conditions}))
    return Space(made)


def reference(space: Space, values: dict[str, Any]) -> dict[str, HyperParameter]:
    """The active parameters by name, found by repeating until nothing changes."""
    active: dict[str, HyperParameter] = {}
    while True:
        known = {name: values[name] for name in active}
        found: dict[str, HyperParameter] = {}
        for p in space.parameters:
            if all(c.name in known and known[c.name] in c.values for c in p.conditions if isinstance(c, Parent)):
                found.setdefault(p.name, p)
        if found == active:
            return active
        active = found


@given(space=spaces(), data=st.data())
@settings(max_examples=150)
def test_rows_go_there_and_back(space: Space, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    rows = space.sample(np.random.default_rng(seed).random((20, space.dimensions)))
    assert np.allclose(space.snap(rows), rows, rtol=0, atol=1e-15)
    active = space.activity(rows)
    assert np.all(rows[~active] == INACTIVE)
    decoded = [space.decode(row) for row in rows]
    for row, mask, values in zip(rows, active, decoded, strict=True):
        assert np.allclose(space.encode(values), row, rtol=0, atol=1e-9)
        assert space.decode(space.encode(values)) == values
        assert space.contains(values)
        assert space.complete(values) == values
        assert {p.name: p for p in space.active_parameters(values).values()} == space.active_parameters(values)
        assert {id(p) for p, on in zip(space.columns, mask, strict=True) if on} == {
            id(p) for p in space.active_parameters(values).values() if p.count != 1
        }
        assert values.keys() == space.active_parameters(values).keys()
    assert np.allclose(space.encode_many(decoded), rows, rtol=0, atol=1e-9)


@given(space=spaces(), seed=st.integers(0, 1000))
@settings(max_examples=100)
def test_activity_is_that_of_the_conditions(space: Space, seed: int) -> None:
    for row in space.sample(np.random.default_rng(seed).random((5, space.dimensions))):
        values = space.decode(row)
        every = {p.name: values.get(p.name, p.default) for p in space.parameters}
        assert reference(space, every) == space.active_parameters(values)


@given(space=spaces(continuous=False))
@settings(max_examples=150)
def test_a_finite_space_is_enumerated_whole_and_once(space: Space) -> None:
    if (space.size or 0) > 3000:
        return
    listed = list(space.enumerate())
    assert listed[0] == space.defaults()
    keys = [space.key(values) for values in listed]
    assert len(set(keys)) == len(keys) == space.size
    rows = space.encode_many(listed)
    assert len(set(space.row_keys(rows))) == len(keys)
    assert np.allclose(space.snap(rows), rows, rtol=0, atol=1e-15)
    assert [space.decode(row) for row in rows] == listed
    for values, after in itertools.pairwise(listed):
        assert space.successor(values) == after
    assert space.successor(listed[-1]) is None


@given(space=spaces(), seed=st.integers(0, 1000))
@settings(max_examples=100)
def test_neighbours_are_legal_and_near(space: Space, seed: int) -> None:
    row = space.sample(np.random.default_rng(seed).random((1, space.dimensions)))[0]
    values = space.decode(row)
    near = space.neighbours(row)
    assert near.shape == (len(near), space.dimensions)
    assert np.allclose(space.snap(near), near, rtol=0, atol=1e-15)
    seen = {space.key(values)}
    for one in near:
        other = space.decode(one)
        assert space.contains(other)
        assert space.key(other) not in seen
        seen.add(space.key(other))
        changed = [n for n in values.keys() & other.keys() if values[n] != other[n]]
        assert changed
        for name in other.keys() - values.keys():
            assert other[name] == space.active_parameters(other)[name].default


def test_neighbours_known() -> None:
    space = Space([Int("n", 1, 5), Choice("c", ["a", "b", "c"]), Float("x", 0, 1), Boolean("z")])
    values = {"n": 1, "c": "b", "x": 0.5, "z": True}
    near = [space.decode(row) for row in space.neighbours(space.encode(values))]
    assert near == [
        {**values, "n": 2},
        {**values, "c": "a"},
        {**values, "c": "c"},
        {**values, "z": False},
    ]


def test_a_branch_that_opens_takes_its_defaults() -> None:
    space = Space([Boolean("deep"), Int("units", 1, 9, default=8, conditions=[Parent("deep", [True])])])
    near = space.neighbours(space.encode({"deep": False}))
    assert [space.decode(row) for row in near] == [{"deep": True, "units": 8}]


def test_columns_on_a_logarithmic_scale() -> None:
    space = Space(
        [
            Float("rate", 1e-5, 1e-1, sampling="log"),
            Float("momentum", 0.5, 0.99, sampling="reverse_log"),
            Int("units", 8, 512, step=2, sampling="log"),
            Float("dropout", 0.1, 0.5, sampling="linear"),
            Int("layers", 1, 4),
            Float("same", 2, 2, sampling="log"),
            Choice("batch", [8, 64, 512]),
        ]
    )
    assert space.logarithmic.tolist() == [True, True, True, False, False, False]


def test_cells_and_columns() -> None:
    space = Space(
        [
            Fixed("f", 1),
            Int("n", 1, 4),
            Float("x", 0, 10),
            Choice("one", ["a"]),
            Choice("c", ["a", "b"]),
            Choice("r", [4, 1]),
            Float("same", 2, 2),
        ]
    )
    assert [p.name for p in space.columns] == ["n", "x", "c", "r"]
    assert space.categorical.tolist() == [False, False, True, False]
    assert not space.logarithmic.any()
    row = space.encode({"n": 2, "x": 2.5, "c": "b", "r": 4})
    assert row.tolist() == [0.375, 0.25, 0.75, 0.75]
    assert space.decode(row) == {"f": 1, "n": 2, "x": 2.5, "one": "a", "c": "b", "r": 4, "same": 2.0}
    assert space.size is None
    assert space.snap([[0.0, -1, 0.499, 2]]).tolist() == [[0.125, 0.0, 0.25, 0.75]]


def test_every_discrete_value_has_an_equal_share() -> None:
    space = Space([Int("n", 1, 5), Choice("c", ["a", "b", "c"])])
    rows = space.sample(np.random.default_rng(0).random((30000, 2)))
    for column, count in ((0, 5), (1, 3)):
        _, found = np.unique(rows[:, column], return_counts=True)
        assert len(found) == count
        assert np.allclose(found / 30000, 1 / count, atol=0.012)


def test_inactive_parameters_do_not_tell_rows_or_keys_apart() -> None:
    space = Space([Choice("m", ["a", "b"]), Float("x", 0, 1, conditions=[Parent("m", ["b"])])])
    rows = space.snap([[0.1, 0.2], [0.1, 0.9], [0.9, 0.2], [0.9, 0.9]])
    assert len(set(space.row_keys(rows))) == 3
    assert space.key({"m": "a", "x": 0.3}) == space.key({"m": "a"})
    assert space.key({"m": "b", "x": 0.3}) != space.key({"m": "b", "x": 0.4})


def test_missing_values_are_defaults_and_unknown_ones_are_ignored() -> None:
    space = Space([Int("n", 1, 5, default=3), Boolean("z")])
    assert space.contains({"n": 2, "other": 1})
    assert space.complete({"z": True, "other": 1}) == {"n": 3, "z": True}
    assert space.key({}) == space.key({"n": 3, "z": False})
    assert not space.contains({"n": 6})
    with pytest.raises(ValueError, match=r"^n: expected a number from 1 to 5, got 6"):
        space.complete({"n": 6})


def test_rounded_values_are_the_same_configuration() -> None:
    space = Space([Float("x", 0, 1, step=0.1)])
    assert space.key({"x": 0.1 * 3}) == space.key({"x": 0.3})


@pytest.mark.parametrize("wanted", [True, 2, 0.5, "b"], ids=lambda v: type(v).__name__)
def test_parents_of_any_type(wanted: Any) -> None:
    parents: dict[type, HyperParameter] = {
        bool: Boolean("p"),
        int: Int("p", 1, 3),
        float: Float("p", 0, 1),
        str: Choice("p", ["a", "b"]),
    }
    space = Space([parents[type(wanted)], Int("n", 1, 3, conditions=[Parent("p", wanted)])])
    on, off = space.encode({"p": wanted, "n": 3}), space.encode({"p": space.defaults()["p"]})
    assert space.decode(on) == {"p": wanted, "n": 3}
    assert "n" not in space.decode(off)
    assert space.activity(space.snap(np.array([on, off]))).tolist() == [[True, True], [True, False]]


def test_conditions_compare_without_rounding() -> None:
    space = Space([Float("p", 0, 1, step=0.1), Int("n", 1, 3, conditions=[Parent("p", [0.1 * 3])])])
    assert "n" not in space.complete({"p": 0.3})
    assert space.size == 11
    assert not space.activity(space.sample(np.random.default_rng(0).random((99, 2))))[:, 1].any()


def test_true_is_one() -> None:
    space = Space([Int("p", 0, 2), Int("n", 1, 3, conditions=[Parent("p", [True])])])
    assert space.size == 5
    assert space.activity(space.encode_many([{"p": 1}, {"p": 2}])).tolist() == [[True, True], [True, False]]


def test_one_name_in_two_branches() -> None:
    hp = HyperParameters()
    hp.Choice("m", ["mlp", "cnn"])
    with hp.conditional_scope("m", ["mlp"]):
        hp.Int("units", 1, 3)
    with hp.conditional_scope("m", ["cnn"]):
        hp.Int("units", 10, 11)
    space = Space(hp.space)
    assert space.size == 5
    assert [v["units"] for v in space.enumerate()] == [1, 2, 3, 10, 11]
    assert not space.contains({"m": "cnn", "units": 2})


def test_children_before_their_parents_are_understood() -> None:
    space = Space([Int("n", 1, 2, conditions=[Parent("z", [True])]), Boolean("z")])
    assert [dict(sorted(v.items())) for v in space.enumerate()] == [
        {"z": False},
        {"n": 1, "z": True},
        {"n": 2, "z": True},
    ]


def test_parameters_that_wait_for_each_other_are_inactive() -> None:
    space = Space([Boolean("a", conditions=[Parent("b", [True])]), Boolean("b", conditions=[Parent("a", [True])])])
    assert space.defaults() == {}
    assert list(space.enumerate()) == [{}]
    assert space.size == 1
    assert len(set(space.row_keys(space.sample(np.random.default_rng(0).random((9, 2)))))) == 1


def test_empty_space() -> None:
    space = Space()
    assert (space.dimensions, space.size, space.defaults()) == (0, 1, {})
    assert list(space.enumerate()) == [{}]
    assert space.snap(np.empty((3, 0))).shape == (3, 0)
    assert space.row_keys(np.empty((2, 0))) == [b"", b""]
    assert space.neighbours(np.empty(0)).shape == (0, 0)
    assert space.decode([]) == {}


def test_size_of_large_spaces() -> None:
    layers = [Int("layers", 1, 10)]
    layers += [Int(f"units{i}", 1, 8, conditions=[Parent("layers", list(range(i + 1, 11)))]) for i in range(10)]
    assert Space(layers).size == sum(8**k for k in range(1, 11))
    switches: list[HyperParameter] = [Boolean(f"s{i}") for i in range(14)]
    switches += [Int(f"n{i}", 1, 4, conditions=[Parent(f"s{i}", [True])]) for i in range(14)]
    assert Space(switches).size == 5**14
    assert Space([Int("n", 1, 2**60)]).size is None
    assert Space([Int("n", 1, 10), Float("x", 0, 1)]).size is None
    never, sometimes = (Float("x", 0, 1, conditions=[Parent("n", wanted)]) for wanted in ([11], [10, 11]))
    assert Space([Int("n", 1, 10), never]).size == 10
    assert Space([Int("n", 1, 10), sometimes]).size is None
    children = [Boolean(f"c{i}", conditions=[Parent("z", [True])]) for i in range(45)]
    assert Space([Boolean("z"), *children]).size == 2**45 + 1
    fixed = [Fixed(f"f{i}", 1, conditions=[Parent("z", [True])]) for i in range(2000)]
    assert Space([Boolean("z"), *fixed]).size == 2
    both = [Parent("s0", [True]), Parent("s1", [True])]
    assert Space([*switches[:2], Int("n", 1, 7, conditions=both)]).size == 3 + 7


def test_a_continuum_is_enumerated_by_its_default_and_ten_quantiles_in_order() -> None:
    space = Space([Float("x", 0, 1), Boolean("z")])
    listed = list(space.enumerate())
    assert [v["x"] for v in listed[::2]] == [0.0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]
    with pytest.raises(ValueError, match=r"^x: expected a value that a grid visits, got 0.3"):
        space.successor({"x": 0.3, "z": True})


def test_a_wide_range_is_walked_without_being_listed() -> None:
    walk = Space([Int("n", 0, 10**12, default=5)]).enumerate()
    assert [v["n"] for v in itertools.islice(walk, 7)] == [5, 0, 1, 2, 3, 4, 6]


@pytest.mark.parametrize("sampling", ["log", "reverse_log"])
def test_everything_has_the_integers_between_the_quantiles(sampling: str) -> None:
    space = Space([Boolean("z"), Int("n", 1, 60, sampling=sampling, default=7)])
    listed = [(v["z"], v["n"]) for v in space.enumerate(everything=True)]
    numbers = [7, *range(1, 7), *range(8, 61)]
    assert listed == [(z, n) for z in (False, True) for n in numbers]
    assert len(listed) == space.size
    assert len(list(space.enumerate())) < 30
