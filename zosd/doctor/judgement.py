"""Findings from facts.  Pure.

Each function takes what was seen of one thing and says whether that is well, in words for the farmer, with the remedy.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from zosd.capacity import DiskLeftAlone, Media, PoolSpace
from zosd.doctor.disk_probe import DiskLook

MOST_CLOCK_S = 30.0
"""The chain accepts reports, and the bus messages, up to a minute off; half of that is a warning."""
MOST_BLOCK_AGE_S = 60.0
SLOW_SYNC_S = 1.0
"""A healthy disk makes a small file durable in milliseconds."""
LEAST_FREE = 64 << 20
"""Bytes that the journal's file system should have left."""
SOON_S = 14 * 86400.0


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    """Stable name, for programs."""
    ok: bool
    text: str
    remedy: str = ""
    since: float = 0.0
    """Unix time since when it is not well; 0 while it is."""

    def shown(self) -> dict[str, object]:
        return asdict(self)


def clock(offset: float | None) -> Finding:
    """`offset`: our time minus the chain's, seconds; None when the chain does not tell."""
    if offset is None:
        return Finding("clock", True, "not compared: the chain cannot be asked")
    text = f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} the chain"
    if abs(offset) <= MOST_CLOCK_S:
        return Finding("clock", True, text)
    return Finding(
        "clock", False, text, "set the clock (chronyd, or the firmware's); reports and messages fail"
    )


def chain(
    configured: bool, height: int | None, age: float | None, behind: int | None, problem: str
) -> Finding:
    """`age`: seconds since the newest block; `behind`: finalised blocks that are not dealt with yet."""
    if not configured:
        return Finding("chain", False, "no chain is configured", "set urls in [chain]")
    if height is None:
        return Finding(
            "chain",
            False,
            f"cannot be reached: {problem}",
            "check the node's way to the internet and urls in [chain]; what runs goes on",
        )
    text = f"block {height}" + (f", {behind} blocks to catch up" if behind else "")
    if age is not None and age > MOST_BLOCK_AGE_S:
        return Finding(
            "chain",
            False,
            f"{text}, the newest block is {age:.0f} s old",
            "the endpoint lags: name another one in [chain] urls, or wait",
        )
    return Finding("chain", True, text)


def registration(node: int, trouble: str) -> Finding:
    if node:
        return Finding("registration", True, f"node {node}")
    return Finding(
        "registration",
        False,
        f"not registered: {trouble}",
        "check farm in [node], the chain, and the funds of the node's account",
    )


def relay(host: str, problem: str) -> Finding:
    """`problem`: why the name cannot be resolved or reached; "" when it can."""
    subject = f"relay {host}"
    if not problem:
        return Finding(subject, True, "can be reached")
    return Finding(
        subject, False, f"relay not reachable: {problem}", "check the node's DNS servers and relays in [node]"
    )


def certificate(host: str, expires: float | None, problem: str, now: float) -> Finding:
    """`expires`: Unix time; `problem`: why the certificate is not accepted."""
    subject = f"certificate of {host}"
    if problem:
        remedy = "if every certificate fails, the node's clock or its list of authorities is wrong"
        return Finding(subject, False, f"not accepted: {problem}", remedy)
    if expires is not None and expires - now < SOON_S:
        day = datetime.datetime.fromtimestamp(expires, datetime.UTC).strftime("%Y-%m-%d")
        return Finding(
            subject, False, f"ends on {day}", "its operator has to renew it; name another one as well"
        )
    return Finding(subject, True, "good")


def bus(problem: str) -> Finding:
    if not problem:
        return Finding("bus", True, "the local Redis answers")
    return Finding(
        "bus", False, f"the local Redis does not answer: {problem}", "start redis-server and rmb-peer"
    )


def journal(look: DiskLook) -> Finding:
    """`look`: at the disk that the journal lies on."""
    free, sync_s = look.free, look.sync_s
    if look.problem:
        return Finding(
            "journal",
            False,
            f"cannot be written: {look.problem}",
            "make room, or mount the disk writable again; until then nothing new is accepted, what runs goes on",
        )
    if free < LEAST_FREE:
        return Finding("journal", False, f"{free >> 20} MiB left on its disk", "make room on the state disk")
    if sync_s is not None and sync_s > SLOW_SYNC_S:
        return Finding(
            "journal",
            False,
            f"a write takes {sync_s:.1f} s",
            "the state disk is slow or failing: look at its health",
        )
    return Finding("journal", True, f"writable, {free >> 20} MiB left")


def disk(device: str, errors: Mapping[str, int], look: DiskLook) -> Finding:
    """`errors`: what its file system has counted going wrong since it was made."""
    subject = f"disk {device}"
    if look.problem:
        return Finding(
            subject,
            False,
            f"cannot be written: {look.problem}",
            "make room when it is full; else look at the kernel's log and the cables",
        )
    if errors:
        counted = ", ".join(f"{count} {kind.removesuffix('_errs')}" for kind, count in sorted(errors.items()))
        return Finding(
            subject,
            False,
            f"damaged: errors of {counted}",
            "replace it; once it is mended, `btrfs device stats -z` begins to count anew",
        )
    if look.sync_s is not None and look.sync_s > SLOW_SYNC_S:
        return Finding(
            subject,
            False,
            f"slow: a write takes {look.sync_s:.1f} s",
            "look at its health; it may be failing",
        )
    return Finding(subject, True, "written without trouble")


def disks(pools: Sequence[PoolSpace], left_alone: Sequence[DiskLeftAlone], expected: int) -> list[Finding]:
    """`expected`: how many pools the configuration names."""
    found = [
        Finding(
            f"disk {disk.path}",
            False,
            f"not used: {disk.reason}",
            "see `zos node show`; nothing is ever wiped unasked",
        )
        for disk in left_alone
    ]
    missing = expected - len(pools) - len(left_alone)
    if missing > 0:
        found.append(
            Finding(
                "disks",
                False,
                f"{missing} of {expected} disks cannot be read",
                "look at the kernel's log and the cables",
            )
        )
    for pool in pools:
        if pool.media is Media.SSD and pool.size and pool.free < pool.size // 50:
            found.append(
                Finding(f"pool {pool.name}", False, "full", "tenants have to be moved, or a disk added")
            )
    if not found:
        found.append(Finding("disks", True, f"{len(pools)} pools, all read"))
    return found


def jobs(oldest: float, count: int, limit: float) -> Finding:
    """`oldest`: seconds."""
    if not count:
        return Finding("jobs", True, "nothing to do")
    text = f"{count} to do, the oldest since {oldest:.0f} s"
    if oldest <= limit:
        return Finding("jobs", True, text)
    return Finding(
        "jobs", False, text, "see the log for the deployment it belongs to; it is tried again by itself"
    )


def accelerator(features: Sequence[str]) -> Finding:
    if "tcg" not in features:
        return Finding("accelerator", True, "kvm" if "kvm" in features else "none is needed")
    return Finding(
        "accelerator",
        False,
        "machines are emulated (TCG) and slow: KVM cannot be used here",
        "enable virtualisation in the firmware, or nested virtualisation on the host",
    )
