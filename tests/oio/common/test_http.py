"""One request: headers, time limits, errors of the network, several endpoints, repetition."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from oio.api.base import HttpApi
from oio.common.client import ProxyClient
from oio.common.deadline import deadline_to_timeout, timeout_to_deadline
from oio.common.exceptions import (
    ClientException,
    Conflict,
    NotFound,
    OioException,
    OioNetworkException,
    OioProtocolError,
    OioTimeout,
    ServiceBusy,
    from_multi_responses,
    from_status,
)

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Answers with what it is told, one after the other, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[dict[str, Any]] = []
        self.hold = threading.Event()
        self.held = False
        self.address = ""


@contextmanager
def serving() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told.asked.append({"path": self.path, "headers": headers, "body": body})
            if told.held:
                told.hold.wait(60)
            status, more, data = told.answers.pop(0) if told.answers else (204, {}, b"")
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield told
    finally:
        told.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def api(server: Server, **kwargs: Any) -> HttpApi:
    return HttpApi(endpoint=f"http://{server.address}/v3.0", **kwargs)


def closed_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


JSON = {"Content-Type": "application/json"}


def test_headers_say_what_was_asked_for(server: Server) -> None:
    perfdata: dict[str, Any] = {}
    server.answers = [(200, {**JSON, "x-oio-perfdata": "resolve=1500,total=2500"}, b'{"a": 1}')]
    resp, body = api(server)._request(
        "POST",
        "/x",
        params={"a": "é/&", "none": None},
        json={"k": 1},
        reqid="r1",
        autocreate=True,
        admin_mode=True,
        force_master=True,
        region="here",
        perfdata=perfdata,
        read_timeout=2.5,
        unknown=object(),
    )
    assert resp is not None
    assert (resp.status, body) == (200, {"a": 1})
    asked = server.asked[0]
    assert asked["path"] == "/v3.0/x?a=%C3%A9%2F%26"
    assert asked["body"] == b'{"k":1}'
    wanted = {
        "x-oio-req-id": "r1",
        "x-oio-timeout": "2500000",
        "x-oio-action-mode": "autocreate",
        "x-oio-admin": "1",
        "x-oio-force-master": "1",
        "x-oio-region": "here",
        "x-oio-perfdata": "enabled",
        "connection": "keep-alive",
        "content-type": "application/json",
    }
    assert wanted.items() <= asked["headers"].items()
    assert perfdata == {"unknown": {"resolve": 0.0015, "total": 0.0025}}


def test_a_deadline_is_told_with_time_for_the_way_back(server: Server) -> None:
    api(server)._request("GET", "/x", deadline=timeout_to_deadline(10.0))
    assert 9_000_000 < int(server.asked[0]["headers"]["x-oio-timeout"]) <= 9_900_000
    with pytest.raises(OioTimeout):
        api(server)._request("GET", "/x", deadline=timeout_to_deadline(-1.0))
    assert len(server.asked) == 1
    assert deadline_to_timeout(timeout_to_deadline(5.0) or 0.0) <= 5.0


def test_a_long_request_id_is_cut_with_a_warning(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        api(server)._request("GET", "/x", reqid="r" * 80)
    assert server.asked[0]["headers"]["x-oio-req-id"] == "r" * 63
    assert "truncated" in caplog.text


def test_falsy_json_is_not_sent_and_other_types_are_not_decoded(server: Server) -> None:
    server.answers = [(200, {"Content-Type": "application/json; charset=utf-8"}, b"{}"), (200, {}, b"")]
    assert api(server)._request("POST", "/x", json={})[1] == b"{}"
    assert server.asked[0]["body"] == b""
    assert api(server)._request("GET", "/x")[1] == b""


def test_what_is_said_to_be_json_must_be(server: Server) -> None:
    server.answers = [(200, JSON, b"OK\r\n")]
    with pytest.raises(OioException, match="Response body isn't decodable JSON"):
        api(server)._request("GET", "/x")


def test_errors_without_a_document(server: Server) -> None:
    server.answers = [(404, {}, b""), (418, {}, b"short and stout")]
    with pytest.raises(NotFound) as caught:
        api(server)._request("GET", "/x")
    assert (caught.value.http_status, caught.value.status) == (404, "Not Found")
    with pytest.raises(ClientException) as other:
        api(server)._request("GET", "/x")
    assert type(other.value) is ClientException
    assert "short and stout" in str(other.value)
    assert str(from_status(503, "busy")) == "busy (HTTP 503)"


def test_peers_that_failed_are_all_named() -> None:
    data = {
        name: {"status": {"status": number, "message": text}}
        for name, number, text in (("a", 200, "OK"), ("b", 431, "gone"), ("c", 2, "refused"))
    }
    from_multi_responses(data, excepted_status=(200, 431, 2))
    with pytest.raises(OioException) as caught:
        from_multi_responses(data)
    assert caught.value.args == (["b: gone (STATUS 431)", "c: refused (STATUS 2)"],)


def test_the_network_s_errors_name_request_and_host(server: Server) -> None:
    nobody = closed_port()
    with pytest.raises(OioNetworkException) as caught:
        HttpApi(endpoint=f"http://{nobody}")._request("GET", "/x", reqid="r1")
    assert caught.value.args[0] == f"reqid=r1, host={nobody}"
    server.held = True
    with pytest.raises(OioTimeout) as late:
        api(server)._request("GET", "/x", read_timeout=0.2)
    assert late.value.args[0] == f"host={server.address}"


def test_an_answer_that_breaks_off_is_a_protocol_error() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)

        def hang_up() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(OioProtocolError):
            HttpApi(endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}")._request("GET", "/x")
        thread.join()


def test_the_next_endpoint_is_asked_when_one_does_not_listen(server: Server) -> None:
    HttpApi(endpoint=f"http://{closed_port()}/v3.0;http://{server.address}/v3.0")._request("GET", "/x")
    assert server.asked[0]["path"] == "/v3.0/x"
    with pytest.raises(ValueError, match="endpoint not set"):
        HttpApi()._request("GET", "/x")


def proxy(server: Server, **kwargs: Any) -> ProxyClient:
    return ProxyClient({"namespace": "NS", "proxyd_url": server.address}, **kwargs)


def test_the_parts_of_a_proxy_s_url(server: Server) -> None:
    proxy(server, request_prefix="/reference")._request("GET", "/show")
    proxy(server, request_prefix="/cache", no_ns_in_url=True)._request("GET", "status")
    ProxyClient({"namespace": "NS"}, endpoint=f"http://{server.address}")._request("GET", "/x")
    paths = [asked["path"] for asked in server.asked]
    assert paths == ["/v3.0/NS/reference/show", "/v3.0/cache/status", "/v3.0/NS/x"]
    client = proxy(server)
    assert (client.ns, client.proxy_scheme, client.proxy_netloc) == ("NS", "http", server.address)


def test_a_namespace_is_needed() -> None:
    with pytest.raises(ValueError, match="namespace missing from service conf"):
        ProxyClient({"proxyd_url": "127.0.0.1:1"})


BUSY: Answer = (503, JSON, json.dumps({"status": 503, "message": "busy"}).encode())
CONFLICT: Answer = (409, JSON, json.dumps({"status": 421, "message": "exists"}).encode())


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("oio.common.client.time.sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("ask", [lambda c: c._request("GET", "/x")])
def test_a_busy_proxy_is_asked_again(
    server: Server, no_pauses: list[float], ask: Callable[[ProxyClient], Any]
) -> None:
    server.answers = [BUSY, BUSY, (204, {}, b"")]
    resp, _ = ask(proxy(server, request_attempts=3))
    assert resp.status == 204
    assert len(no_pauses) == 2
    assert all(pause in (0.0, 0.5) for pause in no_pauses)
    server.answers = [BUSY, BUSY]
    with pytest.raises(ServiceBusy):
        ask(proxy(server, request_attempts=2))
    server.answers = [BUSY]
    with pytest.raises(ServiceBusy):
        ask(proxy(server))


def test_a_conflict_of_a_repeated_post_is_a_success(server: Server, no_pauses: list[float]) -> None:
    client = proxy(server, request_attempts=2)
    server.answers = [BUSY, CONFLICT]
    assert client._request("POST", "/x") == (None, None)
    server.answers = [CONFLICT]
    with pytest.raises(Conflict):
        client._request("POST", "/x")
    server.answers = [BUSY, CONFLICT]
    with pytest.raises(Conflict):
        client._request("GET", "/x")
