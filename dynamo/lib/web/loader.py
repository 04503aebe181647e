"""Finds web modules by name."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

LOG = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "modules"
"""Where modules lie that belong to the system; others may be put beside them."""

MODES = ("data", "web", "registry")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,199}")
"""A name that can also be one of a file."""


class Loader:
    """Modules of some folders.  They are imported when somebody asks for them, so new ones need no restart."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """`folders` are looked through before the system's own."""
        self._folders = [*folders, FOLDER]

    def names(self) -> list[str]:
        """All modules that there are, working or not."""
        found = set()
        for folder in self._folders:
            for path in folder.iterdir() if folder.is_dir() else ():
                name = path.stem if path.suffix == ".py" else path.name
                if _NAME.fullmatch(name) and (path.suffix == ".py" or (path / "__init__.py").exists()):
                    found.add(name)
        return sorted(found)

    def find(self, mode: str, module: str, command: str) -> type[Any] | None:
        """The class of a command; None when there is none, or its module is broken."""
        if mode not in MODES or not _NAME.fullmatch(module):
            return None
        if mode != "registry":
            loaded = self._load(module)
            return None if loaded is None else getattr(loaded, f"export_{mode}", {}).get(command)
        for name in self.names():
            loaded = self._load(name)
            found = (
                None if loaded is None else getattr(loaded, "registry_alias", {}).get(module, {}).get(command)
            )
            if found is not None:
                return found  # type: ignore[no-any-return]  # what modules of others export
        return None

    def _load(self, name: str) -> ModuleType | None:
        for folder in self._folders:
            path = folder / f"{name}.py"
            try:
                if not path.exists():
                    path = folder / name / "__init__.py"
                if not path.exists():
                    continue
                return self._import(folder, name, path)
            except Exception:
                LOG.exception("Web module %s is broken", path)
                return None
        return None

    @staticmethod
    def _import(folder: Path, name: str, path: Path) -> ModuleType:
        if folder == FOLDER:
            importlib.invalidate_caches()
            return importlib.import_module(f"dynamo.web.modules.{name}")
        full = f"dynamo_web_modules_{abs(hash(str(folder)))}_{name}"
        if full in sys.modules:
            return sys.modules[full]
        spec = importlib.util.spec_from_file_location(
            full, path, submodule_search_locations=[str(path.parent)] if path.name == "__init__.py" else None
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[full]
            raise
        return module
