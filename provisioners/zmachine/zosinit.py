"""The shell text that configures a guest in container mode.

`zosinit` calls the functions of the initrd's `setup.sh`; `zosrc` gives the first process its environment and
arguments.  Every value comes from a tenant, so each is one quoted word, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from provisioners.zmachine.guest_config import GuestConfig, is_on_link

PROTOCOL = 1
"""Version of the functions that the initrd offers."""


def quoted(value: str) -> str:
    """One shell word that stands for exactly `value`, newlines and quotes included.

    Raises ValueError for a NUL, which no word can hold.
    """
    if "\0" in value:
        raise ValueError(f"a NUL character cannot be passed to a machine: {value!r}")
    return "'" + value.replace("'", "'\"'\"'") + "'"


def zosinit(config: GuestConfig) -> str:
    """Text of the file `zosinit`: hostname, interfaces, resolver, keys, mounts, in this order."""
    return "".join(f"{line}\n" for line in _lines(config))


def zosrc(config: GuestConfig) -> str:
    """Text of the file `zosrc`: the environment, then the command as positional parameters."""
    exports = [f"export {name}={quoted(value)}" for name, value in sorted(config.environment.items())]
    command = " ".join(quoted(word) for word in config.command)
    return "".join(f"{line}\n" for line in (*exports, f"set -- {command}"))


def _lines(config: GuestConfig) -> Iterator[str]:
    yield f"zos_config {PROTOCOL}"
    yield f"zos_hostname {quoted(config.hostname)} {quoted(config.address or '')}"
    gateways = config.default_gateways()
    for nic in config.nics:
        yield f"zos_nic {quoted(nic.mac.lower())} {nic.mtu}"
        for address in nic.addresses:
            yield f"zos_address {quoted(address)}"
        for destination, via in nic.routes:
            yield f"zos_route {quoted(destination)} {quoted(via)}"
        for gateway in gateways.get(nic, ()):
            if not is_on_link(gateway, nic):
                yield f"zos_route {quoted(gateway)}"
            everywhere = "::/0" if ":" in gateway else "0.0.0.0/0"
            yield f"zos_route {quoted(everywhere)} {quoted(gateway)}"
    yield f"zos_resolver {' '.join(quoted(server) for server in config.dns)}"
    for key in config.ssh_keys:
        yield f"zos_ssh_key {quoted(key)}"
    for mount in config.mounts:
        verb = "zos_share" if mount.share else "zos_disk"
        yield f"{verb} {quoted(mount.source)} {quoted(mount.target)}"
