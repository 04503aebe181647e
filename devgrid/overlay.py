"""Yggdrasil of the client and of the grid itself; a node's own is `zosd`'s business."""

from __future__ import annotations

import secrets
from pathlib import Path

from devgrid.configs import overlay_peer
from provisioners.system import yggdrasil
from tfchain import key_file
from tfchain.secret import ed25519_key, parse


def overlay_config(key: Path | None, admin_socket: Path) -> str:
    """Configuration with the address of the twin whose ed25519 key is in the file `key`.

    Without a key: the daemon that all others connect to, under a new identity at every start.
    """
    if key is None:
        return yggdrasil.configuration(
            secrets.token_bytes(32), peers=(), multicast_links=(), admin_socket=admin_socket
        )
    seed = bytes(ed25519_key(parse(key_file.read(key))))
    return yggdrasil.configuration(
        seed, peers=(overlay_peer(),), multicast_links=(), admin_socket=admin_socket
    )
