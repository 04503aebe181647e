"""`zos.system.dmi`: the firmware's tables as `dmidecode` prints them, parsed (node-api §6.2).

The parser is pure.  A section begins at a line `Handle …`; an unindented line is the title of a subsection; an
indented `key: value` is a property; lines that are indented deeper are its items; a blank line ends the section.
"""

from __future__ import annotations

import re
from typing import Any

DECODER = "0-core Go dmi decoder v0.2.0"
"""What clients compare with."""
SECTION_TYPES = (
    "BIOS", "System", "Baseboard", "Chassis", "Processor", "MemoryController", "MemoryModule", "Cache",
    "PortConnector", "SystemSlots", "OnBoardDevices", "OEMSettings", "SystemConfigurationOptions", "BIOSLanguage",
    "GroupAssociations", "SystemEventLog", "PhysicalMemoryArray", "MemoryDevice", "32BitMemoryError",
    "MemoryArrayMappedAddress", "MemoryDeviceMappedAddress", "BuiltinPointingDevice", "PortableBattery",
    "SystemReset", "HardwareSecurity", "SystemPowerControls", "VoltageProbe", "CoolingDevice", "TempratureProbe",
    "ElectricalCurrentProbe", "OutOfBandRemoteAccess", "BootIntegrityServices", "SystemBoot", "64BitMemoryError",
    "ManagementDevice", "ManagementDeviceComponent", "ManagementThresholdData", "MemoryChannel", "IPMIDevice",
    "PowerSupply", "AdditionalInformation", "OnboardDeviceExtendedInformation", "ManagementControllerHostInterface",
)  # fmt: skip
"""By SMBIOS type number, spelt as clients know them."""
MOST_SECTIONS = 1000
_TYPE = re.compile(r"DMI type (\d+)")


def parse(text: str) -> dict[str, Any]:
    """The answer of `zos.system.dmi`; empty sections where the firmware has no tables."""
    comment = next((line[1:].strip() for line in text.splitlines() if line.startswith("#")), "unknown")
    sections: list[dict[str, Any]] = []
    section: dict[str, Any] | None = None
    for line in text.splitlines():
        if not line.strip():
            section = None
        elif line.startswith("Handle") and len(sections) < MOST_SECTIONS:
            section = _section(line)
            sections.append(section)
        elif section is not None:
            _add(section["subsections"], line)
    return {"tooling": {"aggregator": comment or "unknown", "decoder": DECODER}, "sections": sections}


def _section(line: str) -> dict[str, Any]:
    found = _TYPE.search(line)
    number = int(found[1]) if found else -1
    name = SECTION_TYPES[number] if 0 <= number < len(SECTION_TYPES) else f"Custom Type {number}"
    return {"handleline": line.strip(), "typestr": name, "typenum": number, "subsections": []}


def _add(subsections: list[dict[str, Any]], line: str) -> None:
    depth = len(line) - len(line.lstrip("\t "))
    if depth == 0:
        subsections.append({"title": line.strip()})
        return
    if not subsections:
        return
    properties = subsections[-1].setdefault("properties", {})
    key, colon, value = line.strip().partition(":")
    if colon and not line.startswith(("\t\t", "        ")):
        properties[key.strip()] = {"value": value.strip()}
    elif properties:
        properties[next(reversed(properties))].setdefault("items", []).append(line.strip())
