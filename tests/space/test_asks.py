"""What is noted of the values that code looks at."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from krigetuner.space.recorder import HyperParameters


def watched() -> HyperParameters:
    """Three hyperparameters that have values, of which nothing is asked yet; the third is active with the second."""
    hp = HyperParameters()
    hp.Int("units", 1, 8)
    hp.Boolean("flag", default=True)
    hp.Float("rate", 0.0, 1.0, parent_name="flag", parent_values=[True])
    hp._watch()
    return hp


def scope(hp: HyperParameters) -> None:
    with hp.conditional_scope("flag", [True]):
        pass


SEEN: list[tuple[Callable[[HyperParameters], Any], tuple[str, ...]]] = [
    (lambda hp: hp.Int("units", 1, 8), ("units",)),
    (lambda hp: hp.get("units"), ("units",)),
    (lambda hp: hp["units"], ("units",)),
    (lambda hp: "units" in hp, ("units",)),
    (scope, ("flag",)),
    (lambda hp: hp.is_active("rate"), ("flag",)),
    (lambda hp: hp.Float("rate", 0.0, 1.0, parent_name="flag", parent_values=[True]), ("flag", "rate")),
    (lambda hp: hp.Choice("new", ["a", "b"]), ("new",)),
    (lambda hp: hp.copy().get("rate"), ("rate",)),
    (lambda hp: (hp.get("rate"), hp.get("units"), hp.get("rate")), ("rate", "units")),
]

EVERYTHING: list[Callable[[HyperParameters], Any]] = [
    lambda hp: hp.values["units"],
    lambda hp: hp.copy().values,
    lambda hp: setattr(hp, "values", {"units": 3}),
    lambda hp: hp.get_config(),
    copy.deepcopy,
    copy.copy,
    pickle.dumps,
]


@pytest.mark.parametrize(("look", "names"), SEEN)
def test_the_names_are_noted_in_the_order_of_the_questions(look: Callable[[Any], Any], names: tuple[str, ...]) -> None:
    hp = watched()
    look(hp)
    assert hp._asks is not None
    assert hp._asks.names == names


@pytest.mark.parametrize("look", EVERYTHING)
def test_where_it_cannot_be_seen_everything_may_have_been_asked(look: Callable[[Any], Any]) -> None:
    hp = watched()
    hp.get("units")
    look(hp)
    assert hp._asks is not None
    assert hp._asks.names is None


def test_who_asked_nothing_may_have_the_values_from_elsewhere() -> None:
    hp = watched()
    assert hp._asks is not None
    assert hp._asks.names is None
    assert [p.name for p in hp.space] == ["units", "flag", "rate"]
    assert hp._asks.names is None


def test_a_pickled_space_goes_on_with_what_was_noted_before() -> None:
    hp = watched()
    hp.get("units")
    there = pickle.loads(pickle.dumps(hp))
    there.get("rate")
    assert there._asks.names == ("units", "rate")
    assert there.values == hp.values == {"units": 1, "flag": True, "rate": 0.0}


def test_nothing_is_noted_unless_somebody_watches() -> None:
    hp = HyperParameters()
    hp.Int("units", 1, 8)
    assert hp.values == {"units": 1}
    assert hp._asks is None
