"""The package is importable without `lib`, wherever the program runs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest


def test_sources_in_lib_are_imported_without_it_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import dynamo.core, dynamo.dataformat; print(dynamo.core.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert Path(done.stdout.strip()).parts[-4:] == ("dynamo", "lib", "core", "__init__.py")


IMPORTS = {
    "dynamo.core.executable": "inventory read_only authorized authorizer make_standard_logger",
    "dynamo.core.inventory": "DynamoInventory ObjectRepository",
    "dynamo.core.components.persistency": "InventoryStore",
    "dynamo.dataformat": "Dataset Block File Site SitePartition Partition Group DatasetReplica BlockReplica"
    " HistoryRecord Configuration ConfigurationError IntegrityError ObjectError OperationalError",
    "dynamo.dataformat.request": "Request RequestAction CopyRequest DeletionRequest",
    "dynamo.dataformat.history": "HistoryRecord",
    "dynamo.dataformat.fileop": "Operation Transfer Deletion",
    "dynamo.web.modules._base": "WebModule",
    "dynamo.web.modules._html": "HTMLMixin",
    "dynamo.web.modules._common": "yesno",
    "dynamo.web.modules._filedownload": "FileDownloadMixin",
    "dynamo.web.exceptions": "MissingParameter ExtraParameter IllFormedRequest InvalidRequest AuthorizationError"
    " ResponseDenied TryAgain",
    "dynamo.client.inject": "main",
    "dynamo.client.request": "main",
}


@pytest.mark.parametrize("module", IMPORTS)
def test_programs_import_what_they_always_did(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in IMPORTS[module].split() if not hasattr(found, name)] == []


def test_outside_a_server_a_program_finds_an_empty_inventory() -> None:
    program = (
        "from dynamo.core.executable import inventory, read_only, authorized, authorizer\n"
        "from dynamo.dataformat import Site\n"
        "print(type(inventory).__name__, len(inventory.sites), read_only, authorized, authorizer)\n"
        "inventory.update(Site('S'))\nprint(sorted(inventory.sites.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "ObjectRepository 0 True False None\n['S']\n"
