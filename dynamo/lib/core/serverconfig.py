"""The configuration of a server: `server_config.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dynamo.core.secrets import remembered
from dynamo.dataformat import Configuration, ConfigurationError

DEFAULT_PATH = "/etc/dynamo/server_config.json"
PORT = 39626
"""Where clients find the application server."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Component(_Section):
    """A kind of component, written `file:Class`, and its own configuration."""

    module: str
    config: dict[str, Any]
    readonly_config: dict[str, Any] | None = None


class InventoryConfig(_Section):
    """Where the inventory is stored, and the file that defines its partitions.

    Without `persistency` another server's store is read.  `reading` is this server's `user` and `passwd` at the stores
    of others, where they are not those at the master.
    """

    persistency: Component | None = None
    partition_def_path: str | None = None
    reading: dict[str, str] | None = None


class MasterConfig(_Section):
    """Where users, rights, the queue and the log of changes are.

    A file of one server; or a database of a fleet; or `replicas`, MariaDBs of a group by name, one of them on the
    machine of every server and named as it: the fleet survives the loss of any of them.  `readonly_params` hold the
    user that only reads, for the stores of other servers.
    """

    path: str | None = None
    db_params: dict[str, Any] | None = None
    readonly_params: dict[str, Any] | None = None
    replicas: dict[str, dict[str, Any]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_component(cls, values: Any) -> Any:
        """The form of `dynamo-server-conf`: a component whose configuration holds the parameters."""
        if isinstance(values, dict) and "module" in values:
            known = {"module", "config", "readonly_config"}
            if set(values) <= known and isinstance(values.get("config"), dict):
                reading = values.get("readonly_config") or {}
                return {
                    "db_params": values["config"].get("db_params"),
                    "readonly_params": reading.get("db_params"),
                }
        return values

    @model_validator(mode="after")
    def _one_of_them(self) -> MasterConfig:
        if sum(value is not None for value in (self.path, self.db_params, self.replicas)) != 1:
            raise ValueError("give either path (a single server), or db_params or replicas (a fleet)")
        for name, params in (self.replicas or {}).items():
            missing = {"host", "port", "db", "user", "admin_user"} - set(params)
            if missing:
                raise ValueError(f"replica {name} lacks {', '.join(sorted(missing))}")
        return self


class LeaseConfig(_Section):
    """How long a right lasts that is not renewed, in seconds of the database's clock."""

    ttl: int = Field(default=10, ge=2, le=3600)


class ManagerConfig(_Section):
    """What servers share.  `conflicts` is a folder for changes that were never acknowledged.

    `board` is where other servers write what has changed, a database of this one; `posting` are `user` and `passwd` of
    this server at the boards of others, where they are not those at the master.  `shadow` is read for the sake of older
    configurations.
    """

    master: MasterConfig
    shadow: Component | None = None
    board: Component | None = None
    posting: dict[str, str] | None = None
    lease: LeaseConfig = LeaseConfig()
    conflicts: str = "/var/spool/dynamo/conflicts"


class DoorConfig(_Section):
    """Where clients of the application server come in, and with which certificates."""

    workarea_base: str
    certfile: str
    keyfile: str
    capath: str
    host: str = "localhost"
    port: int = Field(default=PORT, ge=0, le=65535)


def _opened_component(values: Any) -> Any:
    if (
        isinstance(values, dict)
        and set(values) == {"module", "config"}
        and isinstance(values["config"], dict)
    ):
        # Sequences run as their owners and lie in the database, so these two have nothing to say any more.
        ignored = ("scheduler_base", "scheduler_user")
        return {key: value for key, value in values["config"].items() if key not in ignored}
    return values


class ApplicationsConfig(_Section):
    """How applications run.  Times in seconds, and days for records.

    `max_memory` in bytes is what a program may have beyond the image; `max_processes` counts threads as well.
    """

    enabled: bool = True
    server: Annotated[DoorConfig | None, BeforeValidator(_opened_component)] = None
    timeout: int = Field(default=7200, ge=1)
    retain_records_for: int = Field(default=7, ge=1)
    max_procs: int = Field(default=8, ge=1, le=256)
    max_memory: int = Field(default=4 << 30, ge=64 << 20)
    max_processes: int = Field(default=512, ge=1)
    user: str | None = None
    sequence_round: float = Field(default=10.0, gt=0, le=3600)


class WebConfig(_Section):
    """Pages and data over HTTP.  A port that is missing is not listened on; 0 takes a free one.

    On `socket` a front may pass on what came over TLS: it says so in X-Request-Scheme and X-SSL-Client-S-DN.  Requests
    get processes of their own, so `min_idle` and `max_idle` of older configurations change nothing.
    """

    enabled: bool = True
    host: str = "localhost"
    http_port: int | None = Field(default=None, ge=0, le=65535)
    https_port: int | None = Field(default=None, ge=0, le=65535)
    certfile: str | None = None
    keyfile: str | None = None
    capath: str | None = None
    contents_path: str | None = None
    modules_config_path: str | None = None
    module_folders: tuple[str, ...] = ()
    max_procs: int = Field(default=10, ge=1, le=256)
    socket: str | None = None
    min_idle: int = Field(default=1, ge=0)
    max_idle: int = Field(default=5, ge=0)


class FileOperationsConfig(_Section):
    """Who moves and deletes files: one server, for sites that are folders of its machine.

    `roots` are folders by name of site; `round` in seconds; `spool` keeps what is being worked on.
    """

    enabled: bool = True
    roots: dict[str, str] = Field(default_factory=dict)
    spool: str
    round: float = Field(default=5.0, gt=0, le=3600)


class MailConfig(_Section):
    """Who takes mail to people: a server of SMTP.  Without `sender` it is `dynamo@` this machine."""

    host: str = "localhost"
    port: int = Field(default=25, ge=1, le=65535)
    sender: str = ""


class LoggingConfig(_Section):
    """How much is logged, and where: a folder, or stderr without one."""

    level: str = "INFO"
    path: str | None = None
    changelog: bool = True


class ServerConfig(_Section):
    """Everything a server has to know."""

    name: str | None = Field(default=None, min_length=1, max_length=64)
    start_timeout: float = Field(default=600.0, gt=0)
    inventory: InventoryConfig = InventoryConfig()
    manager: ManagerConfig
    applications: ApplicationsConfig = ApplicationsConfig(enabled=False)
    web: WebConfig = WebConfig(enabled=False)
    fileop: FileOperationsConfig | None = None
    mail: MailConfig = MailConfig()
    status_poll_interval: float = Field(default=1.0, gt=0, le=60)
    logging: LoggingConfig = LoggingConfig()
    user: str | None = None
    defaults: dict[str, Any] = Field(default_factory=dict)
    notification_recipient: str = ""

    def board_params(self) -> dict[str, Any] | None:
        """The database of the own board; None without one."""
        board = self.manager.board
        return None if board is None else board.config.get("db_params")

    def posting(self) -> dict[str, str]:
        """User and passwd of this server at the boards of others."""
        for params in (self.manager.posting, self.manager.master.db_params):
            if params and "user" in params:
                return {key: str(params[key]) for key in ("user", "passwd") if key in params}
        return {}

    def credentials(self) -> dict[str, str]:
        """User and passwd of this server at the stores of others: nobody tells it theirs."""
        master = self.manager.master
        for params in (
            self.inventory.reading,
            master.readonly_params,
            master.db_params,
            (master.replicas or {}).get(self.name or ""),
        ):
            if params and "user" in params:
                return {key: str(params[key]) for key in ("user", "passwd") if key in params}
        return {}


def read_server_config(path: str | None = None) -> ServerConfig:
    """The configuration in a file, by default the one of `DYNAMO_SERVER_CONFIG`.

    Raises ConfigurationError, with the path of the key that is wrong.
    """
    place = Path(path or os.environ.get("DYNAMO_SERVER_CONFIG") or DEFAULT_PATH)
    values = remembered(json.loads(Configuration(place).dump_json()))
    try:
        return ServerConfig.model_validate(values)
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
        )
        raise ConfigurationError(f"Configuration {place} is wrong: {reasons}") from None
