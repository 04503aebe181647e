"""The package is importable without `lib`, wherever the program runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


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
