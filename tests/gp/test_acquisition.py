"""Acquisition functions by name."""

from __future__ import annotations

import re

import pytest

from krigetuner.gp.acquisition import NAMES, Acquisition


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    assert Acquisition(name).name == name


def test_an_unknown_name_lists_what_is_allowed() -> None:
    with pytest.raises(
        ValueError,
        match=re.escape("acquisition: expected one of 'auto', 'ucb', 'ei', 'logei', 'pi', 'thompson', got 'uct'"),
    ):
        Acquisition("uct")


@pytest.mark.parametrize("parameter", ["beta", "xi"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "2"])
def test_bad_parameters(parameter: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{parameter}: expected a finite number of at least 0"):
        Acquisition("ei", **{parameter: value})  # type: ignore[arg-type]


def test_parameters_reach_the_backend_in_its_units() -> None:
    spec = Acquisition("pi", xi=0.5).spec(best=-1.0, unit=4.0)
    assert (spec.kind, spec.best, spec.xi) == ("pi", -1.0, 2.0)
    spec = Acquisition("ucb", beta=1.5).spec(best=0.0, unit=4.0)
    assert (spec.kind, spec.beta) == ("lcb", 1.5)
