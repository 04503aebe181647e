"""Stage `modules`: drivers of the devices that are there, file systems that everything expects, kernel settings."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

ALWAYS = (
    "btrfs", "vfat", "nls_cp437", "nls_ascii", "fuse", "tun", "bridge", "8021q", "veth",
    "kvm_amd", "kvm_intel", "virtio_rng", "button", "evdev",
)  # fmt: skip
"""Nothing asks for these by device."""
SYSCTLS = {
    "kernel/sysrq": "0",
    "kernel/ctrl-alt-del": "0",
    "kernel/printk": "3 4 1 3",
    "fs/inotify/max_user_instances": "8192",
    "fs/inotify/max_user_watches": "524288",
}
FOLDERS = ("/dev/pts", "/dev/shm", "/run/zos", "/run/netns", "/run/lock", "/root")
MOUNTS = (
    ("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", "nosuid,nodev"),
    ("tmpfs", "/tmp", "nosuid,nodev,size=256m"),
    ("cgroup2", "/sys/fs/cgroup", "nosuid,nodev,noexec"),
)
EFI_VARIABLES = "/sys/firmware/efi/efivars"
"""They tell whether Secure Boot is on."""
KVM = Path("/dev/kvm")
"""Every user's machine runs under a number of its own, and opening this device gives no right but to run one."""
MODPROBE_LIMIT_S = 120


def main() -> None:
    """Look at every device once; a driver that fails is a line in the log and no more."""
    for folder in FOLDERS:
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path("/run/zos").chmod(0o711)
    for kind, point, options in MOUNTS:
        if not Path(point).is_mount():
            _run("mount", "-t", kind, "-o", options, kind, point)
    if Path(EFI_VARIABLES).is_dir() and not Path(EFI_VARIABLES).is_mount():
        _run("modprobe", "-q", "efivarfs")
        _run("mount", "-t", "efivarfs", "-o", "ro,nosuid,nodev,noexec", "efivarfs", EFI_VARIABLES)
    for link, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        path = Path("/dev") / link
        if not path.is_symlink():
            path.symlink_to(f"/proc/self/{target}")
    _run("modprobe", "-abq", *aliases(Path("/sys/bus").glob("*/devices/*/modalias")))
    for name in ALWAYS:
        _run("modprobe", "-q", name)
    if KVM.exists():
        KVM.chmod(0o666)
    for key, value in SYSCTLS.items():
        path = Path("/proc/sys") / key
        if path.exists():
            path.write_text(value)
    _run("ip", "link", "set", "lo", "up")
    print("drivers loaded", flush=True)


def aliases(files: Iterable[Path]) -> list[str]:
    """What the machine's devices call their drivers by, each once."""
    found = set()
    for file in files:
        try:
            found.add(file.read_text().strip())
        except OSError:
            continue
    return sorted(found - {""})


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=MODPROBE_LIMIT_S, check=False)
    if done.returncode != 0 and done.stderr.strip():
        print(f"{' '.join(command[:3])}: {done.stderr.strip()[:300]}", flush=True)


if __name__ == "__main__":
    main()
