"""What can go wrong with the chain: it cannot be asked now (try later), or it said no (definite)."""

from __future__ import annotations


class ChainUnavailable(Exception):
    """No endpoint gave an answer in time.  Nothing is decided: try again later."""


class ConnectionLost(ChainUnavailable):
    """One connection ended or fell silent."""


class OutcomeUnknown(ChainUnavailable):
    """An extrinsic was sent and its fate could not be learnt in time.

    It may still be included, at the latest in block `valid_until`; it can never have effect twice.
    """

    def __init__(self, message: str, extrinsic_hash: bytes, valid_until: int) -> None:
        super().__init__(message)
        self.extrinsic_hash = extrinsic_hash
        self.valid_until = valid_until


class ChainError(Exception):
    """A definite answer that is not what was hoped for; asking again gives the same."""


class NotFound(ChainError):
    """The chain does not have it."""


class WrongChain(ChainError):
    """The endpoints serve another chain than the one that was wanted."""


class ChainClosed(ChainError):
    """The client was closed while, or before, something was asked of it."""


class RpcError(ChainError):
    """An error of the JSON-RPC interface: `code`, `message` and `data` as the endpoint sent them."""

    def __init__(self, code: int, message: str, data: str = "") -> None:
        super().__init__(f"{message} ({code})" + (f": {data}" if data else ""))
        self.code = code
        self.message = message
        self.data = data


class SubmissionRefused(ChainError):
    """An extrinsic that the chain would not take; nothing was charged."""


class DispatchError(ChainError):
    """A call that failed on the chain.  `module` and `name` as the runtime names them, for example
    `("TfgridModule", "TwinNotExists")`; errors of no pallet have an empty module, for example `("", "BadOrigin")`.

    The fee was paid and the call itself left no trace.
    """

    def __init__(self, module: str, name: str, call: str = "") -> None:
        super().__init__((f"{call} failed: " if call else "") + (f"{module}.{name}" if module else name))
        self.module = module
        self.name = name
        self.call = call

    def __reduce__(self) -> tuple[type[DispatchError], tuple[str, str, str]]:
        return DispatchError, (self.module, self.name, self.call)
