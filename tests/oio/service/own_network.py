"""A network namespace for this very process: what it starts meanwhile lives in there, and nothing of it is left."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

CLONE_NEWNET: Final = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def own_network(*addresses: str) -> Iterator[None]:
    """Move this thread into a new network namespace with nothing but loopback and these addresses, and back.

    Needs root.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            for address in addresses:
                subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
            yield
        finally:
            if _libc.setns(home, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(home)


@contextmanager
def rules(*wanted: str) -> Iterator[None]:
    """Packet filter rules on what arrives, as long as this lasts; for example `ip saddr 127.0.1.2 drop`."""
    chain = ["type filter hook input priority 0;", *wanted]
    text = "\n".join(["table inet faults {", "chain arriving {", *chain, "}", "}", ""])
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "faults"], check=True)


def cut(one: str, other: str) -> tuple[str, str]:
    """Rules that let nothing through between two addresses."""
    return f"ip saddr {one} ip daddr {other} drop", f"ip saddr {other} ip daddr {one} drop"
