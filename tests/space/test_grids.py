"""The numbers of a grid as a sequence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krigetuner.space import Float
from krigetuner.space.grids import Grid, GridValues


@given(steps=st.integers(1, 40), index=st.integers(-50, 50), cut=st.slices(40))
def test_it_answers_as_the_tuple_of_its_numbers(steps: int, index: int, cut: slice) -> None:
    values = GridValues(Grid(0.5, 0.5 + 0.1 * steps, 0.1, "linear", integer=False))
    all_of_them = tuple(values)
    assert len(values) == len(all_of_them) == steps + 1
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
    for value, start, stop in ((0.3, 0, None), (0.5, 3, None), (0.5, 0, 2)):
        with pytest.raises(ValueError, match=f"{value} is not among the numbers"):
            values.index(value, start, stop)


def test_a_fine_step_has_values_without_a_list_of_them() -> None:
    values = Float("x", 0.0, 1.0, step=1e-12).values
    assert len(values) == 10**12 + 1
    assert (values[0], values[1], values[-1], values.index(0.25)) == (0.0, 1e-12, 1.0, 25 * 10**10)
