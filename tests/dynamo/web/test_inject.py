"""The command `dynamo-inject`: its short forms as recorded, and its effect."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from dynamo.client import trees

from tests.dynamo.single_server import SingleServer
from tests.shared import report_count, vectors


def test_short_forms_are_read_as_recorded() -> None:
    cases = [case for case in vectors("inventory")["client"] if case[0].startswith("make_")]
    for function, arguments, wanted in cases:
        make = getattr(trees, function)
        if isinstance(wanted, dict):
            with pytest.raises(trees.WrongForm) as caught:
                make(*arguments)
            assert str(caught.value) == wanted["message"]
        else:
            assert make(*arguments) == wanted
    report_count("short forms of objects", len(cases))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SingleServer]:
    single = SingleServer(tmp_path_factory.mktemp("inject"))
    single.start()
    try:
        yield single
    finally:
        single.stop()


def _inject(
    server: SingleServer, *arguments: str, user: str = "admin", stdin: str | None = None
) -> tuple[int, str]:
    where = [
        "-o",
        f"localhost:{server.ports['https']}",
        "-c",
        str(server.certificates[user]),
        "--ca",
        str(server.ca),
    ]
    done = server.command("dynamo.client.inject", [*where, *arguments], stdin)
    return done.returncode, done.stdout + done.stderr


def test_objects_are_injected_and_deleted(server: SingleServer) -> None:
    assert _inject(server, "-s", "S,h,disk,,ready", "-g", "g") == (0, "sites: 1\ngroups: 1\n")
    assert _inject(server, "-d", "/A/1,valid,test", "-b", "b", "-f", "/f,5,S")[0] == 0
    stored = server.inventory().datasets["/A/1"]
    assert (stored.size, stored.num_files) == (5, 1)
    assert stored.find_replica("S") is not None
    code, text = _inject(server, "-", "--json", stdin=json.dumps({"group": [{"name": "h"}]}))
    assert (code, json.loads(text)["data"]) == (0, {"groups": 1})
    assert _inject(server, "-X", "-d", "/A/1", "-b", "b", "-f", "/f") == (
        0,
        "datasets: 0\nblocks: 0\nfiles: 1\n",
    )
    assert server.inventory().datasets["/A/1"].size == 0
    code, text = _inject(server, "-X", "-s", "ZZ")
    assert (code, "Unknown site ZZ." in text) == (1, True)
    code, text = _inject(server, "-g", "i", user="guest")
    assert (code, "(403)" in text) == (1, True)
    assert _inject(server)[0] == 2
    assert _inject(server, "-d", "/A/1", "-f", "/f,1")[0] == 2
