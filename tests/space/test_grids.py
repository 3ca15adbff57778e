"""The numbers of a grid as a sequence."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krigetuner.space import Float, Int
from krigetuner.space.grids import Grid, GridValues


@given(steps=st.integers(1, 40), index=st.integers(-50, 50), cut=st.slices(40))
def test_it_answers_as_the_tuple_of_its_numbers(steps: int, index: int, cut: slice) -> None:
    all_of_them = tuple(float(Decimal("0.5") + i * Decimal("0.1")) for i in range(steps + 1))
    values = GridValues(Grid(0.5, all_of_them[-1], 0.1, "linear", integer=False))
    assert tuple(values) == all_of_them
    assert len(values) == steps + 1
    assert values[cut] == all_of_them[cut]
    if -len(all_of_them) <= index < len(all_of_them):
        assert values[index] == all_of_them[index]
        assert values.index(all_of_them[index]) == all_of_them.index(all_of_them[index])
    else:
        with pytest.raises(IndexError):
            values[index]


def test_a_number_between_two_steps_or_outside_a_part_is_not_found() -> None:
    values = GridValues(Grid(0.0, 1.0, 0.25, "linear", integer=False))
    assert values.index(0.5, 1, 3) == 2
    for value, start, stop in ((0.3, 0, None), (0.5, 3, None), (0.5, 0, 2), (7.0, 0, None), (math.nan, 0, None)):
        with pytest.raises(ValueError, match=f"{value} is not among the numbers"):
            values.index(value, start, stop)
    assert [v in values for v in (0.75, 0.3, -0.25, "0.5", None)] == [True, False, False, False, False]


def test_a_fine_step_has_values_without_a_list_of_them() -> None:
    values = Float("x", 0.0, 1.0, step=1e-12).values
    assert len(values) == 10**12 + 1
    assert (values[0], values[1], values[-1], values.index(0.25)) == (0.0, 1e-12, 1.0, 25 * 10**10)
    assert 0.25 in values
    assert values == Float("y", 0.0, 1.0, step=1e-12).values
    assert hash(values) == hash(Float("y", 0.0, 1.0, step=1e-12).values)
    assert values != Float("x", 0.0, 1.0, step=2e-12).values
    assert isinstance(Float("x", 0.0, 1.0, step=1e-3).values, tuple), "an ordinary grid is a tuple"


@given(index=st.integers(0, 2**63 - 1), step=st.integers(1, 9))
def test_large_integers_are_themselves(index: int, step: int) -> None:
    parameter = Int("seed", 0, step * (2**63 - 1), step=step, default=step * index)
    assert parameter.count == 2**63
    assert parameter.index_of(step * index) == index
    assert parameter.canonical(step * index) == parameter.value_at(index) == step * index
    if step > 1:
        with pytest.raises(ValueError, match="expected one of its values"):
            parameter.canonical(step * index + 1)


@given(value=st.integers(-20, 30), step=st.integers(1, 9))
def test_the_nearest_integer_of_a_grid_is_found(value: int, step: int) -> None:
    parameter = Int("a", -7, 20, step=step)
    nearest = min(abs(v - value) for v in range(-7, 21, step))
    assert abs(parameter.value_at(parameter.index_of(value)) - value) == nearest
