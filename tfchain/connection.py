"""One WebSocket to one endpoint, and the one thread that touches it.

substrate-interface blocks, is not thread-safe, and waits for ever on some answers.  So every connection has a thread
of its own, every wait has a deadline kept outside that thread, and shutting the socket down is what ends a wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import websocket
from substrateinterface.exceptions import SubstrateRequestException
from substrateinterface.transport import WebsocketTransport

from tfchain.errors import ConnectionLost, RpcError

MAX_MESSAGE = 32 << 20
"""Bytes of one answer; the events of a very full block and metadata stay far below."""
SILENCE = 30.0
"""Seconds after which a socket without any byte counts as dead, also while a subscription waits."""
MAX_SUBSCRIPTIONS = 64
"""Subscriptions after which a connection is replaced: the library keeps late pushes of ended ones for ever."""

T = TypeVar("T")


class Connection:
    """A connection to a `ws://` or `wss://` URL, for one request at a time.

    After `ConnectionLost` it is of no further use.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"chain {url}")
        self._socket: socket.socket | None = None
        self._transport: WebsocketTransport | None = None
        self._ids = itertools.count(1)
        self._subscriptions = 0
        self._is_closed = False
        self.is_checked = False
        """Whether it was found to serve the right chain; set by its user."""

    async def connect(self, timeout: float) -> None:
        """Connect within `timeout` seconds; raises `ConnectionLost`."""
        try:
            await self._in_thread(lambda: self._connect(timeout), timeout, "accept a connection")
        except BaseException:
            self.close()
            raise

    @property
    def is_usable(self) -> bool:
        """Whether further requests may be sent."""
        return not self._is_closed and self._subscriptions < MAX_SUBSCRIPTIONS

    async def request(self, method: str, params: Sequence[Any] = (), timeout: float = 10.0) -> Any:
        """The result of a JSON-RPC request.

        Raises `RpcError` when the endpoint answers with an error, `ConnectionLost` when it does not answer.
        """
        answer = await self._in_thread(lambda: self._send(method, params, None), timeout, f"answer {method}")
        return answer.get("result")

    async def subscribe(
        self, method: str, params: Sequence[Any], take: Callable[[Any], bool], timeout: float | None
    ) -> None:
        """Subscribe and hand every push to `take`, in the connection's thread, until that returns True.

        Ends by `ConnectionLost` when the connection does, when nothing came for `SILENCE` seconds, and after
        `timeout` seconds.
        """
        self._subscriptions += 1
        subscribed: list[str] = []

        def handle(message: Any, count: int, subscription: str) -> Any:
            subscribed[:] = [subscription]
            return {"result": None} if take(message["params"]["result"]) else None

        await self._in_thread(lambda: self._send(method, params, handle), timeout, f"finish {method}")
        if unsubscribe := _UNSUBSCRIBE.get(method):
            with contextlib.suppress(RpcError):
                await self.request(unsubscribe, subscribed)

    def close(self) -> None:
        """End the connection at once, and whatever waits for it."""
        self._is_closed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            # The thread may be inside the socket; only when it has left may the descriptor be given back.
            with contextlib.suppress(RuntimeError):
                self._thread.submit(self._socket.close)
        self._thread.shutdown(wait=False)

    async def _in_thread(self, work: Callable[[], T], timeout: float | None, act: str) -> T:
        if self._is_closed:
            raise ConnectionLost(f"the connection to {self.url} was closed")
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.wait_for(_shielded(future), timeout)
        except TimeoutError:
            self.close()
            raise ConnectionLost(f"{self.url} did not {act} within {timeout:g} s") from None
        except (ConnectionLost, asyncio.CancelledError):
            self.close()
            raise

    def _connect(self, timeout: float) -> None:
        address = urlsplit(self.url)
        if address.scheme not in ("ws", "wss") or not address.hostname:
            raise ConnectionLost(f"chain URL {self.url!r} is not of the form ws://host:port or wss://host")
        secure = address.scheme == "wss"
        try:
            plain = socket.create_connection(
                (address.hostname, address.port or (443 if secure else 80)), timeout
            )
            if self._is_closed:
                plain.close()
                raise ConnectionLost(f"gave up connecting to {self.url}")
            self._socket = plain
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure:
                self._socket = ssl.create_default_context().wrap_socket(
                    plain, server_hostname=address.hostname
                )
            link = websocket.create_connection(
                self.url, timeout=timeout, socket=self._socket, redirect_limit=0, class_=_BoundedWebSocket
            )
            link.settimeout(SILENCE)
        except (OSError, ValueError, websocket.WebSocketException) as error:
            raise ConnectionLost(f"cannot connect to {self.url}: {error}") from error
        self._transport = WebsocketTransport(websocket=link, auto_reconnect=False)

    def _send(self, method: str, params: Sequence[Any], handle: Callable[..., Any] | None) -> Any:
        transport = self._transport
        if transport is None:
            raise ConnectionLost(f"not connected to {self.url}")
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        try:
            return transport.rpc_request(request, result_handler=handle)
        except SubstrateRequestException as error:
            raise _rpc_error(error) from error
        except (OSError, ValueError, KeyError, TypeError, websocket.WebSocketException) as error:
            text = str(error) or type(error).__name__
            raise ConnectionLost(f"{self.url} did not answer {method}: {text}") from error


class _BoundedWebSocket(websocket.WebSocket):
    """Refuses messages over `MAX_MESSAGE`, before they are in memory."""

    _taken = 0

    def recv(self) -> Any:
        self._taken = 0
        return super().recv()

    def _recv(self, bufsize: int) -> Any:
        piece = super()._recv(bufsize)  # type: ignore[no-untyped-call]  # only the library's public half is typed
        self._taken += len(piece)
        if self._taken > MAX_MESSAGE:
            raise websocket.WebSocketPayloadException(f"a message of more than {MAX_MESSAGE} bytes")
        return piece


_UNSUBSCRIBE = {
    "author_submitAndWatchExtrinsic": "author_unwatchExtrinsic",
    "chain_subscribeFinalizedHeads": "chain_unsubscribeFinalizedHeads",
}


def _rpc_error(error: SubstrateRequestException) -> RpcError:
    content = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    code, message, data = content.get("code", 0), content.get("message", str(error)), content.get("data", "")
    return RpcError(code if isinstance(code, int) else 0, str(message), str(data) if data else "")


def _shielded(future: asyncio.Future[T]) -> Awaitable[T]:
    """Wait without cancelling; the result of a wait that was given up is dropped without a complaint."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return asyncio.shield(future)
