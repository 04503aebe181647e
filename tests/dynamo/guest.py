"""A machine of its own for tests that need another kernel set-up than the one they run on.

QEMU emulates it (no KVM is needed).  It boots a Debian kernel with control groups of version 2 only; its programs are
those of this machine, given read-only: `/usr`, the source tree, the virtual environment.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from devgrid.bootstrap import cache_folder
from images import cpio
from images.debian import PackageCache
from images.guest.build import BUSYBOX, dependency_paths, kernel_release

PROJECT = Path(__file__).resolve().parents[2]
KERNEL = "linux-image-amd64"
"""The kernel for clouds lacks 9p."""
MODULES = ("virtio_pci", "9pnet_virtio", "9p")
APPLETS = ("chroot", "cp", "echo", "insmod", "ln", "mkdir", "mount", "sh", "switch_root")
MEMORY_MIB = 2048
TOOL_LIMIT_S = 120

INIT = """#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev && mount -t proc proc /proc && mount -t sysfs sys /sys
for module in {modules}; do insmod /mods/$module; done
mount -t tmpfs -o mode=755 root /newroot
cd /newroot
mkdir -p dev proc sys tmp run etc root var/tmp
mount -t tmpfs -o mode=1777 tmp tmp
mkdir -p{folders}
for name in bin sbin lib lib64; do ln -s usr/$name $name; done
{mounts}
cp /etc/* etc
mount --move /dev dev && mount --move /proc proc && mount --move /sys sys
mkdir dev/shm dev/pts
mount -t devpts pts dev/pts
mount -t tmpfs shm dev/shm
mount -t cgroup2 cgroup2 sys/fs/cgroup
exec switch_root /newroot /bin/sh /etc/run.sh
"""
RUN = """export PATH=/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
ip link set lo up
cd {project}
{script}
echo "guest: ended with $?"
echo o >/proc/sysrq-trigger
sleep 60
"""
PASSWD = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"
HOSTS = "127.0.0.1 localhost guest\n"


def run_in_guest(folder: Path, script: str, limit: float) -> tuple[int, str]:
    """Exit code of a shell script that runs as root in a guest, and all that the guest said.

    The script begins in the source tree; what it writes is lost.  Raises TimeoutExpired, and AssertionError when the
    guest ends before the script.
    """
    shares = list(dict.fromkeys([Path("/usr"), PROJECT, Path(sys.prefix)]))
    shares = [path for path in shares if not any(other in path.parents for other in shares)]
    kernel, initrd = _boot_files(folder, shares, script)
    console = folder / "console"
    command = [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
        "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-serial", f"file:{console}", "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all",
    ]  # fmt: skip
    for number, share in enumerate(shares):
        command += ["-virtfs",
                    f"local,path={share},mount_tag=share{number},security_model=none,readonly=on,multidevs=remap",
        ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    said = console.read_text(errors="replace") if console.exists() else ""
    ended = re.search(r"guest: ended with (\d+)", said)
    assert ended, f"{done.stderr}\n{said[-4000:]}"
    return int(ended.group(1)), said


def is_possible() -> bool:
    """Has this machine what a guest needs?"""
    return all(shutil.which(tool) for tool in ("qemu-system-x86_64", "modprobe", "depmod", "dpkg-deb"))


def _boot_files(folder: Path, shares: Sequence[Path], script: str) -> tuple[Path, Path]:
    cache = PackageCache(cache_folder() / "debs")
    tree = folder / "kernel"
    tree.mkdir()
    cache.unpack(cache.kernel(KERNEL), tree)
    cache.unpack(cache.fetch([BUSYBOX])[BUSYBOX], tree)
    release = kernel_release(tree)
    modules = _modules(tree, release)
    mounts = [
        f"mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 share{number} .{share}"
        for number, share in enumerate(shares)
    ]
    init = INIT.format(
        modules=" ".join(module.name for module in modules),
        folders="".join(f" .{shlex.quote(str(share))}" for share in shares),
        mounts="\n".join(mounts),
    )
    etc = {
        "passwd": PASSWD,
        "group": GROUP,
        "hosts": HOSTS,
        "run.sh": RUN.format(project=shlex.quote(str(PROJECT)), script=script),
    }
    entries = [
        *(cpio.folder(name) for name in ("bin", "dev", "etc", "mods", "newroot", "proc", "sys")),
        cpio.file("bin/busybox", (tree / "bin/busybox").read_bytes(), 0o755),
        *(cpio.link(f"bin/{applet}", "busybox") for applet in APPLETS),
        *(cpio.file(f"mods/{module.name}", module.read_bytes()) for module in modules),
        *(cpio.file(f"etc/{name}", text.encode()) for name, text in etc.items()),
        cpio.file("init", init.encode(), 0o755),
    ]
    initrd = folder / "initrd"
    initrd.write_bytes(cpio.archive(entries))
    return tree / f"boot/vmlinuz-{release}", initrd


def _modules(tree: Path, release: str) -> list[Path]:
    """Files of the modules, each behind those that it needs."""
    subprocess.run(["depmod", "--basedir", str(tree), release], check=True, timeout=TOOL_LIMIT_S)
    found: dict[Path, None] = {}
    for module in MODULES:
        shown = subprocess.run(
            ["modprobe", "--dirname", str(tree), "--set-version", release, "--show-depends", module],
            capture_output=True, text=True, check=True, timeout=TOOL_LIMIT_S,
        ).stdout  # fmt: skip
        found |= dict.fromkeys(dependency_paths(shown))
    return list(found)
