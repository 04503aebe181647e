"""The chain: identities, a client, and a development chain that speaks the same JSON-RPC.

`Chain` is loaded when it is first used: who only signs needs no network library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfchain.errors import (
    ChainClosed,
    ChainError,
    ChainUnavailable,
    DispatchError,
    NotFound,
    OutcomeUnknown,
    RpcError,
    SubmissionRefused,
    WrongChain,
)
from tfchain.keys import Identity

if TYPE_CHECKING:
    from tfchain.chain import Chain

__all__ = [
    "Chain",
    "ChainClosed",
    "ChainError",
    "ChainUnavailable",
    "DispatchError",
    "Identity",
    "NotFound",
    "OutcomeUnknown",
    "RpcError",
    "SubmissionRefused",
    "WrongChain",
]


def __getattr__(name: str) -> Any:
    if name == "Chain":
        from tfchain.chain import Chain

        return Chain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
