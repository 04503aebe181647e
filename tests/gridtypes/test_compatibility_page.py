"""The page on compatibility lists every recorded case that depends on the Go version."""

from __future__ import annotations

from pathlib import Path

from tests.gridtypes.golden import section
from tests.shared import report_count

PAGE = Path(__file__).parents[2] / "docs/compatibility-gridtypes.md"
MERGED = PAGE.with_name("compatibility.md")
UNPRINTABLE = {"\ufeff": "\\ufeff", "\x00": "\\x00", "\n": "\\n", "|": "\\|"}


def as_written(text: str) -> str:
    for character, escape in UNPRINTABLE.items():
        text = text.replace(character, escape)
    return f"`{text}`"


def test_lists_every_case_that_varies() -> None:
    page = "".join(file.read_text() for file in (PAGE, MERGED) if file.exists())
    count = 0
    for name in ("deployments", "deployment_decode", "data_decode", "hex_bytes", "timestamps", "macs"):
        for entry in section(name):
            if not entry.get("varies_with_go_version"):
                continue
            key = next(key for key in ("id", "data", "json", "text") if key in entry)
            shown = entry["id"] if key == "id" else as_written(entry[key])
            assert shown in page, f"{name}: {shown} is not listed"
            count += 1
    report_count("gridtypes cases that vary with the Go version", count)
