"""A client's connection to the application server."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from dynamo.dataformat import OperationalError

PORT = 39626
CONNECT_S = 30.0
MAX_FRAME = 8 << 20


class ServerRefused(OperationalError):
    """The server said no; the text is its reason."""


def server_address(server: str | None) -> tuple[str, int]:
    """Host and port of `HOST[:PORT]`, by default of `DYNAMO_SERVER_HOST` and `DYNAMO_SERVER_PORT`."""
    text = server or os.environ.get("DYNAMO_SERVER_HOST", "localhost")
    host, mark, port = text.rpartition(":")
    if not mark:
        host, port = text, os.environ.get("DYNAMO_SERVER_PORT", str(PORT))
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise OperationalError(f"Server {text!r} has the port {port!r}; write HOST or HOST:PORT")
    return host, int(port)


def default_certificate() -> str:
    """The proxy of `X509_USER_PROXY`, or the one that lies in /tmp."""
    return os.environ.get("X509_USER_PROXY") or f"/tmp/x509up_u{os.getuid()}"


class Connection:
    """One command to a server."""

    def __init__(self, address: tuple[str, int], certificate: str, key: str | None, ca: str | None) -> None:
        """Raises OperationalError when there is no server, or it does not know this certificate."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        try:
            place = Path(ca) if ca else None
            if place is not None:
                context.load_verify_locations(
                    cafile=None if place.is_dir() else ca, capath=ca if place.is_dir() else None
                )
            context.load_cert_chain(certificate, key or certificate)
            plain = socket.create_connection(address, CONNECT_S)
            self._socket = context.wrap_socket(plain, server_hostname=address[0])
        except (OSError, ssl.SSLError) as error:
            where = f"{address[0]}:{address[1]}"
            raise OperationalError(
                f"No connection to {where} with certificate {certificate}: {error}"
            ) from None
        self._stream = self._socket.makefile("rb")
        self._send_lock = threading.Lock()
        self._answer(self._read())

    def close(self) -> None:
        """End the connection."""
        self._stream.close()
        self._socket.close()

    def send(self, value: Any) -> None:
        """Send one frame."""
        body = json.dumps(value).encode()
        with self._send_lock:
            self._socket.sendall(f"{len(body)} ".encode() + body)

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send a command and return the answer.  Raises ServerRefused."""
        self.send({"command": command, **arguments})
        return self._answer(self._read())

    def follow(self, stdout: TextIO, stderr: TextIO, started: Callable[[Any], None]) -> Any:
        """Print what a program prints until it ends; the last answer.  Raises ServerRefused."""
        self._socket.settimeout(None)
        first = True
        for value in self._frames():
            if "stream" in value and "data" in value:
                stream = stdout if value["stream"] == 1 else stderr
                stream.write(value["data"])
                stream.flush()
                continue
            content = self._answer(value)
            if not first:
                return content
            first = False
            started(content)
        raise OperationalError("The server went away before the program ended")

    def _frames(self) -> Iterator[dict[str, Any]]:
        while True:
            value = self._read()
            if value is None:
                return
            yield value

    def _read(self) -> Any:
        head = b""
        try:
            while not head.endswith(b" "):
                byte = self._stream.read(1)
                if not byte:
                    return None
                head += byte
                if len(head) > 9 or not (byte.isdigit() or byte == b" "):
                    raise OperationalError(f"The server's answer begins with {head!r}, which is no length")
            length = int(head)
            if length > MAX_FRAME:
                raise OperationalError(
                    f"The server's answer has {length} bytes; at most {MAX_FRAME} are read"
                )
            return json.loads(self._stream.read(length))
        except (OSError, ValueError) as error:
            raise OperationalError(f"The server's answer cannot be read: {error}") from None

    @staticmethod
    def _answer(value: Any) -> Any:
        if not isinstance(value, dict) or "status" not in value:
            raise OperationalError("The server ended the connection without an answer")
        if value["status"] != "OK":
            raise ServerRefused(str(value.get("content")))
        return value.get("content")
