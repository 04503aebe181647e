"""System (0): remarks, for programs that measure or mark."""

from __future__ import annotations

from tfchain.codec.hashing import blake2_256
from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context


def remark(ctx: Context, remark: bytes) -> None:
    ctx.signer()


def remark_with_event(ctx: Context, remark: bytes) -> None:
    ctx.deposit("System", "Remarked", {"sender": ctx.signer(), "hash": blake2_256(remark)})


CALLS: dict[str, Handler] = {"remark": remark, "remark_with_event": remark_with_event}
