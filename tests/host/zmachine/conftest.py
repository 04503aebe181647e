"""A reduced node for each test, and its provisioner; whatever a test leaves is taken away."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from provisioners.zmachine import ZMachineProvisioner
from tests.host.zmachine.lab import GUEST, IMAGE, Lab, close_lab, open_lab


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    for needed in (GUEST / "manifest.json", IMAGE):
        if not needed.exists():
            pytest.skip(f"{needed} is missing: make setup")
    lab = open_lab()
    try:
        yield lab
        cleaner = await ZMachineProvisioner.open(lab.paths, GUEST)
        for left in await cleaner.inventory(lab):
            await cleaner.deprovision(lab, left)
        assert lab.leftovers() == []
    finally:
        close_lab(lab)


@pytest.fixture
async def provisioner(lab: Lab) -> AsyncIterator[ZMachineProvisioner]:
    provisioner = await ZMachineProvisioner.open(lab.paths, GUEST)
    try:
        yield provisioner
    finally:
        for id in await provisioner.inventory(lab):
            await provisioner.deprovision(lab, id)
        await provisioner.close()
