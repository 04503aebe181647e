"""The namespace file of OpenIO SDS, and configuration files of daemons.

Read in this order, later files say more: `/etc/oio/sds.conf`, each file of `/etc/oio/sds.conf.d`, and
`~/.oio/sds.conf` only when none of these could be read. A section is a namespace.
"""

from __future__ import annotations

import configparser
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from oio.common.exceptions import ConfigurationException, InvalidServiceConfigError

SYSTEM_FILE: Final = Path("/etc/oio/sds.conf")
SYSTEM_FOLDER: Final = Path("/etc/oio/sds.conf.d")
MAX_FILE: Final = 1 << 20
"""Largest file that is read, in bytes."""

_lock = threading.Lock()
_cache: dict[str, NamespaceConf] = {}


class NamespaceConf(dict[str, str]):
    """The settings of a namespace. A missing one raises ConfigurationException with the files that were tried."""

    def __init__(self, namespace: str, values: Mapping[str, str], tried: list[Path]) -> None:
        super().__init__(values)
        self.namespace = namespace
        self.tried = tried

    def __missing__(self, key: str) -> str:
        raise ConfigurationException(
            f"{key!r} is not set for namespace {self.namespace!r}; set it in one of {_listed(self.tried)}"
        )


def home_file() -> Path:
    """The file of a user."""
    return Path(os.environ.get("HOME") or Path.home()) / ".oio" / "sds.conf"


def candidate_files() -> Iterator[Path]:
    """System-wide files, in the order in which they are read."""
    yield SYSTEM_FILE
    if SYSTEM_FOLDER.is_dir():
        yield from sorted(path for path in SYSTEM_FOLDER.iterdir() if path.is_file())


def load_namespace_conf(namespace: str, failsafe: bool = False, fresh: bool = False) -> NamespaceConf:
    """The settings of a namespace, kept from one call to the next unless `fresh`.

    Exits with a message and status 1 when the section or its `proxy` is missing, unless `failsafe`.
    ConfigurationException for a file that cannot be parsed.
    """
    with _lock:
        if not fresh and namespace in _cache:
            return _cache[namespace]
    found = _load(namespace)
    if "proxy" not in found and not failsafe:
        sys.stderr.write(
            f"Missing field 'proxy' in namespace configuration of {namespace!r}: "
            f"looked into {_listed(found.tried)}\n"
        )
        raise SystemExit(1)
    with _lock:
        _cache[namespace] = found
    return found


def _load(namespace: str) -> NamespaceConf:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    tried, read = [], False
    for path in candidate_files():
        tried.append(path)
        read = _read(parser, path) or read
    if not read:
        tried.append(home_file())
        _read(parser, tried[-1])
    values = dict(parser.items(namespace)) if parser.has_section(namespace) else {}
    return NamespaceConf(namespace, values, tried)


def _read(parser: configparser.ConfigParser, path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_string(file.read(MAX_FILE), source=str(path))
    except OSError:
        return False
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigurationException(f"{path}: {error}") from error
    return True


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def validate_service_conf(conf: Mapping[str, Any]) -> str:
    """The namespace of a configuration; InvalidServiceConfigError when there is none."""
    namespace = conf.get("namespace")
    if not namespace:
        raise InvalidServiceConfigError()
    return str(namespace)


def meta1_digits(conf: Mapping[str, Any]) -> int:
    """Digits that name a meta1 base: `meta1_digits` of a configuration, else of the namespace file, else 4."""
    if conf.get("meta1_digits") not in (None, ""):
        return int(conf["meta1_digits"])
    found = load_namespace_conf(validate_service_conf(conf), failsafe=True)
    return int(found.get("ns.meta1_digits", found.get("meta1_digits", "4")))


def read_conf(path: str | Path, section_name: str | None = None) -> dict[str, Any]:
    """A section of a daemon's configuration file, or all sections when none is named.

    Exits with a message and status 1 when the file or the section is missing.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    if not _read(parser, Path(path)):
        sys.stderr.write(f"Unable to read config from {path}\n")
        raise SystemExit(1)
    if section_name is None:
        return {section: dict(parser.items(section)) for section in parser.sections()}
    if not parser.has_section(section_name):
        sys.stderr.write(f"Unable to find section {section_name} in config {path}\n")
        raise SystemExit(1)
    return dict(parser.items(section_name))
