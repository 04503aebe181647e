"""Set up everything that the project needs on a Debian machine: packages, virtual environment, guest image.

Runs under the system's own Python before any dependency is there, so it uses the standard library alone.
Every step looks first and does nothing when its work is done: a second run is fast and needs no network.

Debian's maintainer scripts like to enable and start the services they bring.  A grid node starts its own
servers, and nobody's machine should run a Redis because he tried a demo; so `apt-get` runs in a private mount
namespace in which the tools that enable or start services are replaced by `true`.  Nothing outside that
namespace changes, an existing `policy-rc.d` included.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOCK = PROJECT / "requirements.lock"
VENV = Path(os.environ.get("ZOS_VENV", PROJECT / ".venv"))

DEBIAN_PACKAGES = (
    "beanstalkd",
    "binutils",
    "btrfs-progs",
    "busybox-static",
    "bzip2",
    "ca-certificates",
    "chromium",
    "chromium-driver",
    "cpio",
    "dmidecode",
    "dnsmasq-base",
    "dosfstools",
    "e2fsprogs",
    "gdisk",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "iproute2",
    "iputils-arping",
    "iputils-ping",
    "kmod",
    "libfaketime",
    "mariadb-server",
    "mmdebstrap",
    "mtools",
    "nftables",
    "ovmf",
    "procps",
    "python3-venv",
    "qemu-system-common",
    "qemu-system-x86",
    "qemu-utils",
    "redis-server",
    "sbsigntool",
    "squashfs-tools",
    "util-linux",
    "wireguard-go",
    "wireguard-tools",
    "xorriso",
    "xz-utils",
    "yggdrasil",
    "zookeeper",
    "zstd",
)
"""What the node, the development grid and the tests run.  Installed without recommendations."""

SERVICE_TOOLS = (
    "/usr/bin/deb-systemd-helper",
    "/usr/bin/deb-systemd-invoke",
    "/usr/bin/systemctl",
    "/usr/sbin/invoke-rc.d",
    "/usr/sbin/service",
    "/usr/sbin/update-rc.d",
)
"""What maintainer scripts call to enable or start a service."""

APT_TIMEOUT_S = 1200
PIP_TIMEOUT_S = 1200
IMAGE_TIMEOUT_S = 900


class SetupError(Exception):
    """The set-up cannot go on; the message says what is missing and how to get it."""


def cache_folder() -> Path:
    """Where downloaded kernels and built guest images are kept between runs and checkouts."""
    if folder := os.environ.get("ZOS_CACHE"):
        return Path(folder)
    return Path("/var/cache/zos") if os.geteuid() == 0 else Path.home() / ".cache" / "zos"


def missing_packages(packages: Sequence[str] = DEBIAN_PACKAGES) -> list[str]:
    """The packages that are not installed, asked of dpkg's database."""
    if not shutil.which("dpkg-query"):
        raise SetupError("this is not a Debian machine (no dpkg-query); the set-up knows Debian 12")
    shown = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\\n", *packages],
        capture_output=True,
        text=True,
        check=False,  # it fails when one is unknown, and still prints the others
        timeout=60,
    ).stdout
    installed = {line.split()[0] for line in shown.splitlines() if line.endswith(" installed")}
    return [name for name in packages if name not in installed]


def apt_script(packages: Sequence[str], tools: Sequence[str] = SERVICE_TOOLS) -> str:
    """The shell script that installs `packages`, to be run in a private mount namespace."""
    silenced = "\n".join(f"[ ! -e {tool} ] || mount --bind /bin/true {tool}" for tool in tools)
    return (
        f"set -e\n{silenced}\n"
        "export DEBIAN_FRONTEND=noninteractive\n"
        "apt-get update -qq\n"
        f"apt-get install -y -qq --no-install-recommends --no-upgrade {' '.join(packages)}\n"
    )


def install_packages(packages: Sequence[str]) -> None:
    if os.geteuid() != 0:
        raise SetupError(f"Debian packages are missing: run as root, or install {' '.join(packages)}")
    run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", apt_script(packages)],
        timeout=APT_TIMEOUT_S,
        remedy="check the machine's Debian mirror (apt-get update)",
    )


def lock_stamp(python: Path) -> str:
    """What a virtual environment was made from: lock, project file and interpreter."""
    version = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True, timeout=30).stdout
    digest = hashlib.sha256(version.encode())
    for file in (LOCK, PROJECT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def venv_is_current(python: Path) -> bool:
    stamp = VENV / "made-from"
    return stamp.exists() and stamp.read_text() == lock_stamp(python)


def make_venv(python: Path) -> None:
    """Make the virtual environment from the hash-locked list and install the project into it, editable."""
    run([str(python), "-m", "venv", str(VENV)], timeout=120, remedy="install python3-venv")
    pip = [str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run(
        [*pip, "--require-hashes", "--requirement", str(LOCK)],
        timeout=PIP_TIMEOUT_S,
        remedy="check the machine's Python package index",
    )
    run(
        [*pip, "--no-deps", "--no-build-isolation", "--editable", str(PROJECT)],
        timeout=300,
        remedy="see the output above",
    )
    (VENV / "made-from").write_text(lock_stamp(python))


def make_guest_image(cache: Path) -> None:
    """Build guest kernel, initrd and the demo's root file system, where the cache lacks them."""
    for module in ("images.guest", "images.rootfs"):
        run(
            [str(VENV / "bin/python"), "-m", module, "--out", str(cache)],
            timeout=IMAGE_TIMEOUT_S,
            remedy="check the machine's Debian mirror, or remove the cache folder " + str(cache),
        )


def run(command: Sequence[str], *, timeout: float, remedy: str) -> None:
    """Run a command quietly; on failure raise SetupError with the end of what it printed."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise SetupError(f"{command[0]} took more than {timeout:.0f} s; {remedy}") from None
    if done.returncode != 0:
        tail = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-12:])
        raise SetupError(
            f"{' '.join(command[:4])} … ended with status {done.returncode}:\n{tail}\n  {remedy}"
        )


def step(title: str, needed: bool, act: Callable[[], None]) -> None:
    """One line on the terminal for each step, with the time it took."""
    if not needed:
        print(f"  ✓ {title}", file=sys.stderr)
        return
    print(f"  … {title}", end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
    started = time.monotonic()
    act()
    print(f"  ✓ {title} ({time.monotonic() - started:.0f} s)", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Set up Debian packages, virtual environment and guest image."
    )
    parser.add_argument("--without-image", action="store_true", help="leave out the guest image")
    parser.add_argument(
        "--lenient", action="store_true", help="go on without packages that only root can install"
    )
    options = parser.parse_args(arguments)
    python = Path(os.environ.get("PYTHON") or "/usr/bin/python3")
    cache = cache_folder()
    try:
        if sys.version_info < (3, 11):
            raise SetupError(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
        missing = missing_packages()
        if missing and options.lenient and os.geteuid() != 0:
            print(f"  - without root, left out: Debian packages {' '.join(missing)}", file=sys.stderr)
        else:
            step(f"{len(DEBIAN_PACKAGES)} Debian packages", bool(missing), lambda: install_packages(missing))
        step("virtual environment", not venv_is_current(python), lambda: make_venv(python))
        if not options.without_image and not (options.lenient and missing):
            step("guest image", True, lambda: make_guest_image(cache))
    except SetupError as problem:
        print(f"setup: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
