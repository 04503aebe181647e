"""The chain: identities, a client, and a development chain that speaks the same JSON-RPC."""

from tfchain.chain import Chain
from tfchain.errors import (
    ChainError,
    ChainUnavailable,
    DispatchError,
    NotFound,
    OutcomeUnknown,
    SubmissionRefused,
    WrongChain,
)
from tfchain.keys import Identity

__all__ = [
    "Chain",
    "ChainError",
    "ChainUnavailable",
    "DispatchError",
    "Identity",
    "NotFound",
    "OutcomeUnknown",
    "SubmissionRefused",
    "WrongChain",
]
