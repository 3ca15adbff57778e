"""Hyperband's schedule, from Algorithm 1 of the paper (Li et al. 2018), and where KerasTuner rounds otherwise."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from krigetuner.search.schedule import Schedule

POWERS = [(1, 3), (3, 3), (9, 3), (27, 3), (81, 3), (16, 2), (64, 4), (125, 5), (100, 10), (1000, 10)]
OTHERS = [(2, 3), (5, 2), (10, 3), (50, 4), (100, 3), (100, 7), (243, 2), (1000, 3)]


def paper(r_max: int, eta: int) -> list[list[tuple[int, float]]]:
    """(configurations, epochs) of every rung of every bracket, the most aggressive one first; exact arithmetic."""
    s_max = 0
    while eta ** (s_max + 1) <= r_max:
        s_max += 1
    brackets = []
    for s in range(s_max, -1, -1):
        n = -(-(s_max + 1) * eta**s // (s + 1))  # line 3: ceil(B/R eta^s / (s+1)) with B = (s_max+1) R
        brackets.append([(n // eta**i, r_max / eta ** (s - i)) for i in range(s + 1)])  # lines 5 and 6
    return brackets


def table(schedule: Schedule) -> list[list[tuple[int, int]]]:
    return [
        [(schedule.size(s, rung), schedule.epochs(s, rung)) for rung in range(s + 1)]
        for s in reversed(range(schedule.brackets))
    ]


@pytest.mark.parametrize(("r_max", "eta"), [*POWERS, *OTHERS])
def test_brackets_rungs_and_epochs_are_the_papers(r_max: int, eta: int) -> None:
    ours, theirs = table(Schedule(r_max, eta)), paper(r_max, eta)
    assert [len(bracket) for bracket in ours] == [len(bracket) for bracket in theirs]
    for mine, given in zip(ours, theirs, strict=True):
        assert [epochs for _, epochs in mine] == [math.ceil(epochs - 1e-9) for _, epochs in given]
        assert mine[-1][1] == r_max


@pytest.mark.parametrize(("r_max", "eta"), POWERS)
def test_a_power_of_eta_begins_with_the_papers_sizes(r_max: int, eta: int) -> None:
    for mine, given in zip(table(Schedule(r_max, eta)), paper(r_max, eta), strict=True):
        assert mine[0][0] == given[0][0]
        for (size, _), (n, _) in zip(mine, given, strict=True):
            assert n <= size <= n + 1  # KerasTuner rounds later rungs up where the paper rounds down


@pytest.mark.parametrize(("r_max", "eta"), OTHERS)
def test_elsewhere_a_bracket_is_as_large_as_if_there_were_one_bracket_more(r_max: int, eta: int) -> None:
    s_max = len(paper(r_max, eta)) - 1
    for s, mine in zip(range(s_max, -1, -1), table(Schedule(r_max, eta)), strict=True):
        for rung, (size, _) in enumerate(mine):
            assert size == -(-(s_max + 2) * eta ** (s - rung) // (s + 1))


def test_known_tables() -> None:
    assert table(Schedule(9, 3)) == [[(9, 1), (3, 3), (1, 9)], [(5, 3), (2, 9)], [(3, 9)]]
    assert table(Schedule(81, 3)) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (12, 9), (4, 27), (2, 81)],  # the paper's floors: 34, 11, 3, 1
        [(15, 9), (5, 27), (2, 81)],
        [(8, 27), (3, 81)],
        [(5, 81)],
    ]
    assert table(Schedule(8, 2))[0] == [(8, 1), (4, 2), (2, 4), (1, 8)]
    assert table(Schedule(1, 3)) == [[(1, 1)]]


def test_totals() -> None:
    assert (Schedule(9, 3).trials, Schedule(9, 3).trained_epochs) == (23, 9 + 6 + 6 + 15 + 12 + 27)
    assert (Schedule(100, 3).trials, Schedule(100, 3).trained_epochs) == (254, 2672)


def test_every_rung_trains_longer_than_the_one_before() -> None:
    for r_max in range(1, 130):
        for eta in (2, 2.5, 3, 7):
            for bracket in table(Schedule(r_max, eta)):  # type: ignore[arg-type]
                epochs = [e for _, e in bracket]
                assert epochs == sorted(set(epochs))
                assert epochs[0] >= 1


def test_the_order_of_brackets() -> None:
    schedule = Schedule(9, 3, 2)
    assert [schedule.halvings(index) for index in schedule.indices()] == [2, 1, 0, 2, 1, 0]
    endless = Schedule(9, 3, math.inf).indices()
    assert [next(endless) for _ in range(100)] == list(range(100))


def test_the_description_has_the_numbers() -> None:
    assert Schedule(9, 3, 2).describe() == [
        "Hyperband: 23 trials of together 75 epochs, 2 times",
        "bracket 2: 9 to epoch 1, of them 3 to epoch 3, of them 1 to epoch 9",
        "bracket 1: 5 to epoch 3, of them 2 to epoch 9",
        "bracket 0: 3 to epoch 9",
    ]
    assert "without end" in Schedule(9, 3, math.inf).describe()[0]


def test_the_manual_has_the_numbers() -> None:
    text = (Path(__file__).parents[2] / "docs" / "hyperband.md").read_text()
    rows = re.findall(r"^\| (\d+), (\d+)[^|]*\| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    assert len(rows) == 5
    for max_epochs, factor, *numbers in rows:
        schedule = Schedule(int(max_epochs), int(factor))
        assert [int(n) for n in numbers] == [schedule.brackets, schedule.trials, schedule.trained_epochs]
    assert "\n".join(Schedule(9, 3).describe()) in text
