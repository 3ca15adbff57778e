"""The wire between chief and workers, over a real connection of this machine."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports import free_port

from krigetuner.errors import FailedTrialError, FatalValueError, TrialTaken
from krigetuner.run import faults
from krigetuner.run.network.wire import Server, Unreachable, Wire, decode, encode

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def no_messages(request: Mapping[str, Any], when_ended: Callable[..., Any]) -> Iterator[Mapping[str, Any]]:
    yield from ()


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Server, str]]]:
    servers: list[Server] = []

    def make(answer: Any = dict, attend: Any = no_messages, token: str | None = None) -> tuple[Server, str]:
        address = f"127.0.0.1:{free_port()}"
        servers.append(Server(address, token, answer, attend))
        return servers[-1], address

    yield make
    for server in servers:
        server.stop(0.0)


@given(message=st.dictionaries(st.text(), ANY, max_size=3))
def test_what_is_sent_is_what_comes(message: dict[str, Any]) -> None:
    assert repr(decode(encode(message))) == repr(message)


def test_floats_arrive_to_the_last_bit(serve: Callable[..., tuple[Server, str]]) -> None:
    _, address = serve(lambda request: {"back": request["numbers"]})
    wire = Wire(address, None)
    numbers = [1 / 3, 5e-324, -0.0, 1.7976931348623157e308, math.inf, -math.inf, 2**53 + 1]
    assert list(map(repr, wire.call({"numbers": numbers}, 60)["back"])) == list(map(repr, numbers))
    assert math.isnan(wire.call({"numbers": math.nan}, 60)["back"])
    wire.close()


def test_large_messages_pass(serve: Callable[..., tuple[Server, str]]) -> None:
    _, address = serve()
    wire = Wire(address, None)
    text = "x" * (20 * 2**20)  # five times what gRPC allows by default
    assert wire.call({"text": text}, 60)["text"] == text
    wire.close()


@pytest.mark.parametrize("given_token", [None, "", "secreT", "ein Geheimni\N{LATIN SMALL LETTER SHARP S}"])
def test_a_wrong_token_is_refused(serve: Callable[..., tuple[Server, str]], given_token: str | None) -> None:
    _, address = serve(token="secret")
    wire = Wire(address, given_token)
    with pytest.raises(RuntimeError, match=r"KRIGETUNER_TOKEN: expected the token of the chief at 127\.0\.0\.1"):
        wire.call({}, 60)
    with pytest.raises(RuntimeError, match="KRIGETUNER_TOKEN"):
        list(wire.attend({}))
    wire.close()


def test_the_right_token_is_taken(serve: Callable[..., tuple[Server, str]]) -> None:
    _, address = serve(token="gehe\N{LATIN SMALL LETTER I WITH DIAERESIS}m")
    wire = Wire(address, "gehe\N{LATIN SMALL LETTER I WITH DIAERESIS}m")
    assert wire.call({"a": 1}, 60) == {"a": 1}
    wire.close()


def test_no_chief_is_unreachable() -> None:
    wire = Wire(f"127.0.0.1:{free_port()}", None)
    with pytest.raises(Unreachable):
        wire.call({}, 5)
    with pytest.raises(Unreachable):
        list(wire.attend({}))
    wire.close()


def test_two_chiefs_cannot_share_a_port(serve: Callable[..., tuple[Server, str]]) -> None:
    _, address = serve()
    with pytest.raises(RuntimeError, match="KERASTUNER_ORACLE_PORT: expected an address of this machine"):
        Server(address, None, dict, no_messages)


def test_the_chief_hears_when_a_worker_has_gone(serve: Callable[..., tuple[Server, str]]) -> None:
    gone = threading.Event()

    def attend(request: Mapping[str, Any], when_ended: Callable[[Callable[[], None]], Any]) -> Iterator[dict[str, Any]]:
        when_ended(gone.set)
        yield {"hello": request["name"]}
        gone.wait(120)

    _, address = serve(attend=attend)
    wire = Wire(address, None)
    messages = wire.attend({"name": "w1"})
    assert next(messages) == {"hello": "w1"}
    assert not gone.is_set()
    wire.close()
    assert gone.wait(60)


@pytest.mark.parametrize(
    "error",
    [ValueError("a"), KeyError("name: expected"), TrialTaken("b"), FatalValueError("c"), FailedTrialError("d")],
    ids=repr,
)
def test_known_exceptions_keep_their_class_and_text(error: Exception) -> None:
    found = faults.restored(decode(encode(faults.described(error))))
    assert type(found) is type(error)
    assert found.args == error.args


def test_other_exceptions_bring_their_traceback() -> None:
    class Odd(Exception):
        pass

    try:
        raise Odd("who knows me?")
    except Odd as error:
        found = faults.restored(faults.described(error))
    assert type(found) is RuntimeError
    assert "test_wire.py" in str(found)
    assert "who knows me?" in str(found)
