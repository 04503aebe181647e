"""Pages and data of a real server."""

from __future__ import annotations

import json
import socket
import ssl
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.dynamo.single_server import SingleServer
from tests.dynamo.web.recorded_modules import MYMOD

CONFIGURED = """
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._html import HTMLMixin


class Colour(WebModule):
    def __init__(self, config):
        WebModule.__init__(self, config)
        self.colour = config.anything.colour

    def run(self, caller, request, inventory):
        return self.colour


class Page(WebModule, HTMLMixin):
    def __init__(self, config):
        WebModule.__init__(self, config)
        HTMLMixin.__init__(self, "A page of a user")
        self.body_html = "<p>It is {COLOUR}, in braces {{as they are}}.</p>"

    def run(self, caller, request, inventory):
        return self.form_html({"COLOUR": "green"})


export_data = {"colour": Colour}
export_web = {"page": Page}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SingleServer]:
    with tempfile.TemporaryDirectory(prefix="dynamo-modules-") as name:
        modules = Path(name)
        modules.chmod(0o755)  # modules run as another user
        (modules / "mymod.py").write_text(MYMOD)
        (modules / "configured.py").write_text(CONFIGURED)
        single = SingleServer(tmp_path_factory.mktemp("web"), modules)
        config = json.loads(single.config.read_text())
        config["web"]["socket"] = str(modules / "front")  # sockets have short names
        (modules / "modules.json").write_text('{"anything": {"colour": "green"}}')
        config["web"]["modules_config_path"] = str(modules / "modules.json")
        single.config.write_text(json.dumps(config))
        single.start()
        try:
            yield single
        finally:
            single.stop()


def _get(server: SingleServer, path: str, user: str | None = None, body: Any = None) -> tuple[int, Any]:
    scheme = "http" if user is None else "https"
    context = None
    if user is not None:
        context = ssl.create_default_context(cafile=str(server.ca))
        context.load_cert_chain(server.certificates[user])
    with urllib3.PoolManager(ssl_context=context, retries=False, timeout=60) as pool:
        answer = pool.request(
            "GET" if body is None else "POST",
            f"{scheme}://localhost:{server.ports[scheme]}{path}",
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"} if body is not None else {},
        )
    text = answer.data.decode()
    is_json = answer.headers["Content-Type"].startswith("application/json")
    return answer.status, json.loads(text) if is_json else text


def test_callers_are_known_by_their_certificates(server: SingleServer) -> None:
    status, answer = _get(server, "/data/mymod/mydata?a=1")
    assert (status, answer["data"]["caller"]["name"]) == (200, None)
    status, answer = _get(server, "/data/mymod/mydata", "admin")
    assert answer["data"]["caller"]["name"] == "admin"
    assert ["admin", "inventory"] in answer["data"]["caller"]["authlist"]
    status, answer = _get(server, "/data/mymod/auth", "stranger")
    assert (status, answer["message"]) == (403, "Unknown user. Client name: /O=Acme, Inc./CN=stranger")
    assert _get(server, "/data/mymod/auth")[0] == 400
    assert _get(server, "/registry/aliased/mydata")[0] == 200


def _through_front(server: SingleServer, path: str, headers: dict[str, str]) -> Any:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        connection.connect(str(server.modules / "front"))
        lines = [f"GET {path} HTTP/1.0", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        data = b""
        while piece := connection.recv(1 << 16):
            data += piece
    return json.loads(data.partition(b"\r\n\r\n")[2])


def test_a_front_is_believed_on_its_socket_only(server: SingleServer) -> None:
    said = {"X-Request-Scheme": "https", "X-SSL-Client-S-DN": "CN=admin,O=Acme\\, Inc."}
    assert _through_front(server, "/data/mymod/mydata", said)["data"]["caller"]["name"] == "admin"
    assert _through_front(server, "/data/mymod/mydata", {})["data"]["caller"]["name"] is None
    proxy = {**said, "X-SSL-Client-S-DN": "/O=Acme, Inc./CN=admin/CN=12345/CN=67890"}
    assert _through_front(server, "/data/mymod/mydata", proxy)["data"]["caller"] == {
        **_through_front(server, "/data/mymod/mydata", said)["data"]["caller"]
    }
    unknown = {**said, "X-SSL-Client-S-DN": "CN=nobody"}
    assert _through_front(server, "/data/mymod/mydata", unknown)["message"].startswith("Unknown user.")
    with urllib3.PoolManager(retries=False, timeout=60) as pool:
        answer = pool.request(
            "GET", f"http://localhost:{server.ports['http']}/data/mymod/mydata", headers=said
        )
    assert json.loads(answer.data)["data"]["caller"]["name"] is None


def test_a_module_sees_the_configuration_of_modules(server: SingleServer) -> None:
    assert _get(server, "/data/configured/colour")[1]["data"] == "green"


def test_a_page_is_made_of_head_body_and_foot(server: SingleServer) -> None:
    status, page = _get(server, "/web/configured/page")
    assert status == 200
    assert "<title>A page of a user</title>" in page
    assert "<p>It is green, in braces {as they are}.</p>" in page
    assert page.rstrip().endswith("</html>")


def test_requests_have_a_log_of_their_own(server: SingleServer) -> None:
    assert _get(server, "/data/inventory/groups?group=logged")[0] == 200
    folder = server.folder / "log"
    assert "GET /data/inventory/groups?group=logged: 200" in (folder / "web.log").read_text()
    assert "group=logged" not in (folder / "server.log").read_text()


def test_data_of_the_inventory_are_fetched_again_only_when_they_changed(server: SingleServer) -> None:
    url = f"http://localhost:{server.ports['http']}/data/inventory/groups"
    with urllib3.PoolManager(retries=False, timeout=60) as pool:
        first = pool.request("GET", url)
        tag = first.headers["ETag"]
        assert pool.request("GET", url, headers={"If-None-Match": tag}).status == 304
        path = server.script(
            "from dynamo.core.executable import inventory\nfrom dynamo.dataformat import Group\n"
            "inventory.update(Group('tagged'))\n",
            "tagged.py",
        )
        assert server.run("exec_auth", "-x", path, "-t", "tagged").returncode == 0
        assert server.dynamo("-W", "-t", "tagged", path).returncode == 0
        second = pool.request("GET", url, headers={"If-None-Match": tag})
        assert second.status == 200
        assert {"name": "tagged"} in json.loads(second.data)["data"]


def test_a_page_of_another_site_cannot_post(server: SingleServer) -> None:
    with urllib3.PoolManager(retries=False, timeout=60) as pool:
        url = f"http://localhost:{server.ports['http']}/data/mymod/mydata"
        answer = pool.request("POST", url, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403


def test_what_a_reading_module_changes_is_thrown_away(server: SingleServer) -> None:
    assert "FROM_WEB" in _get(server, "/data/mymod/upd")[1]["data"]
    assert "FROM_WEB" not in server.inventory().sites


def test_w18_a_module_that_fails_frees_the_write_slot_at_once(server: SingleServer) -> None:
    status, answer = _get(server, "/data/mymod/updwfail")
    assert status == 500
    assert "after lock" not in json.dumps(answer)
    assert _get(server, "/data/mymod/updw")[0] == 200
    assert "FAILED" not in server.inventory().sites
    assert "FROM_WEB" in server.inventory().sites
    assert "FROM_WEB" in [site["name"] for site in _get(server, "/data/inventory/sites")[1]["data"]]


def test_new_modules_need_no_restart_and_broken_ones_hurt_nobody(server: SingleServer) -> None:
    assert _get(server, "/data/late/mydata")[0] == 404
    (server.modules / "broken.py").write_text("1/0\n")
    (server.modules / "late.py").write_text(MYMOD)
    assert _get(server, "/data/late/mydata")[0] == 200
    assert _get(server, "/data/broken/mydata")[0] == 404
    assert _get(server, "/data/mymod/mydata")[0] == 200


def test_files_outside_the_contents_are_not_served(server: SingleServer) -> None:
    assert _get(server, "/css/dynamo.css")[0] == 200
    for path in (
        "/css/../html/header_common.html",
        "/css/..%2F..%2F__init__.py",
        "/js/%2e%2e/%2e%2e/answer.py",
    ):
        assert _get(server, path)[0] == 404


def test_trees_of_objects_are_injected_and_deleted(server: SingleServer) -> None:
    tree = {
        "site": [{"name": "T2_NEW", "status": "ready", "host": "h"}, {"name": "T2_TWO", "status": "ready"}],
        "group": [{"name": "gn"}],
        "dataset": [
            {
                "name": "/N/1",
                "status": "valid",
                "data_type": "test",
                "blocks": [
                    {
                        "name": "n1",
                        "files": [
                            {"name": "/N/f1", "size": 5, "site": "T2_NEW"},
                            {"name": "/N/f2", "size": 7, "site": "T2_NEW"},
                        ],
                    }
                ],
            }
        ],
        "datasetreplica": [
            {
                "dataset": "/N/1",
                "site": "T2_TWO",
                "growing": True,
                "group": "gn",
                "blockreplicas": [{"block": "n1"}],
            }
        ],
    }
    assert _get(server, "/data/inventory/injectsync", "guest", tree)[0] == 403
    status, answer = _get(server, "/data/inventory/injectsync", "admin", tree)
    assert status == 200, answer
    assert answer["data"] == {
        "datasets": 1,
        "blocks": 1,
        "files": 2,
        "sites": 2,
        "groups": 1,
        "datasetreplicas": 1,
        "blockreplicas": 1,
    }
    more = {
        "dataset": [
            {
                "name": "/N/1",
                "blocks": [{"name": "n1", "files": [{"name": "/N/f3", "size": 9, "site": "T2_TWO"}]}],
            }
        ]
    }
    assert _get(server, "/data/inventory/injectsync", "admin", more)[0] == 200
    stored = server.inventory().datasets["/N/1"].find_block("n1", must_find=True)
    assert stored is not None
    assert (stored.size, stored.num_files) == (21, 3)
    sizes = {replica.site.name: (replica.size, replica.is_complete()) for replica in stored.replicas}
    assert sizes == {"T2_NEW": (12, False), "T2_TWO": (21, True)}
    status, answer = _get(server, "/data/inventory/data?block=/N/1%23n1")
    assert len(answer["data"]["dbs"][0]["dataset"][0]["block"][0]["file"]) == 5
    gone = {"datasetreplica": [{"dataset": "/N/1", "site": "T2_NEW"}], "group": [{"name": "gn"}]}
    status, answer = _get(server, "/data/inventory/deletesync", "admin", gone)
    assert (status, answer["data"]) == (200, {"groups": 1, "datasetreplicas": 1})
    assert "gn" not in server.inventory().groups
    bad = {"site": [{"name": "T2_THREE"}], "datasetreplica": [{"dataset": "/NO", "site": "T2_NEW"}]}
    status, answer = _get(server, "/data/inventory/injectsync", "admin", bad)
    assert (status, answer["message"]) == (400, "Unknown dataset /NO.\n")
    assert "T2_THREE" not in server.inventory().sites


def test_lists_come_as_lines_where_that_is_asked_for(server: SingleServer) -> None:
    data = _get(server, "/data/inventory/sites")[1]["data"]
    status, text = _get(server, "/data/inventory/sites?stream=1")
    assert status == 200
    assert data
    assert [json.loads(line) for line in text.splitlines()] == data
    inner = _get(server, "/data/inventory/blockreplicas?dataset=/N/1")[1]["data"]["block"]
    assert inner
    text = _get(server, "/data/inventory/blockreplicas?dataset=/N/1&stream=1")[1]
    assert [json.loads(line) for line in text.splitlines()] == inner
    assert _get(server, "/data/inventory/datasets?stream=1") == (200, "")
    status, answer = _get(server, "/data/inventory/sites?limit=x&stream=1")
    assert (status, answer["result"]) == (400, "Bad Request")


def test_many_readers_are_served_side_by_side(server: SingleServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _get(server, "/data/inventory/sites")[0], range(24)))
    assert answers == [200] * 24


def test_pages_show_sites_and_statistics(server: SingleServer) -> None:
    status, page = _get(server, "/web/inventory/sites")
    assert status == 200
    assert "<td>FROM_WEB</td>" in page
    status, page = _get(server, "/web/inventory/stats?statistic=size&list_by=dataset")
    assert "/N/1" in page
    assert _get(server, "/web/inventory/stats?statistic=nonsense")[0] == 400
