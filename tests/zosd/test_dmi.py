"""Tables of a firmware as dmidecode prints them."""

from __future__ import annotations

from zosd.api.dmi import parse

SHOWN = """# dmidecode 3.4
Getting SMBIOS data from sysfs.

Handle 0x0002, DMI type 2, 15 bytes
Base Board Information
\tManufacturer: ASRock
\tFeatures:
\t\tBoard is a hosting board
\t\tBoard is replaceable

Handle 0x0004, DMI type 4, 42 bytes
Processor Information
\tVersion: AMD EPYC
\tThread Count: 16

Handle 0x0099, DMI type 221, 12 bytes
OEM-specific Type
\tHeader and Data:
\t\tDD 0C 99 00
"""


def test_sections_types_properties_and_items() -> None:
    found = parse(SHOWN)
    assert found["tooling"]["aggregator"] == "dmidecode 3.4"
    board, processor, other = found["sections"]
    assert (board["typestr"], board["typenum"]) == ("Baseboard", 2)
    assert board["handleline"] == "Handle 0x0002, DMI type 2, 15 bytes"
    assert board["subsections"] == [
        {
            "title": "Base Board Information",
            "properties": {
                "Manufacturer": {"value": "ASRock"},
                "Features": {"value": "", "items": ["Board is a hosting board", "Board is replaceable"]},
            },
        }
    ]
    assert processor["subsections"][0]["properties"]["Thread Count"] == {"value": "16"}
    assert other["typestr"] == "Custom Type 221"


def test_a_machine_without_tables() -> None:
    assert parse("# No SMBIOS nor DMI entry point found, sorry.\n")["sections"] == []
    assert parse("")["tooling"]["aggregator"] == "unknown"
