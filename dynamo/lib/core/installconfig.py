"""From `dynamo.cfg`, the short configuration of an installation, to `server_config.json`.

Formats of Dynamo (SmartDataProjects): an INI file with sections paths, server, applications and web, whose `*_conf`
values are JSON; and the nested JSON that servers and tools read.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynamo.dataformat import ConfigurationError

Json = dict[str, Any]

SCRATCH = "dynamo_tmp"
STORE, MASTER, REGISTER = "dynamo", "dynamoserver", "dynamoregister"
_USERS = {"user": "dynamosrv", "readuser": "dynamoread"}
"""Users of the master's database in an installation, where only its host is named."""
_MEMBERS = {"host", "user", "readuser", "passwd", "readpasswd"}


def server_config(text: str, passwords: Mapping[str, str], defaults: Json | None = None) -> Json:
    """The configuration of a server.  `passwords` are by user, for those that the text does not give.

    Raises ConfigurationError, with section and key.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigurationError(f"dynamo.cfg cannot be read: {error}") from None
    config = _Sections(parser, passwords)
    spool, server = config.get("paths", "spool_path"), "server"
    found: Json = {
        "user": config.get(server, "user"),
        "inventory": {"partition_def_path": config.get(server, "partition_def")},
        "manager": {
            "master": config.master(),
            "shadow": {
                "module": config.get(server, "master"),
                "config": {"db_params": config.database("shadow_conf", MASTER)},
            },
            "board": {
                "module": config.get(server, "local_board"),
                "config": {"db_params": config.database("local_board_conf", MASTER)},
            },
        },
        "web": {"enabled": False},
        "applications": {"enabled": False},
        "defaults": defaults or {},
        "notification_recipient": config.get(server, "email", ""),
        "status_poll_interval": 1.0,
        "logging": {"level": "info", "path": config.get("paths", "log_path"), "changelog": True},
    }
    store = config.get(server, "store", "")
    if store:
        persistency = {"module": store, "config": {"db_params": config.database("store_conf", STORE)}}
        readonly = config.database("store_conf", STORE, readonly=True)
        found["inventory"]["persistency"] = persistency | (
            {"readonly_config": {"db_params": readonly}} if readonly else {}
        )
    if config.flag("web", "enabled"):
        found["web"] = {
            "enabled": True,
            "socket": f"{spool}/dynamoweb.sock",
            "contents_path": f"{config.get('paths', 'dynamo_base')}/web",
            "modules_config_path": config.get("web", "modules_config"),
            "min_idle": 1,
            "max_idle": 5,
            "max_procs": 10,
        }
    if config.flag("applications", "enabled"):
        found["applications"] = {
            "enabled": True,
            "server": {
                "module": config.get("applications", "server"),
                "config": config.json("applications", "server_conf"),
            },
            "timeout": 7200,
            "retain_records_for": 7,
        }
    return found


class _Sections:
    """Values of the INI file, each with the name of its section and key in errors."""

    def __init__(self, parser: configparser.ConfigParser, passwords: Mapping[str, str]) -> None:
        self._parser = parser
        self._passwords = passwords

    def get(self, section: str, key: str, default: str | None = None) -> str:
        value = self._parser.get(section, key, fallback=default)
        if value is None:
            raise ConfigurationError(f"dynamo.cfg lacks {key} in section [{section}]")
        return value.strip()

    def flag(self, section: str, key: str) -> bool:
        try:
            return self._parser.getboolean(section, key)
        except (configparser.Error, ValueError) as error:
            raise ConfigurationError(
                f"{key} in section [{section}] is neither true nor false: {error}"
            ) from None

    def json(self, section: str, key: str) -> Json:
        text = self.get(section, key)
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"{key} in section [{section}] is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise ConfigurationError(f"{key} in section [{section}] is no object of JSON")
        return value

    def master(self) -> Json:
        found: Json = {
            "module": self.get("server", "master"),
            "config": {
                "db_params": self.database("master_conf", MASTER),
                "applock": {"db_params": self.database("master_conf", REGISTER)},
            },
        }
        readonly = self.database("master_conf", MASTER, readonly=True)
        return found | ({"readonly_config": {"db_params": readonly}} if readonly else {})

    def database(self, key: str, name: str, readonly: bool = False) -> Json:
        """Parameters of a database; nothing when no user is given that only reads."""
        conf = self.json("server", key)
        unknown = set(conf) - _MEMBERS
        if key == "master_conf" and set(conf) == {"host"}:
            conf = {**conf, **_USERS}
        if unknown or "host" not in conf or "user" not in conf:
            raise ConfigurationError(
                f"{key} in section [server] names host, user and perhaps readuser, passwd, readpasswd,"
                f" not {', '.join(sorted(conf))}"
            )
        user = conf.get("readuser") if readonly else conf["user"]
        if user is None:
            return {}
        password = conf.get("readpasswd" if readonly else "passwd", self._passwords.get(user))
        found = {"host": conf["host"], "user": user, "db": name, "scratch_db": SCRATCH}
        return found if password is None else {**found, "passwd": password}


def read_passwords(path: Path) -> dict[str, str]:
    """Passwords by user, of a file of JSON.  Raises ConfigurationError."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ConfigurationError(f"{path} is no object of JSON with a password for every user")
    return value
