"""Access to the golden vectors and the cases from public bug reports.

Both lie outside the repository: `VECTORS` and `CASES` name their folders.  Where they are missing a test skips with
the reason, except under CI, where it fails: a check that silently does not run is worse than none.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent
VECTORS = Path(os.environ.get("VECTORS", PROJECT / "../shared/spec/vectors"))
CASES = Path(os.environ.get("CASES", PROJECT / "../shared/cases"))

_compared: dict[str, int] = {}


def vectors(name: str) -> Any:
    """The parsed vector file `<name>.json`."""
    return json.loads(vector_file(f"{name}.json").read_bytes())


def vector_file(name: str) -> Path:
    """Path of a file in the vectors' folder; skips (fails under CI) when it is missing."""
    return _present(VECTORS / name, "VECTORS")


def cases(number: str) -> Any:
    """The parsed case whose file name starts with `number`, for example `B017`."""
    found = sorted(CASES.glob(f"{number}-*.json"))
    return json.loads(_present(found[0] if found else CASES / f"{number}-*.json", "CASES").read_bytes())


def report_count(name: str, count: int) -> None:
    """Record how many cases a test compared; printed at the end of the run.  None at all is a failure."""
    assert count > 0, f"{name}: the file holds no case, so nothing was compared"
    _compared[name] = _compared.get(name, 0) + count


def compared() -> dict[str, int]:
    return dict(_compared)


def _present(path: Path, variable: str) -> Path:
    if path.exists():
        return path
    reason = f"{path.name} is missing; set {variable} to the folder that holds it"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
