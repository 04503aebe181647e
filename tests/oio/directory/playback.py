"""A server that plays back recorded exchanges: it checks each request against the next one and answers as recorded."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

RECORDED = ("127.0.0.1:6000", "127.0.0.1:6041", "127.0.0.1:6042")
"""The proxy and the two rdir services of the recording."""
LEAKED = ("headers", "reqid")
"""What the original sends in bodies without meaning to."""
MEANINGFUL = ("x-oio-timeout", "x-oio-action-mode", "x-oio-admin", "x-oio-force-master", "content-type")


class Playback:
    """Answers at one address for each recorded one; `problems` tells what was asked otherwise than recorded."""

    def __init__(self) -> None:
        self.exchanges: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.reqid: str | None = None
        self.copies_from_anyone = False
        self.standing: dict[str, Any] = {}
        """Paths that are answered always, and not checked."""
        self._lock = threading.Lock()
        self.addresses: dict[str, str] = {}

    def here(self, value: Any) -> Any:
        """The value with recorded addresses exchanged for ours."""
        text = json.dumps(value)
        for recorded, ours in self.addresses.items():
            text = text.replace(recorded, ours)
        return json.loads(text)

    def there(self, value: Any) -> Any:
        """The value with our addresses exchanged for the recorded ones."""
        text = json.dumps(value)
        for recorded, ours in self.addresses.items():
            text = text.replace(ours, recorded)
        return json.loads(text)

    def answer(self, netloc: str, method: str, target: str, headers: Any, body: bytes) -> dict[str, Any]:
        """The recorded response; what differs from the recorded request is noted."""
        with self._lock:
            standing = self.standing.get(target)
            if standing is not None:
                return {"status": 200, "headers": {"Content-Type": "application/json"}, "body": standing}
            if not self.exchanges:
                self.problems.append(f"not recorded: {method} {target}")
                return {"status": 599, "headers": {}, "body": None}
            exchange = self.exchanges.pop(0)
            self.problems += self._differences(exchange["request"], netloc, method, target, headers, body)
            return dict(exchange["response"])

    def _differences(
        self, wanted: dict[str, Any], netloc: str, method: str, target: str, headers: Any, body: bytes
    ) -> Iterator[str]:
        parts = urlsplit(target)
        query = sorted(map(list, parse_qsl(parts.query, keep_blank_values=True)))
        asked = {
            "netloc": netloc,
            "method": method,
            "path": parts.path,
            "query": self.there(query),
            "body": self._document(body.decode()),
        }
        recorded = {
            **{name: wanted[name] for name in ("netloc", "method", "path")},
            "query": sorted(map(list, wanted["query"] or ())),
            "body": self._document(wanted["body"]),
        }
        for name, value in recorded.items():
            if asked[name] != value:
                yield f"{method} {parts.path}: {name} {asked[name]!r}, recorded {value!r}"
        sent = {name.lower(): value for name, value in headers.items()}
        then = {name.lower(): str(value) for name, value in wanted["headers"].items()}
        for name in MEANINGFUL:
            if sent.get(name) != then.get(name):
                yield f"{method} {parts.path}: header {name} {sent.get(name)!r}, recorded {then.get(name)!r}"
        if self.reqid is not None and sent.get("x-oio-req-id") != self.reqid:
            yield f"{method} {parts.path}: request id {sent.get('x-oio-req-id')!r}"

    def _document(self, body: Any) -> Any:
        """A body as it is compared: decoded, without leaks, null where there is none."""
        if body in (None, ""):
            return None
        try:
            document = json.loads(body) if isinstance(body, str) else body
        except ValueError:
            return body
        if isinstance(document, dict):
            document = {name: value for name, value in document.items() if name not in LEAKED}
            if self.copies_from_anyone and "from" in document:
                document["from"] = "*"
            peers = document.get("host")
            if isinstance(peers, str):
                document["host"] = ",".join(sorted(peers.split(",")))
            for name in ("known", "avoid"):
                if name in document:
                    document[name] = sorted(document[name])
            if len(document) > 200 or "__trimmed_json_string__" in document:
                return "a large object"
        return self.there(document)


def _handler(playback: Playback, netloc: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: the second would wait for the first one's receipt

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = playback.answer(netloc, self.command, self.path, self.headers, body)
            content = found["body"]
            is_json = found["headers"].get("Content-Type") == "application/json"
            if content is None:
                data = b""
            elif isinstance(content, str):
                data = content.encode()
            else:
                data = json.dumps(playback.here(content)).encode()
            self.send_response(found["status"], found.get("reason"))
            if "Content-Type" in found["headers"]:
                self.send_header("Content-Type", "application/json" if is_json else "text/plain")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve

        def log_message(self, *_args: Any) -> None:
            pass

    return Handler


@contextmanager
def playing() -> Iterator[Playback]:
    """A playback that listens; `exchanges` are set before each call."""
    playback = Playback()
    servers, threads = [], []
    try:
        for recorded in RECORDED:
            server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(playback, recorded))
            server.daemon_threads = True
            servers.append(server)
            playback.addresses[recorded] = f"127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            threads.append(thread)
        yield playback
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


def plain(value: Any) -> Any:
    """A returned value as the recording writes it."""
    if isinstance(value, bytes):
        return repr(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, Sequence | set) and not isinstance(value, str):
        return [plain(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return repr(value) if isinstance(value, Exception) else []
