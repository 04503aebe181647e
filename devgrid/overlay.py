"""Yggdrasil of the client and of the grid itself; a node's own is `zosd`'s business."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from devgrid import layout
from devgrid.configs import overlay_peer
from provisioners.system import yggdrasil
from tfchain import key_file
from tfchain.secret import ed25519_key, parse


def overlay_config(key: Path | None, admin_socket: Path) -> str:
    """Configuration with the address of the twin whose ed25519 key is in the file `key`.

    Without a key: the daemon that all others connect to, under a new identity at every start.  Only that one listens;
    Yggdrasil's usual TLS port is the chain's.
    """
    seed = secrets.token_bytes(32) if key is None else bytes(ed25519_key(parse(key_file.read(key))))
    peers = () if key is None else (overlay_peer(),)
    text = yggdrasil.configuration(seed, peers=peers, multicast_links=(), admin_socket=admin_socket)
    listen = [] if key is not None else [f"tcp://{layout.LAN_GATEWAY.ip}:{layout.YGGDRASIL_PORT}"]
    return json.dumps({**json.loads(text), "Listen": listen}, indent=1)
