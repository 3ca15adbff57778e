"""Events survive JSON, whatever they hold, and later versions are refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.store import DATA, stories, texts

from krigetuner.errors import StoreError
from krigetuner.store import events as e
from krigetuner.trial.history import Origin


@given(story=stories(30))
def test_every_event_comes_back_equal(story: list[e.Event]) -> None:
    again = [e.decode(*e.encode(event)) for event in story]
    assert texts(again) == texts(story)
    assert [type(event) for event in again] == [type(event) for event in story]


@given(data=st.dictionaries(st.text(), DATA, max_size=4))
def test_json_is_strict_and_exact(data: dict[str, object]) -> None:
    text = e.to_json(data)

    def refuse(token: str) -> None:
        raise AssertionError(f"not JSON: {token}")

    json.loads(text, parse_constant=refuse)
    assert repr(e.from_json(text)) == repr(data)


@pytest.mark.parametrize(
    "data",
    [
        {"$float": "nan"},
        {"$dict": [1, 2]},
        {"a": {"$float": 3, "b": math.inf}},
        {"$": {"$dict": [["$float", "x"]]}},
    ],
)
def test_keys_that_look_like_a_tag_stay_themselves(data: dict[str, object]) -> None:
    assert repr(e.from_json(e.to_json(data))) == repr(data)


def test_an_event_comes_back_as_the_same_types() -> None:
    asked = e.TrialAsked(3, "0003", {"a": True, "b": 1, "c": 1.0, "d": "x"}, Origin("random", note={"k": 2}), 7)
    assert e.decode(*e.encode(asked)) == asked
    done = e.TrialFinished(3, (({"loss": 1.0}, 4),), {"loss": 1.0}, 4, -math.inf)
    assert e.decode(*e.encode(done)) == done


def test_a_later_version_is_refused_with_the_remedy() -> None:
    kind, version, body = e.encode(e.StudyClosed("x"))
    with pytest.raises(
        StoreError, match=r"expected schema version 2 or earlier, got StudyClosed of version 3; .*upgrade"
    ):
        e.decode(kind, version + 1, body)
    with pytest.raises(StoreError, match="upgrade"):
        e.decode("TrialTeleported", version, body)


def test_what_has_no_json_is_named() -> None:
    with pytest.raises(TypeError, match=r"event: expected plain JSON data, got object \(<object .*convert it first"):
        e.to_json({"x": object()})
