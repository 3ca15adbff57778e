"""HyperParameters: scopes, identity, what user code gets back, merge and copy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from krigetuner.errors import KrigeTunerWarning
from krigetuner.space import Fixed, Float, HyperParameters, Int, Parent


def test_values_are_handed_out_and_recorded() -> None:
    hp = HyperParameters()
    assert hp.Int("n", 1, 9, 2, "linear", 5) == 5
    assert hp.Float("x", 0, 1, 0.5, "linear", 0.5) == 0.5
    assert hp.Choice("c", ["a", "b"], None, "b") == "b"
    assert hp.Boolean("z", True) is True
    assert hp.Fixed("f", "v") == "v"
    assert hp.values == {"n": 5, "x": 0.5, "c": "b", "z": True, "f": "v"}
    assert [p.name for p in hp.space] == ["n", "x", "c", "z", "f"]
    assert hp["n"] == hp.get("n") == 5
    assert "n" in hp
    assert "m" not in hp
    with pytest.raises(KeyError, match=r"m does not exist\. Known: n, x, c, z, f"):
        hp.get("m")


def test_populated_values_win_over_defaults() -> None:
    hp = HyperParameters()
    hp.values = {"n": 7, "off the steps": 3}
    assert hp.Int("n", 1, 9) == 7
    assert hp.Int("off the steps", 0, 10, step=4) == 3


def test_a_populated_value_that_cannot_be_is_replaced_and_told_once() -> None:
    hp = HyperParameters()
    hp.values = {"n": 70, "c": "z"}
    with pytest.warns(
        KrigeTunerWarning, match=r"n: expected a value of Int\(.*got 70 from before; the default is taken"
    ):
        assert hp.Int("n", 1, 9) == 1
    with pytest.warns(KrigeTunerWarning, match=r"c: expected .*got 'z'"):
        assert hp.Choice("c", ["a", "b"]) == "a"
    assert hp.values == {"n": 1, "c": "a"}


def test_inactive_scope_registers_and_gives_none() -> None:
    hp = HyperParameters()
    assert hp.Choice("m", ["mlp", "cnn"]) == "mlp"
    with hp.conditional_scope("m", ["cnn"]):
        assert hp.Int("filters", 1, 5) is None
    with hp.conditional_scope("m", "mlp"):
        assert hp.Int("units", 1, 5) == 1
    assert hp.values == {"m": "mlp", "units": 1}
    assert [p.name for p in hp.space] == ["m", "filters", "units"]
    assert hp.inactive_scopes == [[Parent("m", ["cnn"])]]
    assert hp.active_scopes == [[Parent("m", ["mlp"])]]
    assert hp.is_active("units")
    assert not hp.is_active("filters")
    assert not hp.is_active("unknown")
    assert hp.is_active(hp.space[2])
    assert "filters" not in hp
    with pytest.raises(ValueError, match="filters is currently inactive"):
        hp.get("filters")
    with hp.conditional_scope("m", ["cnn"]):
        assert hp.Int("filters", 1, 5) is None


def test_parent_name_is_a_scope_of_one() -> None:
    hp = HyperParameters()
    hp.Boolean("z")
    assert hp.Int("n", 1, 3, parent_name="z", parent_values=[True]) is None
    assert hp.Float("x", 1, 3, parent_name="z", parent_values=False) == 1.0
    assert hp.Choice("c", ["a"], parent_name="z", parent_values=[False]) == "a"
    assert hp.Boolean("b", parent_name="z", parent_values=[False]) is False
    assert hp.Fixed("f", 1, parent_name="z", parent_values=[False, True]) == 1
    assert hp.space[1].conditions == [Parent("z", [True])]


def test_scopes_nest() -> None:
    hp = HyperParameters()
    hp.Choice("a", [1, 2], default=2)
    with hp.conditional_scope("a", [2]):
        hp.Choice("b", [3, 4], default=4)
        with hp.conditional_scope("b", [4]):
            assert hp.Choice("c", [5, 6]) == 5
        with hp.conditional_scope("b", [3]):
            assert hp.Choice("d", [7, 8]) is None
    assert hp.space[2].conditions == [Parent("a", [2]), Parent("b", [4])]
    assert hp.active_scopes == [[Parent("a", [2])], [Parent("a", [2]), Parent("b", [4])]]


def test_a_parent_outside_the_scope_is_found() -> None:
    hp = HyperParameters()
    hp.Boolean("a", True)
    hp.Boolean("b", True)
    with hp.conditional_scope("a", [True]), hp.conditional_scope("b", [True]):
        assert hp.Int("n", 1, 2) == 1


def test_name_scopes_prefix_names_and_parents() -> None:
    hp = HyperParameters()
    with hp.name_scope("net"):
        hp.Choice("m", ["a", "b"])
        with hp.name_scope("layer"):
            assert hp.Int("n", 1, 2) == 1
            assert hp.get("n") == 1
        assert hp.Int("k", 1, 3, parent_name="m", parent_values=["a"]) == 1
        with hp.conditional_scope("m", ["b"]):
            assert hp.Int("j", 1, 3) is None
        assert "m" in hp
    assert [p.name for p in hp.space] == ["net/m", "net/layer/n", "net/k", "net/j"]
    assert hp.space[3].conditions == [Parent("net/m", ["b"])]
    assert hp["net/layer/n"] == 1


def test_scopes_close_when_code_raises() -> None:
    hp = HyperParameters()
    hp.Boolean("z")
    with pytest.raises(RuntimeError, match="boom"), hp.conditional_scope("z", [True]), hp.name_scope("s"):
        raise RuntimeError("boom")
    assert hp.Int("n", 1, 2) == 1
    assert hp.space[1].name == "n"


def test_scope_errors() -> None:
    hp = HyperParameters()
    hp.Boolean("z")
    with pytest.raises(ValueError, match="`HyperParameter` named: y not defined"), hp.conditional_scope("y", [1]):
        pass
    with (
        pytest.raises(ValueError, match="parent_values: expected at least one value of 'z'"),
        hp.conditional_scope("z", []),
    ):
        pass
    with (
        pytest.raises(TypeError, match="Can contain only `int`, `float`, `str`, or `bool`"),
        hp.conditional_scope("z", [None]),
    ):
        pass
    with pytest.raises(ValueError, match="cannot have the same name as its parent"):
        hp.Int("z", 1, 2, parent_name="z", parent_values=[True])


def test_same_name_under_other_conditions_is_another_parameter() -> None:
    hp = HyperParameters()
    hp.Choice("m", ["a", "b"])
    with hp.conditional_scope("m", ["a"]):
        assert hp.Int("n", 1, 5) == 1
    with hp.conditional_scope("m", ["b"]):
        assert hp.Int("n", 10, 50) is None
    assert len(hp.space) == 3
    hp.values = {"m": "b"}
    hp.ensure_active_values()
    assert 10 <= hp.values["n"] <= 50


def test_two_active_parameters_of_one_name_share_the_value_of_the_first() -> None:
    hp = HyperParameters()
    assert hp.Int("n", 1, 5, default=4) == 4
    hp.Boolean("z", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with hp.conditional_scope("z", [True]):
            assert hp.Choice("n", ["a", "b"]) == 4


@pytest.mark.parametrize(
    "again",
    [
        lambda hp: hp.Int("n", 100, 200),
        lambda hp: hp.Choice("n", ["a"]),
        lambda hp: hp.Int("n", 1, 10, default=2),
        lambda hp: hp.Fixed("n", 3),
    ],
)
def test_the_first_definition_stands_and_the_second_is_told_once(again: Any) -> None:
    hp = HyperParameters()
    hp.Int("n", 1, 10)
    with pytest.warns(
        KrigeTunerWarning, match=r"n: .*the first stands. First: Int\(name: 'n', min_value: 1, .*Now: \w+\("
    ) as told:
        assert again(hp) == 1
    assert len(told) == 1
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert again(hp) == 1
        assert again(hp.copy()) == 1
        assert hp.Int("n", 1, 10) == 1
    assert len(hp.space) == 1


def test_definitions_given_on_purpose_override_in_silence() -> None:
    hp = HyperParameters()
    hp.Fixed("n", 3)
    hp.overrule()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hp.copy().Int("n", 1, 10) == 3
    assert hp.Float("x", 0, 1) == 0.0
    with pytest.warns(KrigeTunerWarning, match="x: .*the first stands"):
        hp.Float("x", 0, 2)


def test_the_same_definition_is_no_difference() -> None:
    hp = HyperParameters()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            hp.Int("n", 1, 10)
            hp.Float("x", 0, 1, step=0.1)
            hp.Choice("c", (1, 2))
            hp.Fixed("f", 1)
    assert len(hp.space) == 4


def test_merge() -> None:
    hp, other = HyperParameters(), HyperParameters()
    hp.Int("a", 0, 100)
    hp.Fixed("b", 2)
    other.Int("c", 10, 15)
    other.Int("a", 5, 9)
    hp.merge(other, overwrite=False)
    assert hp.values == {"a": 0, "b": 2, "c": 10}
    hp.merge(other)
    assert hp.values == {"a": 5, "b": 2, "c": 10}
    assert [p.name for p in hp.space] == ["a", "b", "c"]
    hp.merge([Float("d", 0, 1), Int("e", 1, 2, conditions=[Parent("b", [3])])])
    assert hp.values["d"] == 0.0
    assert "e" not in hp.values
    assert len(hp.space) == 5


def test_copy_is_independent() -> None:
    hp = HyperParameters()
    hp.Boolean("z")
    with hp.conditional_scope("z", [True]):
        twin = hp.copy()
    twin.Int("n", 1, 2)
    twin.values["z"] = True
    assert (len(hp.space), hp.values) == (1, {"z": False})
    assert twin.inactive_scopes == []
    assert twin.space[1].conditions == []


def test_without() -> None:
    hp = HyperParameters()
    hp.Int("a", 1, 2)
    hp.Boolean("z")
    hp.Int("a", 5, 6, parent_name="z", parent_values=[True])
    hp.Float("x", 0, 1)
    left = hp.without({hp.space[0].identity, hp.space[3].identity})
    assert [p.name for p in left.space] == ["z", "a"]
    assert left.values == {"z": False, "a": 1}
    assert len(hp.space) == 4


def test_ensure_active_values() -> None:
    hp = HyperParameters()
    hp.Choice("m", ["a", "b"])
    hp.Int("n", 1, 5, parent_name="m", parent_values=["a"])
    hp.Int("k", 6, 9, parent_name="m", parent_values=["b"])
    hp.values["m"] = "b"
    hp.ensure_active_values()
    assert set(hp.values) == {"m", "k"}
    assert 6 <= hp.values["k"] <= 9


def test_config_goes_there_and_back() -> None:
    hp = HyperParameters()
    hp.Choice("m", ["a", "b"])
    hp.Int("n", 1, 5, parent_name="m", parent_values=["a"])
    hp.Float("x", 1e-3, 1, sampling="log")
    config = hp.get_config()
    assert HyperParameters.from_config(config).get_config() == config == hp.get_config()


def test_old_private_names_work() -> None:
    hp = HyperParameters()
    assert hp._retrieve(Fixed("f", 3)) == 3
    assert hp._exists("f")
    assert not hp._exists("f", [Parent("g", [1])])
    assert [p.name for p in hp._hps["f"]] == ["f"]
    assert hp._space is hp.space
    assert hp._hps["unknown"] == []
    with pytest.raises(KeyError, match=r"unknown does not exist\. Known: f"):
        hp.get("unknown")


@pytest.mark.parametrize(("value", "expected"), [(3, 3), (3.0, 3), (True, 1), (np.float64(4.0), 4)])
def test_a_whole_number_from_before_is_an_integer_where_one_is_asked_for(value: Any, expected: int) -> None:
    hp = HyperParameters()
    hp.values = {"n": value}
    assert (hp.Int("n", 0, 10), type(hp.get("n"))) == (expected, int)


def test_a_fraction_from_before_is_no_integer() -> None:
    hp = HyperParameters()
    hp.values = {"n": 3.5}
    with pytest.warns(KrigeTunerWarning, match=r"^n: expected a value of Int.*, got 3.5 from before"):
        assert hp.Int("n", 0, 10, default=2) == 2
