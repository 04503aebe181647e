"""A chain without a network side, driven by signed calls, one block each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tfchain.devchain.plain import Plain
from tfchain.codec.extrinsic import Era, Extrinsic, SignedExtra, Signer, signing_payload
from tfchain.devchain.chain import DevChain
from tfchain.devchain.execution import BuiltBlock
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.storage import OptionalMap
from tfchain.devchain.store import Store, StoredBlock
from tfchain.keys import Identity


@dataclass(frozen=True, slots=True)
class Outcome:
    ok: bool
    error: str | None
    """The module error's name, else the kind of the DispatchError."""
    fee: int
    events: list[list[Any]]
    """`[Pallet.event, attributes]`, all of them, in order."""

    def of(self, *pallets: str) -> list[list[Any]]:
        return [event for event in self.events if event[0].split(".")[0] in pallets]


class Driver:
    def __init__(self, folder: Path, genesis: Genesis | None = None, *, bills: bool = False) -> None:
        self.store = Store(folder / "chain.db")
        self.chain = DevChain(self.store, genesis or Genesis(), bills=bills)
        self.interface = self.chain.interface
        self.plain = Plain(self.interface.metadata)

    def close(self) -> None:
        self.chain.close()

    # Signing and submitting

    def encode_call(self, call: str, arguments: Mapping[str, Any]) -> bytes:
        pallet, name = call.split(".")
        case = self.interface.call_case(pallet, name)
        values = {
            field.name: self.plain.read(field.type, arguments[field.name or ""]) for field in case.fields
        }
        inner: Any = {name: values} if values else name
        return self.plain.codec.encode(self.interface.call_type, {pallet: inner})

    def sign(
        self,
        signer: Identity,
        call: bytes,
        *,
        nonce: int | None = None,
        tip: int = 0,
        era: Era | None = None,
        genesis: bytes | None = None,
        spec_version: int | None = None,
    ) -> bytes:
        era = era or Era()
        birth = self.chain.store.hash_of(era.birth(self.chain.head.header.number))
        assert birth is not None
        number = self.chain.next_nonce(signer.public_key) if nonce is None else nonce
        extra = SignedExtra(era, number, tip)
        version = self.interface.version
        payload = signing_payload(
            call,
            extra,
            spec_version or version["spec_version"],
            version["transaction_version"],
            genesis or self.chain.genesis_hash,
            birth,
        )
        return Extrinsic(call, Signer(signer.public_key, signer.type, signer.sign(payload), extra)).encode()

    def call(self, signer: Identity, call: str, **arguments: Any) -> Outcome:
        return self.submit(self.sign(signer, self.encode_call(call, arguments)))

    def submit(self, encoded: bytes) -> Outcome:
        """Submit and seal; raises `Refused` at submission."""
        transaction = self.chain.submit(encoded)
        built = self.chain.seal()
        index = built.body.index(transaction.encoded)
        return self.outcome(built, index)

    def outcome(self, built: BuiltBlock, index: int) -> Outcome:
        records = [
            record["event"] for record in self.records(built) if record["phase"] == {"ApplyExtrinsic": index}
        ]
        events = [flat(event) for event in records]
        fee = next(event[1]["actual_fee"] for event in events if event[0].endswith("FeePaid"))
        name, content = events[-1]
        error = self._error(content["dispatch_error"]) if name.endswith("Failed") else None
        return Outcome(error is None, error, fee, events)

    def records(self, built: BuiltBlock | StoredBlock) -> list[Any]:
        raw = self.chain.store.value_at(self.key("System.Events"), built.header.number)
        assert raw is not None
        records: list[Any] = self.plain.decode(self.interface.event_records_type, raw)
        return records

    def root(self, call: str, **arguments: Any) -> Any:
        """Carry out a call with root rights; its DispatchError, or None."""
        (result,) = self.chain.seal(
            [], privileged=[self.interface.decode_call(self.encode_call(call, arguments))]
        ).results
        return self._error(self.plain_error(result)) if result is not None else None

    def plain_error(self, value: Any) -> Any:
        if isinstance(value, dict) and "Module" in value:
            module = value["Module"]
            return {"Module": {**module, "error": "0x" + module["error"].hex()}}
        return value

    def _error(self, value: Any) -> str:
        if isinstance(value, dict) and "Module" in value:
            code = int(value["Module"]["error"][2:4], 16)
            return self.interface.error_name(value["Module"]["index"], code)[1]
        return value if isinstance(value, str) else str(next(iter(value.values())))

    # Reading

    def key(self, item: str, *arguments: Any) -> bytes:
        pallet, name = item.split(".")
        entry: OptionalMap[Any, Any] = OptionalMap(pallet, name)
        values = [
            self.plain.read(type_id, each) for type_id, each in zip(entry.key_types, arguments, strict=True)
        ]
        return entry.key(tuple(values) if len(values) > 1 else next(iter(values), None))

    def read(self, item: str, *arguments: Any) -> Any:
        """A stored value as a client shows it: the default where a default is declared, else None."""
        pallet, name = item.split(".")
        entry = self.interface.metadata.pallet(pallet).entry(name)
        raw = self.chain.state.get(self.key(item, *arguments))
        if raw is None and not entry.optional:
            raw = entry.default
        return None if raw is None else self.plain.decode(entry.value, raw)

    def balance(self, who: Identity) -> int:
        free: int = self.read("System.Account", who.address)["data"]["free"]
        return free

    # Common starts

    def make_twin(self, who: Identity, relay: str | None = None) -> int:
        self.call(who, "TfgridModule.user_accept_tc", document_link="https://x/y", document_hash="1a2b")
        assert self.call(who, "TfgridModule.create_twin", relay=relay, pk=None).ok
        twin: int = self.read("TfgridModule.TwinIdByAccountID", who.address)
        return twin


def flat(event: Any) -> list[Any]:
    ((pallet, inner),) = event.items()
    if isinstance(inner, str):
        return [f"{pallet}.{inner}", None]
    ((name, content),) = inner.items()
    return [f"{pallet}.{name}", content]


def person(name: str) -> Identity:
    """A development account, sr25519 (`//Alice`)."""
    return Identity(name, "sr25519")


NODE: dict[str, Any] = {
    "farm_id": 1,
    "resources": {"hru": 0, "sru": 512 << 30, "cru": 8, "mru": 16 << 30},
    "location": {"city": "Ghent", "country": "Belgium", "latitude": "51.05", "longitude": "3.71"},
    "interfaces": [{"name": "zos", "mac": "54:45:46:f6:02:61", "ips": ["10.5.0.2", "fe80::1"]}],
    "secure_boot": False,
    "virtualized": True,
    "serial_number": "SN-1",
}
"""Arguments of create_node."""
