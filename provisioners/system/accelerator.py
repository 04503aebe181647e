"""Find out whether KVM really runs a guest here (`vm-qemu.md` §11).

Opening `/dev/kvm` and creating a machine prove nothing: on some nested hosts all of that passes and a guest hangs
for ever.  So a tiny guest is booted under a deadline.  The verdict holds for one boot of the host, one kernel and one
version of QEMU, and is kept beside the node's caches.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import secrets
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioners.system import command
from provisioners.system.qemu_arguments import PROGRAM, Accelerator, cpu_model

DEADLINE_S = 10.0
VIRTUAL_DEADLINE_S = 30.0
"""Where the host's own processor says that it is virtual, everything is slower (decision 66)."""
_VERSION_LIMIT_S = 20.0
_OUTPUT_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    accelerator: Accelerator
    reason: str
    """Why, for the log and for the node's features."""


async def choose(kernel: Path, initrd: Path, cache: Path, *, device: Path = Path("/dev/kvm")) -> Verdict:
    """KVM if a tiny guest boots under it, else TCG.  `cache` is the file in which the verdict is kept."""
    flags = cpu_flags(Path("/proc/cpuinfo").read_text())
    refusal = quick_refusal(flags, device)
    if refusal:
        return Verdict(Accelerator.TCG, refusal)
    key = await _cache_key(kernel)
    known = read_verdict(cache, key)
    if known is not None:
        return known
    deadline = VIRTUAL_DEADLINE_S if "hypervisor" in flags else DEADLINE_S
    token = f"alive-{secrets.token_hex(8)}"
    booted = await boots(probe_command(kernel, initrd, token), token, deadline)
    verdict = (
        Verdict(Accelerator.KVM, "a test guest booted under KVM")
        if booted
        else Verdict(Accelerator.TCG, f"a test guest did not boot under KVM within {deadline:.0f} s")
    )
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(
        json.dumps({"key": key, "accelerator": verdict.accelerator.value, "reason": verdict.reason})
    )
    return verdict


def cpu_flags(cpuinfo: str) -> set[str]:
    """Flags of the first processor in the text of `/proc/cpuinfo`."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return set(value.split())
    return set()


def quick_refusal(flags: set[str], device: Path) -> str | None:
    """The reason why KVM is out of the question, or None when only a boot can tell."""
    if not flags & {"vmx", "svm"}:
        return "the processor offers no virtualisation (neither vmx nor svm)"
    if not device.exists():
        return f"there is no {device}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"no permission to use {device}"
    return None


def probe_command(kernel: Path, initrd: Path, token: str) -> list[str]:
    """QEMU with a guest that prints the token and switches itself off."""
    return [
        *(PROGRAM, "-nodefaults", "-no-user-config", "-machine", "q35", *cpu_model(Accelerator.KVM)),
        *("-m", "256M", "-display", "none", "-no-reboot"),
        *("-kernel", str(kernel), "-initrd", str(initrd)),
        *("-append", f"console=ttyS0 quiet panic=-1 reboot=t zos.probe={token}"),
        *("-chardev", "stdio,id=con", "-serial", "chardev:con"),
    ]


async def boots(argv: Sequence[str], token: str, deadline: float) -> bool:
    """True when the program prints the token and then ends by itself in time; else it is killed."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(deadline):
            assert process.stdout is not None
            output = await process.stdout.read(_OUTPUT_LIMIT)
            while chunk := await process.stdout.read(_OUTPUT_LIMIT):
                output = (output + chunk)[-_OUTPUT_LIMIT:]
            await process.wait()
            return token.encode() in output
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # with whatever holds its output open
            await process.wait()


def read_verdict(cache: Path, key: str) -> Verdict | None:
    """The verdict that was reached under the same conditions."""
    try:
        kept = json.loads(cache.read_text())
        if kept["key"] != key:
            return None
        return Verdict(Accelerator(kept["accelerator"]), str(kept["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _cache_key(kernel: Path) -> str:
    version = await command.run(PROGRAM, "--version", timeout=_VERSION_LIMIT_S)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "|".join((boot, platform.release(), version.splitlines()[0], str(kernel.stat().st_mtime_ns)))
