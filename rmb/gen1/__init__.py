"""Wire format of generation 1 of the bus: pure functions over plain values, no I/O.

Source of every format: the signed Go daemon of 2022 (`threefoldtech/go-rmb`) and its Rust sibling (`rmb-rs` v0.2).
"""

from rmb.gen1.message import Message
from rmb.gen1.signature import sign, verify

__all__ = ["Message", "sign", "verify"]
