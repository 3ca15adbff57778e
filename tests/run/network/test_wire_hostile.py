"""The chief's end of the wire against what is no request: refused, told of, and the next one is answered."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports import free_port

from krigetuner.run.network import wire
from krigetuner.run.network.refusals import Refusals

TOKEN = "gehe\N{LATIN SMALL LETTER I WITH DIAERESIS}m"
PATIENCE = 60.0


class Door:
    """A server that echoes, and somebody who sends it bytes."""

    def __init__(self, token: str | None = None) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.answered: list[Any] = []
        self.server = wire.Server(self.address, token, self.answer, self.attend)
        large = [("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(self.address, options=large)

    def answer(self, request: Any) -> Any:
        self.answered.append(request)
        if request == "refuse me":
            raise wire.Malformed("request: expected another one")
        return {"echo": request}

    def attend(self, request: Any, when_ended: Any) -> Iterator[Any]:
        yield self.answer(request)

    def send(self, data: bytes, method: str = "Call", **header: str) -> bytes:
        """The reply to raw bytes."""
        metadata = [(f"krigetuner-{name}", value) for name, value in header.items()]
        if method == "Attend":
            stream = self.channel.unary_stream(f"/{wire.SERVICE}/Attend")
            return b"".join(stream(data, timeout=PATIENCE, metadata=metadata))
        return self.channel.unary_unary(f"/{wire.SERVICE}/{method}")(data, timeout=PATIENCE, metadata=metadata)

    def refusal(self, data: bytes, **more: str) -> tuple[str, str]:
        """The status and the text with which raw bytes are refused."""
        with pytest.raises(grpc.RpcError) as found:
            self.send(data, **more)
        return found.value.code().name, found.value.details()

    def close(self) -> None:
        self.channel.close()
        self.server.stop(0.0)


@pytest.fixture(scope="module")
def doors() -> Iterator[Callable[..., Door]]:
    made: dict[str | None, Door] = {}

    def make(token: str | None = None) -> Door:
        if token not in made:
            made[token] = Door(token)
        return made[token]

    yield make
    for door in made.values():
        door.close()


MALFORMED = {
    "nothing": b"",
    "half": b'{"method": "cou',
    "two": b"{}{}",
    "no text": b"\xff\xfe\x00\x80" * 40,
    "pickle": b"\x80\x04\x95\x17\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "deep": b"[" * 200_000,
    "long number": b"9" * 5000,
    "bad float": b'{"$float": "one"}',
    "bad float tag": b'{"a": {"$float": [1]}}',
    "bad pairs": b'{"a": {"$dict": 5}}',
    "pair of a list": b'{"a": {"$dict": [[[1], 2]]}}',
    "protobuf": b"\x0a\x05hello\x10\x96\x01",
}


@pytest.mark.parametrize("method", ["Call", "Attend"])
@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_bytes_that_are_no_json_are_refused(
    doors: Callable[..., Door], capsys: pytest.CaptureFixture[str], data: bytes, method: str
) -> None:
    door = doors()
    before = len(door.answered)
    code, text = door.refusal(data, method=method)
    assert code == "INVALID_ARGUMENT"
    assert text.startswith(f"expected JSON, got {len(data)} bytes")
    assert len(door.answered) == before
    assert door.send(b'{"a":1}', method=method) == b'{"echo":{"a":1}}'


@given(data=st.binary(max_size=60))
def test_any_bytes_are_answered_or_refused(doors: Callable[..., Door], data: bytes) -> None:
    door = doors()
    try:
        expected = wire.encode({"echo": wire.decode(data)})
    except (ValueError, TypeError, RecursionError):
        assert door.refusal(data)[0] == "INVALID_ARGUMENT"
    else:
        assert door.send(data) == expected


def test_a_message_that_is_too_large_is_refused_and_told_of(
    doors: Callable[..., Door], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "LARGEST_REQUEST", 2**20)
    door = Door()
    code, text = door.refusal(b'"' + b"x" * 2**20 + b'"')
    assert code == "RESOURCE_EXHAUSTED", text
    assert door.send(b'"' + b"x" * (2**20 - 2) + b'"')
    polite = wire.Wire(door.address, None)
    with pytest.raises(wire.StoreError, match="RESOURCE_EXHAUSTED"):
        polite.call({"text": "x" * 2**20}, PATIENCE)
    polite.close()
    door.close()
    assert "Chief: refused a request from ipv4:127.0.0.1:" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["Call", "Attend"])
def test_whoever_lacks_the_token_is_refused_before_the_message_is_read(
    doors: Callable[..., Door], capsys: pytest.CaptureFixture[str], method: str
) -> None:
    door = doors(TOKEN)
    for header in ({}, {"token": "guess"}, {"token": TOKEN.encode().hex()[:-2]}, {"token": ""}):
        code, text = door.refusal(b"\xff" * 1000, method=method, **header)
        assert (code, text) == ("UNAUTHENTICATED", "wrong token" if header.get("token") else "the token is missing")
    assert door.answered == []
    assert door.send(b"1", method=method, token=TOKEN.encode().hex()) == b'{"echo":1}'
    door.answered.clear()


def test_a_refusal_of_the_chief_reaches_the_worker_as_an_error(doors: Callable[..., Door]) -> None:
    door = doors()
    polite = wire.Wire(door.address, None)
    with pytest.raises(wire.StoreError, match="INVALID_ARGUMENT: request: expected another one"):
        polite.call("refuse me", PATIENCE)  # type: ignore[arg-type]
    with pytest.raises(wire.StoreError, match="INVALID_ARGUMENT: request: expected another one"):
        list(polite.attend("refuse me"))  # type: ignore[arg-type]
    polite.close()


def test_another_method_is_unknown(doors: Callable[..., Door]) -> None:
    assert doors().refusal(b"{}", method="Shutdown")[0] == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\nHost: chief\r\n\r\n", b"\x16\x03\x01" + b"\x00" * 500, b"\xff" * 70_000]
)
def test_what_is_not_even_grpc_does_no_harm(doors: Callable[..., Door], data: bytes) -> None:
    door = doors()
    with socket.create_connection(("127.0.0.1", door.port), timeout=PATIENCE) as raw:
        raw.sendall(data)
        assert door.send(b"2") == b'{"echo":2}'


def test_a_flood_of_refusals_does_not_flood_the_screen() -> None:
    lines: list[str] = []
    refusals = Refusals(lines.append)
    for number in range(1, 1001):
        refusals.note("ipv4:10.0.0.1:9", f"expected JSON, got {number} bytes \x1b[31m\n\N{SNOWMAN}")
    refusals.note("ipv4:10.0.0.1:9", "wrong token " + "x" * 10_000)
    assert [line.count("the search goes on") for line in lines] == [1] * 5
    assert "(the 1000th of this kind)" in lines[3]
    assert all(line.isprintable() and line.isascii() and len(line) < 500 for line in lines)
