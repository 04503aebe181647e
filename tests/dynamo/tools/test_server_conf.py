"""`dynamo-server-conf` makes the recorded configurations, and a server understands them."""

from __future__ import annotations

import configparser
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from dynamo.core.installconfig import server_config
from dynamo.core.serverconfig import ServerConfig
from dynamo.dataformat import ConfigurationError
from dynamo.tools.server_conf import app
from typer.testing import CliRunner

from tests.shared import report_count, vectors

CFG = """
[paths]
dynamo_base = /usr/local/dynamo
config_path = /etc/dynamo
spool_path = /var/spool/dynamo
log_path = /var/log/dynamo
[server]
user = dynamo
store = mysqlstore:MySQLInventoryStore
store_conf = {"host": "localhost", "user": "dynamosrv", "readuser": "dynamoread"}
master = mysqlmaster:MySQLMasterServer
master_conf = {"host": "localhost", "user": "dynamosrv", "readuser": "dynamoread"}
shadow_conf = {"host": "localhost", "user": "dynamosrv"}
local_board = mysqlboard:MySQLUpdateBoard
local_board_conf = {"host": "localhost", "user": "dynamosrv"}
partition_def = /usr/local/dynamo/etc/default_partitions.txt
[applications]
enabled = true
server = socketappserver:SocketAppServer
server_conf = {"workarea_base": "/var/spool/dynamo/work", "scheduler_base": "/var/spool/dynamo/scheduler",
    "scheduler_user": "dynamo", "certfile": "/etc/pki/tls/certs/localhost.crt",
    "keyfile": "/etc/pki/tls/certs/localhost.crt", "capath": "/etc/pki/tls/certs/ca-bundle.crt"}
[web]
enabled = true
modules_config = /etc/dynamo/web_modules_config.json
"""
PASSWORDS = {"dynamosrv": "PW", "dynamoread": "PW"}


def changed(changes: list[Any]) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(CFG)
    for section, key, value in changes:
        parser.set(section, key, value)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def test_configurations_are_the_recorded_ones_and_servers_read_them() -> None:
    recorded = vectors("inventory")["server_conf"]["cases"]
    for case in recorded:
        found = server_config(changed(case["changes"]), PASSWORDS)
        assert found == case["server_config"], case["name"]
        read = ServerConfig.model_validate(found)
        params = read.manager.master.db_params
        assert params is not None
        assert params["db"] == "dynamoserver"
        assert (read.inventory.persistency is None) == (case["name"] == "no-store")
    report_count("server configurations", len(recorded))


def test_the_command_writes_a_file_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / "dynamo.cfg").write_text(CFG)
    (tmp_path / "grants.json").write_text(json.dumps(PASSWORDS))
    output = tmp_path / "server_config.json"
    arguments = [str(tmp_path / "dynamo.cfg"), "-g", str(tmp_path / "grants.json"), "-o", str(output)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert json.loads(output.read_text())["manager"]["master"]["config"]["db_params"]["passwd"] == "PW"


@pytest.mark.parametrize(
    ("section", "key", "value", "reason"),
    [
        ("server", "master_conf", "{", r"master_conf in section \[server\] is no JSON"),
        ("server", "master_conf", '{"host": "h", "usr": "u"}', r"names host, user and perhaps readuser"),
        ("web", "enabled", "perhaps", r"enabled in section \[web\] is neither true nor false"),
    ],
)
def test_a_wrong_value_is_named_with_its_section(section: str, key: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        server_config(changed([[section, key, value]]), PASSWORDS)
    with pytest.raises(ConfigurationError, match=r"lacks spool_path in section \[paths\]"):
        server_config(CFG.replace("spool_path", "spoil_path"), PASSWORDS)
