"""Whether an extrinsic may enter the pool; what is refused is refused at submission, with a JSON-RPC error."""

from __future__ import annotations

from collections.abc import Callable

from tfchain.codec.extrinsic import decode_extrinsic, extrinsic_hash, signing_payload
from tfchain.codec.scale import ScaleError
from tfchain.devchain.execution import Transaction
from tfchain.devchain.fees import fee_of
from tfchain.devchain.interface import Interface
from tfchain.devchain.pallets import funds
from tfchain.devchain.signatures import verifies
from tfchain.devchain.state import ReadableState, Reading

LARGEST_EXTRINSIC = 1 << 20
"""Bytes."""


class Refused(Exception):
    """A submission that the pool does not take, as JSON-RPC code, message and data."""

    def __init__(self, code: int, message: str, data: str) -> None:
        super().__init__(f"{message}: {data}")
        self.code = code
        self.message = message
        self.data = data


def invalid(data: str) -> Refused:
    return Refused(1010, "Invalid Transaction", data)


def read_transaction(
    interface: Interface, encoded: bytes, block: int, genesis: bytes, hash_of: Callable[[int], bytes | None]
) -> Transaction:
    """Decode a submitted extrinsic and check its signature and era against block number `block`.

    Raises `Refused`: 1001 for bytes that are no signed extrinsic of this chain (a text over its limit is such),
    1010 for a wrong signature or an era that is over.
    """
    if len(encoded) > LARGEST_EXTRINSIC:
        raise invalid(f"Transaction has {len(encoded)} bytes; at most {LARGEST_EXTRINSIC} are taken")
    try:
        extrinsic = decode_extrinsic(encoded)
        call = interface.decode_call(extrinsic.call)
    except ScaleError as error:
        raise Refused(1001, "Extrinsic has invalid format", str(error)) from error
    signer = extrinsic.signer
    if signer is None:
        raise Refused(1011, "Unknown Transaction Validity", "Inherents are made by the block author")
    era = signer.extra.era
    birth_hash = hash_of(era.birth(block))
    death = era.death(block)
    if birth_hash is None or (death is not None and death <= block):
        raise invalid("Transaction has an ancient birth block")
    payload = signing_payload(
        extrinsic.call,
        signer.extra,
        interface.version["spec_version"],
        interface.version["transaction_version"],
        genesis,
        birth_hash,
    )
    if not verifies(signer.kind, signer.account, payload, signer.signature):
        raise invalid("Transaction has a bad signature")
    return Transaction(
        encoded, extrinsic_hash(encoded), signer.account, signer.extra.nonce, signer.extra.tip, call
    )


def check_payable(transaction: Transaction, state: ReadableState) -> int:
    """The account's nonce; raises `Refused` for an old nonce or an account that cannot pay."""
    info = funds.ACCOUNTS.get(Reading(state), transaction.account)
    if transaction.nonce < info.nonce:
        raise invalid("Transaction is outdated")
    if not funds.can_pay_fee(info, fee_of(len(transaction.encoded), transaction.tip)):
        raise invalid("Inability to pay some fees (e.g. account balance too low)")
    return info.nonce
