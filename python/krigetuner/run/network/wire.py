"""The wire between chief and workers: gRPC with generic handlers, JSON in bytes, nothing pickled.

Two methods: `Call`, one request and one reply; and `Attend`, one request and the chief's messages until either side
ends it. The connection tells when a process at the other end dies, and keepalive pings when its machine does.

The chief takes requests as streams of one message, which look the same on the wire: so it knows the token before it
reads a byte of the message, and hears of one that is too large.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from krigetuner.errors import StoreError
from krigetuner.run.network.refusals import Refusals
from krigetuner.store.events import from_json, to_json

Message = Mapping[str, Any]
SERVICE = "krigetuner.Chief"
HEADER = "krigetuner-token"
LARGEST = 256 * 2**20
"""Bytes of the largest message to a worker."""

LARGEST_REQUEST = 64 * 2**20
"""Bytes of the largest message to the chief."""

THREADS = 1024
"""How many calls the chief has in hand at the same time: an attendance and a call for each worker."""


class Unreachable(ConnectionError):
    """The other side does not answer; it may come back."""


class Malformed(ValueError):
    """A request that no worker of this version makes."""


def encode(message: Message) -> bytes:
    """JSON bytes; non-finite numbers survive.

    Raises:
        TypeError: something in it has no JSON.
    """
    return to_json(message).encode("utf-8", "surrogatepass")


def decode(data: bytes) -> Any:
    """What `encode` was given, tuples as lists."""
    return from_json(data.decode("utf-8", "surrogatepass"))


def _options(silence: float, sent: int, received: int) -> list[tuple[str, int]]:
    """Settings of both sides: pings, so that `silence` seconds without an answer cut the connection.

    Args:
        sent, received: bytes of the largest messages.
    """
    half = max(int(silence * 500), 100)
    return [
        ("grpc.max_send_message_length", sent),
        ("grpc.max_receive_message_length", received),
        ("grpc.keepalive_time_ms", half),
        ("grpc.keepalive_timeout_ms", half),
        ("grpc.http2.ping_timeout_ms", half),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 50),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 50),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.enable_http_proxy", 0),  # the nodes of a cluster talk to each other directly
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.so_reuseport", 0),  # else two chiefs could share one port
    ]


class Server:
    """The chief's end.

    Args:
        address: `host:port` to listen at.
        token: what requests must bear, None to take all.
        answer: replies to a request.
        attend: gives the messages for one worker; it is handed the request, and a function that takes what is to be
            called when the connection has ended.
        silence: seconds without any sign after which a connection is cut.

    A request that is not what it should be is refused and told of; `answer` and `attend` say so by `Malformed`.

    Raises:
        RuntimeError: the address cannot be listened at.
    """

    def __init__(
        self,
        address: str,
        token: str | None,
        answer: Callable[[Message], Message],
        attend: Callable[[Message, Callable[[Callable[[], None]], Any]], Iterator[Message]],
        silence: float = 5.0,
    ) -> None:
        import grpc

        self._grpc, self._token, self._answer, self._attend = grpc, token, answer, attend
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="krigetuner-chief")
        self._refusals = Refusals()
        self._server = grpc.server(threads, options=_options(silence, LARGEST, LARGEST_REQUEST))
        methods = {
            "Call": grpc.stream_unary_rpc_method_handler(self._call),
            "Attend": grpc.stream_stream_rpc_method_handler(self._stream),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        try:
            bound = self._server.add_insecure_port(address)
        except RuntimeError as error:
            bound, reason = 0, str(error)
        else:
            reason = "it cannot be bound"
        if not bound:
            raise RuntimeError(
                f"KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT: expected an address of this machine and a free port on "
                f"the chief, got {address!r} ({reason}); end whatever listens there, choose another port, or give the "
                "chief 0.0.0.0 to listen at every address of this machine"
            )
        self._server.start()

    def _request(self, messages: Iterator[bytes], context: Any) -> Any:
        """The one request of a call, decoded; the call of somebody who does not bear the token is ended."""
        codes, given = self._grpc.StatusCode, dict(context.invocation_metadata()).get(HEADER, "")
        peer = context.peer()  # not known any more once gRPC has ended the call
        if self._token is not None and not hmac.compare_digest(str(given).encode(), _header(self._token).encode()):
            self._refuse(context, codes.UNAUTHENTICATED, "wrong token" if given else "the token is missing")
        try:
            data = next(messages, None)
        except Exception:  # what gRPC raises here has no text
            data = None
        if data is None:
            reason = f"expected one message of at most {LARGEST_REQUEST} bytes, got none or a larger one"
            self._refuse(context, codes.RESOURCE_EXHAUSTED, reason, peer)
        try:
            return decode(data or b"")
        except (ValueError, TypeError, RecursionError) as error:
            self._refuse(context, codes.INVALID_ARGUMENT, f"expected JSON, got {len(data or b'')} bytes ({error})")

    def _refuse(self, context: Any, code: Any, reason: str, peer: str = "") -> None:
        """Ends a call; nothing behind this is run."""
        self._refusals.note(peer or context.peer(), reason)
        context.abort(code, reason)

    def _call(self, messages: Iterator[bytes], context: Any) -> bytes:
        request, reply = self._request(messages, context), b""
        try:
            reply = encode(self._answer(request))
        except Malformed as error:
            self._refuse(context, self._grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return reply

    def _stream(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        request = self._request(messages, context)
        try:
            for message in self._attend(request, context.add_callback):
                yield encode(message)
        except Malformed as error:
            self._refuse(context, self._grpc.StatusCode.INVALID_ARGUMENT, str(error))

    def stop(self, grace: float) -> None:
        """Takes no more calls, and ends those that are in hand after `grace` seconds at the latest."""
        self._server.stop(grace).wait()


class Wire:
    """A worker's end.

    Args:
        address: of the chief.
        token: that the requests bear, None for none.
        silence: seconds without any sign after which the connection is cut.
    """

    def __init__(self, address: str, token: str | None, silence: float = 5.0) -> None:
        import grpc

        self._grpc, self._address = grpc, address
        self._metadata = () if token is None else ((HEADER, _header(token)),)
        options = _options(silence, LARGEST_REQUEST, LARGEST)
        self._channel = grpc.insecure_channel(address, options=options)
        self._call = self._channel.unary_unary(f"/{SERVICE}/Call")
        self._attend = self._channel.unary_stream(f"/{SERVICE}/Attend")

    def call(self, request: Message, timeout: float) -> Any:
        """The reply.

        Raises:
            Unreachable: none within `timeout` seconds, or no chief.
            RuntimeError: the token is not the chief's.
            StoreError: the chief could not deal with the request.
        """
        data = encode(request)
        try:
            return decode(self._call(data, timeout=timeout, metadata=self._metadata))
        except self._grpc.RpcError as error:
            raise self._translated(error) from error
        except ValueError as error:  # the channel was closed by another thread
            raise Unreachable(str(error)) from error

    def attend(self, request: Message) -> Iterator[Any]:
        """The chief's messages.

        Raises:
            Unreachable: the connection ended.
            RuntimeError, StoreError: as `call`.
        """
        try:
            for data in self._attend(encode(request), metadata=self._metadata):
                yield decode(data)
        except self._grpc.RpcError as error:
            raise self._translated(error) from error
        except ValueError as error:
            raise Unreachable(str(error)) from error

    def _translated(self, error: Any) -> Exception:
        code, codes, details = error.code(), self._grpc.StatusCode, error.details() or ""
        if code == codes.UNAUTHENTICATED:
            return RuntimeError(
                f"KRIGETUNER_TOKEN: expected the token of the chief at {self._address}, which refused this worker "
                f"({details}); set the same value for the chief and all workers"
            )
        if code == codes.UNIMPLEMENTED:
            return RuntimeError(
                f"KERASTUNER_ORACLE_PORT: expected a chief of KrigeTuner at {self._address}, got another program; "
                "run the same script with the same package everywhere"
            )
        if code in (codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED, codes.CANCELLED):
            return Unreachable(f"{code.name.lower()}: {details}")
        return StoreError(f"chief at {self._address}: expected an answer, got {code.name}: {details}")

    def close(self) -> None:
        """Ends every call."""
        self._channel.close()


def _header(token: str) -> str:
    """The token as a header can bear it."""
    return token.encode("utf-8").hex()
