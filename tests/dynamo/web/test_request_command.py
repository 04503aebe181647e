"""The command `dynamo-request`: what it asks, as recorded, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from dynamo.client import requests, trees
from typer.testing import CliRunner

from tests.shared import report_count, vectors


def test_requests_are_asked_as_recorded() -> None:
    cases = [case for case in vectors("inventory")["client"] if not case[0].startswith("make_")]
    for function, arguments, wanted in cases:
        make = getattr(requests, function)
        if "error" in wanted:
            with pytest.raises(trees.WrongForm) as caught:
                make(*arguments)
            assert str(caught.value) == wanted["message"]
        else:
            assert _plain(make(*arguments)) == wanted
    report_count("questions of dynamo-request", len(cases))


def _plain(asked: Any) -> Any:
    return asked if isinstance(asked, dict) else [list(field) for field in asked]


def test_all_that_chooses_requests_is_sent() -> None:
    assert requests.pollcopy(0, ["/d"], ["S1", "S2"], ["new"], ["jane"]) == [
        ("item[]", "/d"),
        ("site[]", "S1"),
        ("site[]", "S2"),
        ("status[]", "new"),
        ("user[]", "jane"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "Missing --dataset or --block."), (["-l"], "No selection specified")]
)
def test_a_question_about_nothing_is_wrong_usage(arguments: list[str], said: str) -> None:
    from dynamo.client.request import app

    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, said in done.stderr) == (2, True)
