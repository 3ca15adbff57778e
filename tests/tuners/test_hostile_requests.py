"""Requests that no worker makes: refused as a whole, nothing is done, and the search goes on to its end."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import krigetuner as kt
from krigetuner.run.network.link import PROTOCOL
from krigetuner.run.network.wire import Malformed, decode, encode
from krigetuner.run.opening import objective_config
from krigetuner.run.progress import Progress, Shown
from krigetuner.tuners.network import requests
from krigetuner.tuners.network.chief import Service
from krigetuner.tuners.search_space import space_data

ODD: list[Any] = [
    None, True, 0, -1, 2**63, -(2**70), 1.5, math.nan, math.inf, "", "\x00", "\ud800", "../../etc", "x" * 5000, [[]],
    {}, {"": None}, {"space": [], "values": {"x": None}}, {"space": [{"class_name": "os"}], "values": {}},
    {"space": [{"class_name": "Int", "config": {"name": "n", "min_value": 3, "max_value": 1}}], "values": {}},
    {"space": [{"class_name": "Fixed", "config": {"name": 3, "value": [1]}}], "values": {}}, [[{"loss": "low"}, 0]],
    {"\ud800": 1.0}, {"space": [{"class_name": "Fixed", "config": {"name": "n", "value": "\udfff"}}], "values": {}},
    [[{"loss": 1.0}, "first"]], [[{"loss": 1.0}]], [{"loss": 1.0}, 0], {"loss": [1.0]}, {"loss": None}, {"loss": "1"},
]  # fmt: skip
JSON = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def hyperparameters() -> kt.HyperParameters:
    hp = kt.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    return hp


class Chief:
    """A chief without a network, and a worker of it that runs a trial."""

    def __init__(self, folder: Path) -> None:
        goal = kt.Objective("loss", "min")
        self.oracle = kt.oracles.RandomSearchOracle(
            goal, max_trials=1000, seed=1, hyperparameters=hyperparameters(), max_consecutive_failed_trials=None
        )
        self.oracle._set_project_dir(folder, "search")
        self.oracle._begin_search()
        self.service = Service(self.oracle, 5.0, Progress("silent", Shown("loss")))
        self.count = 0
        self.attend("w1")
        self.trial = self.ask("create_trial", tuner_id="w1")["result"]["trial_id"]

    def hello(self, name: str) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL, "session": name, "tuner_id": name, "host": "h", "pid": 1, "done": "", "position": 0,
            "study": None, "objective": objective_config(self.oracle.objective), "search": 1,
            "space": space_data(hyperparameters()), "reports": True, "shares": False, "holding": [],
        }  # fmt: skip

    def attend(self, name: str, **changes: Any) -> Any:
        """The first answer to an attendance."""
        stream = self.service.attend(over_the_wire({**self.hello(name), **changes}), lambda call: None)
        return next(stream)

    def ask(self, method: str, session: str = "w1", **arguments: Any) -> Any:
        self.count += 1
        request = {"session": session, "method": method, "id": str(self.count), "arguments": arguments}
        return self.service.answer(over_the_wire(request))

    def polite(self) -> dict[str, dict[str, Any]]:
        """One request of every kind that a worker might make now."""
        space = space_data(hyperparameters())
        result = {"trial_id": self.trial, "message": None, "hyperparameters": space}
        result |= {"status": "COMPLETED", "executions": [[{"loss": 0.5}, 2]], "asked": ["x"]}
        return {
            "report": {
                "trial_id": self.trial, "metrics": {"loss": 1.0}, "step": 1, "execution": 0, "hyperparameters": None
            },
            "update_trial": {"trial_id": self.trial, "metrics": {"loss": 1.0}, "step": 1},
            "update_space": {"hyperparameters": space},
            "enqueue": {"values": {"x": 0.25}},
            "add_observation": {"values": {"x": 0.25}, "metrics": {"loss": 1.0}},
            "save_state": {"key": "tuner/w1", "state": {"a": [1]}},
            "count": {},
            "measurements": {"number": 0},
            "wait": {"changes": -1, "seconds": 0.0},
            "create_trial": {"tuner_id": "w1"},
            "interrupt_trial": result,
            "end_trial": result,
        }  # fmt: skip

    def events(self) -> int:
        return self.oracle._ledger.state.position

    def goes_on(self) -> bool:
        return self.service.work.over is None


def refusal(ask: Callable[[], Any]) -> str | None:
    """The text with which a request is refused, None when it is answered."""
    try:
        ask()
    except Malformed as error:
        return str(error)
    return None


def over_the_wire(data: Any) -> Any:
    return decode(encode(data))


@pytest.fixture
def chief(tmp_path: Path) -> Any:
    made = Chief(tmp_path)
    yield made
    made.oracle.close()


def test_every_kind_of_request_is_known_and_taken(chief: Chief) -> None:
    assert set(chief.polite()) | {"leave", "position"} == set(requests.METHODS)
    for method, arguments in chief.polite().items():
        if method == "end_trial":  # given back before
            assert chief.ask("create_trial", tuner_id="w1")["result"]["trial_id"] == chief.trial
        reply = chief.ask(method, **arguments)
        assert "error" not in reply, (method, reply)
    assert chief.oracle.trials[chief.trial].score == 0.5


FIELDS = [(method, name) for method, fields in requests.METHODS.items() for name in fields if method != "leave"]


@pytest.mark.parametrize(("method", "field"), FIELDS)
def test_one_odd_field_is_refused_or_has_an_answer(chief: Chief, method: str, field: str) -> None:
    for odd in ODD:
        arguments = {**chief.polite()[method], field: odd}
        before = chief.events()
        text = refusal(lambda arguments=arguments: chief.ask(method, **arguments))
        if text is not None:
            assert text.startswith(f"{method}: expected ")
            assert f" as {field}, got " in text
            assert chief.events() == before
        assert chief.goes_on(), (odd, chief.service.work.over)
        if chief.trial not in {t.trial_id for t in chief.oracle.ongoing_trials.values()}:
            chief.trial = chief.ask("create_trial", tuner_id="w1")["result"]["trial_id"]


@pytest.mark.parametrize("field", requests.ATTENDANCE)
def test_an_odd_attendance_is_refused(chief: Chief, field: str) -> None:
    answers: list[Any] = []
    for odd in ODD:
        text = refusal(lambda odd=odd: answers.append(chief.attend("w2", **{field: odd})))
        assert text is None or (text.startswith("attendance: expected ") and f" as {field}, got " in text)
        assert chief.goes_on()
    assert all(set(answer) <= {"welcome", "refused", "occupied"} for answer in answers)
    absent = {name: value for name, value in chief.hello("w3").items() if name != field}
    with pytest.raises(Malformed, match=rf"got no {field}"):
        next(chief.service.attend(absent, lambda call: None))


@given(request=JSON)
def test_any_json_is_refused(tmp_path_factory: pytest.TempPathFactory, request: Any) -> None:
    made = Chief(tmp_path_factory.mktemp("any"))
    for method in ("answer", "attend"):
        with pytest.raises(Malformed):
            list(
                getattr(made.service, method)(*[over_the_wire(request), lambda call: None][: 1 + (method == "attend")])
            )
    made.oracle.close()


def test_trials_that_are_not_the_workers_are_no_reason_to_end(chief: Chief) -> None:
    chief.attend("w2")
    for name in (chief.trial, "nobody's", "../../etc/passwd"):
        for method in ("report", "update_trial", "end_trial", "interrupt_trial"):
            reply = chief.ask(method, "w2", **{**chief.polite()[method], "trial_id": name})
            assert reply["error"]["class"] == "TrialTaken"
    assert chief.ask("count", "a stranger") == {"unknown": True}
    assert chief.goes_on()
    assert chief.oracle.trials[chief.trial].status == "RUNNING"


def test_too_many_workers_are_refused(chief: Chief, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("krigetuner.tuners.network.chief.MOST", 2)
    assert "welcome" in chief.attend("w2")
    assert "expected at most 2 of them" in chief.attend("w3")["refused"]["text"]
    assert "welcome" in chief.attend("w2")
