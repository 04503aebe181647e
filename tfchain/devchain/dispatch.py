"""Who calls, and how a call fails.

A failing call raises; the executor undoes what it did and puts the failure into the event `ExtrinsicFailed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from tfchain.devchain.interface import Interface


@dataclass(frozen=True, slots=True)
class Signed:
    """A call signed by an account."""

    account: bytes


@dataclass(frozen=True, slots=True)
class Root:
    """A call with all rights: genesis and the control methods make them."""


@dataclass(frozen=True, slots=True)
class Members:
    """A call on which `yes` of `total` council members agreed."""

    yes: int
    total: int


Origin: TypeAlias = Signed | Root | Members


class Pays(Enum):
    """Whether a successful call keeps its fee."""

    YES = "Yes"
    NO = "No"


class DispatchFailure(Exception):
    """A call that fails; `value` is its `DispatchError` on the wire."""

    def value(self, interface: Interface) -> Any:
        raise NotImplementedError


class ModuleFailure(DispatchFailure):
    """An error that a pallet declares, such as TfgridModule.TwinNotExists."""

    def __init__(self, pallet: str, error: str) -> None:
        super().__init__(f"{pallet}.{error}")
        self.pallet = pallet
        self.error = error

    def value(self, interface: Interface) -> Any:
        index = interface.metadata.pallet(self.pallet).index
        code = interface.error_index(self.pallet, self.error)
        return {"Module": {"index": index, "error": bytes((code, 0, 0, 0))}}


class BadOrigin(DispatchFailure):
    """The caller may not do this."""

    def value(self, interface: Interface) -> Any:
        return "BadOrigin"


class TokenFailure(DispatchFailure):
    """A transfer that the balances do not allow; one of the cases of `TokenError`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    def value(self, interface: Interface) -> Any:
        return {"Token": self.kind}


class CannotLookup(DispatchFailure):
    """An address that names no account."""

    def value(self, interface: Interface) -> Any:
        return "CannotLookup"


class ArithmeticFailure(DispatchFailure):
    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    def value(self, interface: Interface) -> Any:
        return {"Arithmetic": self.kind}


CALL_FILTERED = ("System", "CallFiltered")
"""The error of a call that is declared but not implemented."""
