"""From a decoded call to the function that carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tfchain.devchain.context import MOST_NESTED_CALLS, Context
from tfchain.devchain.dispatch import CALL_FILTERED, ModuleFailure, Pays
from tfchain.devchain.interface import Call

Handler: TypeAlias = Callable[..., Pays | None]
"""`handler(context, **arguments)`; None means that the fee is kept."""

Table: TypeAlias = Mapping[str, Mapping[str, Handler]]
"""Handlers by pallet and call."""


def dispatch(ctx: Context, call: Call) -> Pays:
    """Carry out a call in the current layer.

    Raises `DispatchFailure`; the caller undoes the layer.  A call that is declared but not implemented fails with
    System.CallFiltered, as does one nested too deeply.
    """
    handler = ctx.table.get(call.pallet, {}).get(call.name)
    if handler is None or ctx.depth >= MOST_NESTED_CALLS:
        raise ModuleFailure(*CALL_FILTERED)
    ctx.depth += 1
    try:
        return handler(ctx, **call.arguments) or Pays.YES
    finally:
        ctx.depth -= 1
