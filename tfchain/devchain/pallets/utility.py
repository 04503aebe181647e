"""Utility (3): several calls in one extrinsic."""

from __future__ import annotations

from typing import Any

from tfchain.devchain.calls import Handler, dispatch
from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import DispatchFailure, ModuleFailure
from tfchain.devchain.interface import as_call

MOST_CALLS = 10922
"""The constant `batched_calls_limit`."""


def batch(ctx: Context, calls: list[Any]) -> None:
    """Stop at the first failure, keep what was done, and succeed."""
    _check_count(calls)
    for index, inner in enumerate(calls):
        try:
            with ctx.transaction():
                dispatch(ctx, as_call(inner))
        except DispatchFailure as failure:
            error = failure.value(ctx.interface)
            ctx.deposit("Utility", "BatchInterrupted", {"index": index, "error": error})
            return
        ctx.deposit("Utility", "ItemCompleted")
    ctx.deposit("Utility", "BatchCompleted")


def batch_all(ctx: Context, calls: list[Any]) -> None:
    """All or nothing: the first failure is the failure of the whole."""
    _check_count(calls)
    for inner in calls:
        dispatch(ctx, as_call(inner))
        ctx.deposit("Utility", "ItemCompleted")
    ctx.deposit("Utility", "BatchCompleted")


def force_batch(ctx: Context, calls: list[Any]) -> None:
    """Go on after failures, and say at the end whether there was one."""
    _check_count(calls)
    failed = False
    for inner in calls:
        try:
            with ctx.transaction():
                dispatch(ctx, as_call(inner))
        except DispatchFailure as failure:
            failed = True
            ctx.deposit("Utility", "ItemFailed", {"error": failure.value(ctx.interface)})
        else:
            ctx.deposit("Utility", "ItemCompleted")
    ctx.deposit("Utility", "BatchCompletedWithErrors" if failed else "BatchCompleted")


def _check_count(calls: list[Any]) -> None:
    if len(calls) > MOST_CALLS:
        raise ModuleFailure("Utility", "TooManyCalls")


CALLS: dict[str, Handler] = {"batch": batch, "batch_all": batch_all, "force_batch": force_batch}
