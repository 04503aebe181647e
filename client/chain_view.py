"""How things of the chain look on a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from client import amounts
from client.terminal import print_json
from client.view import out, plain
from tfchain.codec.address import decode_address
from tfchain.models import Bill, ContractLock, FinalisedBlock

HOUSEKEEPING = {"System", "TransactionPayment", "Balances"}
AMOUNTS = {"amount", "amount_billed", "amount_locked", "extra_amount_locked", "partially_billed_amount"}
"""Fields of events that count units of tokens."""
DISCOUNTS = {"Default": (1.5, 20), "Bronze": (3, 30), "Silver": (6, 40), "Gold": (18, 60)}
"""Months that the balance has to last for a level, and the per cent that it takes off."""
PAY_OUT_AFTER = 24
"""Bills after which what is locked is paid out."""


def account(address: str) -> bytes:
    """The public key of an address.  Raises ValueError."""
    return decode_address(address)


def owed(lock: ContractLock) -> dict[str, Any]:
    """What a contract has cost since it was last paid out."""
    return {
        "locked": amounts.show(lock.amount_locked),
        "farmers_extra_fee": amounts.show(lock.extra_amount_locked),
        "bills": lock.cycles,
        "paid_out_after_bills": PAY_OUT_AFTER,
        "last_bill": lock.lock_updated,
    }


def discount(bill: Bill | None) -> dict[str, Any] | None:
    """The last bill, with what its discount means and what ends it."""
    if bill is None:
        return None
    months, percent = DISCOUNTS.get(bill.discount, (0, 0))
    return {
        "block": bill.block,
        "amount": amounts.show(bill.amount),
        "discount": f"{percent} %" if percent else "none",
        "discount_ends": f"when the balance pays for less than {months} months" if percent else None,
    }


def as_plain(value: Any) -> Any:
    """A value of the chain as JSON has it: bytes as text where they are text, else as hexadecimal digits."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, Mapping):
        return {str(key): as_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(each) for each in value]
    return value


def show(value: Any, as_json: bool, **more: Any) -> None:
    """One thing with its fields, a line each."""
    shown = as_plain(value)
    if isinstance(shown, dict):
        shown = {**shown, **as_plain(more)}
    if as_json:
        print_json(shown)
        return
    for name, each in _lines(shown):
        out.print(f"[dim]{plain(name):24}[/] {plain(each)}", soft_wrap=True)


def show_block(block: FinalisedBlock, as_json: bool) -> None:
    """The events of a block, a line each; a block without any shows nothing."""
    for event in block.events:
        if as_json:
            line = {"block": block.number, "pallet": event.pallet, "event": event.name}
            print_json({**line, "attributes": as_plain(event.attributes)})
        elif event.pallet not in HOUSEKEEPING:
            said = "  ".join(
                f"[dim]{plain(name)}[/] {plain(_readable(name, each))}"
                for name, each in as_plain(event.attributes).items()
            )
            out.print(
                f"{block.number:>8}  [bold]{plain(event.pallet)}.{plain(event.name)}[/]  {said}",
                soft_wrap=True,
            )


def _readable(name: str, value: Any) -> str:
    if name in AMOUNTS and isinstance(value, int):
        return amounts.show(value)
    return value if isinstance(value, str) else json.dumps(value)


def _lines(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Names and values; what is inside of something is named `outer.inner`."""
    if isinstance(value, dict):
        return [line for name, each in value.items() for line in _lines(each, f"{prefix}{name}.")]
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return [line for number, each in enumerate(value) for line in _lines(each, f"{prefix}{number}.")]
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "none"
    return [(prefix.rstrip("."), "none" if value is None else str(value))]


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()
    return text if text.isprintable() else "0x" + value.hex()
