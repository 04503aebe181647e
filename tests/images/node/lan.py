"""A farm's LAN in a network namespace: a switch port for one machine, a DHCP server, and the loader service."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

START_S = 60.0
PORT = 8090
IPXE = "snponly.efi"
TAP = "tap0"
ADDRESS, FIRST, LAST = "10.77.0.1", "10.77.0.10", "10.77.0.99"


class Lan:
    """Use `close`.  `option` is what DHCP option 224 says, `tftp` a folder with an iPXE for UEFI firmware."""

    def __init__(self, folder: Path, option: str, tftp: Path | None = None) -> None:
        self.folder = folder
        self.name = f"lan-{secrets.token_hex(3)}"
        self._processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir()
        _ip("netns", "add", self.name)
        try:
            _ip("-n", self.name, "link", "set", "lo", "up")
            _ip("-n", self.name, "tuntap", "add", "dev", TAP, "mode", "tap")
            _ip("-n", self.name, "address", "add", f"{ADDRESS}/24", "dev", TAP)
            _ip("-n", self.name, "link", "set", TAP, "up")
            self._dnsmasq(option, tftp)
        except BaseException:
            self.close()
            raise

    def _dnsmasq(self, option: str, tftp: Path | None) -> None:
        by_pxe: list[str] = []
        if tftp:
            by_pxe = ["--user=root", "--enable-tftp", f"--tftp-root={tftp}"]
            by_pxe += [f"--dhcp-boot=tag:pxe,tag:!ipxe,{IPXE}"]
        self._start(
            "dnsmasq",
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
             "--bind-dynamic", f"--interface={TAP}", f"--dhcp-range={FIRST},{LAST},1h", "--log-dhcp",
             f"--dhcp-leasefile={self.folder / 'leases'}", "--pid-file=", "--log-facility=-",
             "--dhcp-match=set:ipxe,175", f"--dhcp-boot=tag:ipxe,http://{ADDRESS}:{PORT}/ipxe/dev",
             "--dhcp-match=set:http,option:client-arch,16", "--dhcp-option-force=tag:http,60,HTTPClient",
             f"--dhcp-boot=tag:http,http://{ADDRESS}:{PORT}/uefi/dev",
             "--dhcp-match=set:pxe,option:client-arch,7", *by_pxe,
             f"--dhcp-option-force=224,{option}"],
        )  # fmt: skip

    def serve(self, image: Path) -> None:
        """Start the loader service on the LAN's untagged address, and wait until it answers."""
        modes = self.folder / "modes.json"
        lists: dict[str, list[str]] = {"substrate": ["ws://127.0.0.1:1"], "relay": [], "activation": []}
        modes.write_text(json.dumps({"dev": lists, "test": lists}))
        self._start(
            "bootstrap",
            [sys.executable, "-m", "images.bootstrap.cli", "--image", str(image), "--modes", str(modes),
             "--listen", f"{ADDRESS}:{PORT}", "--key", str(self.folder / "service.key")],
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        log = self.folder / "bootstrap.log"
        while "serving" not in log.read_text():
            if self._processes[-1].poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the loader service did not start: {log.read_text()[-1000:]}")
            time.sleep(0.1)
        if any(process.poll() is not None for process in self._processes):
            raise AssertionError(
                f"the DHCP server ended: {(self.folder / 'dnsmasq.log').read_text()[-1000:]}"
            )

    def _start(self, name: str, words: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", self.name, *words],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
            )  # fmt: skip

    def close(self) -> None:
        """Everything ends; safe to repeat."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)
        self._processes.clear()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, timeout=60, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)
