"""The schema that editors use says what the reader says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from client import deployment_schema
from client.deployment_file import parse
from tests.client.files import PAIR

DOCS = Path(__file__).parents[2] / "docs"


def test_the_kept_copy_is_the_present_one() -> None:
    """When this fails: `zos schema > docs/deployment.schema.json`."""
    assert (DOCS / "deployment.schema.json").read_text() == deployment_schema.text()


def test_every_key_and_every_type_is_in_it() -> None:
    schema = deployment_schema.schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == {"name", "description", "nodes", "networks", "workloads"}
    assert set(schema["required"]) == {"name", "workloads"}
    items = schema["properties"]["workloads"]["items"]
    assert set(items["discriminator"]["mapping"]) == {"zmount", "publicip", "ip", "zmachine"}
    machine = schema["$defs"]["MachinePart"]
    assert machine["additionalProperties"] is False
    assert set(parse(PAIR).machines[0].model_dump()) == set(machine["properties"])


def test_sizes_are_numbers_or_texts() -> None:
    size: dict[str, Any] = deployment_schema.schema()["$defs"]["DiskPart"]["properties"]["size"]
    number, text = size["anyOf"]
    assert number["type"] == "integer"
    for good in ("1 GiB", "512MiB", "1.5 TiB", "10", "7 b"):
        assert re.search(text["pattern"], good), good
    for bad in ("1 GB", "GiB", "-1 GiB", "one"):
        assert not re.search(text["pattern"], bad), bad
