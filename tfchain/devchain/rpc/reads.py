"""Methods that read: system, chain, state, and the runtime calls that clients use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfchain.codec.address import AddressError, decode_address
from tfchain.codec.hashing import blake2_256
from tfchain.codec.scale import Reader, ScaleError, blob, compact, uint
from tfchain.devchain.chain import DevChain
from tfchain.devchain.fees import BASE_FEE, fee_of
from tfchain.devchain.interface import Interface
from tfchain.devchain.rpc.arguments import Arguments, as_bytes, as_number, hex_of
from tfchain.devchain.rpc.errors import STATE_GONE, RpcError, invalid_params
from tfchain.devchain.rpc.view import View
from tfchain.devchain.store import StoredBlock

MOST_KEYS = 4096
MOST_PAGE = 1000
MOST_BLOCKS = 1024
METADATA_VERSION = 14

Method = Callable[[Arguments], Any]


class Reads:
    """Reads of one chain."""

    def __init__(self, chain: DevChain, view: View, name: str = "Development") -> None:
        self.chain = chain
        self.view = view
        self.name = name

    def methods(self) -> dict[str, Method]:
        """By name, aliases included."""
        found: dict[str, Method] = {
            "system_chain": lambda _: self.name,
            "system_name": lambda _: "TFChain development chain",
            "system_version": lambda _: str(self.chain.interface.version["spec_version"]),
            "system_properties": lambda _: {"ss58Format": 42, "tokenDecimals": 7, "tokenSymbol": "TFT"},
            "system_health": lambda _: {"peers": 0, "isSyncing": False, "shouldHavePeers": False},
            "system_chainType": lambda _: "Development",
            "system_accountNextIndex": self.next_index,
            "chain_getBlockHash": self.block_hash,
            "chain_getHeader": self.header,
            "chain_getBlock": self.block,
            "chain_getFinalizedHead": lambda _: hex_of(self.view.finalised.hash),
            "state_getMetadata": lambda arguments: hex_of(self._interface(arguments.raw(0)).encoded),
            "state_getRuntimeVersion": lambda arguments: self.runtime_version(arguments.raw(0)),
            "state_getStorage": self.storage,
            "state_getStorageHash": self.storage_hash,
            "state_getStorageSize": self.storage_size,
            "state_queryStorageAt": self.query_at,
            "state_queryStorage": self.query_range,
            "state_getKeys": self.keys,
            "state_getKeysPaged": self.keys_paged,
            "state_call": self.call,
            "payment_queryInfo": self.fee_info,
            "payment_queryFeeDetails": self.fee_details,
            "author_pendingExtrinsics": lambda _: [hex_of(each) for each in self.chain.pool.encoded()],
        }
        aliases = {
            "account_nextIndex": "system_accountNextIndex",
            "chain_getHead": "chain_getBlockHash",
            "chain_getFinalisedHead": "chain_getFinalizedHead",
            "chain_getRuntimeVersion": "state_getRuntimeVersion",
            "state_getStorageAt": "state_getStorage",
            "state_getStorageHashAt": "state_getStorageHash",
            "state_getStorageSizeAt": "state_getStorageSize",
            "state_getKeysPagedAt": "state_getKeysPaged",
            "state_callAt": "state_call",
        }
        return found | {alias: found[name] for alias, name in aliases.items()}

    # -- blocks -----------------------------------------------------------------------------------------------

    def block_hash(self, arguments: Arguments) -> Any:
        wanted = arguments.raw(0)
        if wanted is None:
            return hex_of(self.view.head.hash)
        if isinstance(wanted, list):
            if len(wanted) > MOST_BLOCKS:
                raise invalid_params(f"at most {MOST_BLOCKS} block numbers at once")
            return [hex_of(self.view.hash_of(as_number(each, "block number"))) for each in wanted]
        return hex_of(self.view.hash_of(as_number(wanted, "block number")))

    def header(self, arguments: Arguments) -> Any:
        block = self._maybe_block(arguments.optional_data(0, "block hash"))
        return None if block is None else block.header.to_json()

    def block(self, arguments: Arguments) -> Any:
        block = self._maybe_block(arguments.optional_data(0, "block hash"))
        if block is None:
            return None
        body = [hex_of(each) for each in block.body]
        return {"block": {"header": block.header.to_json(), "extrinsics": body}, "justifications": None}

    # -- state ------------------------------------------------------------------------------------------------

    def storage(self, arguments: Arguments) -> Any:
        return hex_of(self.view.value(arguments.data(0, "key"), self._at(arguments.raw(1))))

    def storage_hash(self, arguments: Arguments) -> Any:
        value = self.view.value(arguments.data(0, "key"), self._at(arguments.raw(1)))
        return None if value is None else hex_of(blake2_256(value))

    def storage_size(self, arguments: Arguments) -> Any:
        value = self.view.value(arguments.data(0, "key"), self._at(arguments.raw(1)))
        return None if value is None else len(value)

    def query_at(self, arguments: Arguments) -> Any:
        keys = arguments.data_list(0, "keys", MOST_KEYS)
        number = self._at(arguments.raw(1))
        changes = [[hex_of(key), hex_of(self.view.value(key, number))] for key in keys]
        return [{"block": hex_of(self.view.hash_of(number)), "changes": changes}]

    def query_range(self, arguments: Arguments) -> Any:
        keys = arguments.data_list(0, "keys", MOST_KEYS)
        first, last = self._at(arguments.raw(1)), self._at(arguments.raw(2))
        if last - first >= MOST_BLOCKS:
            raise invalid_params(f"at most {MOST_BLOCKS} blocks at once")
        found: list[Any] = []
        known: dict[bytes, bytes | None] = {}
        for number in range(first, last + 1):
            now = {key: self.view.value(key, number) for key in keys}
            changes = [
                [hex_of(key), hex_of(now[key])] for key in keys if number == first or now[key] != known[key]
            ]
            known = now
            if changes:
                found.append({"block": hex_of(self.view.hash_of(number)), "changes": changes})
        return found

    def keys(self, arguments: Arguments) -> Any:
        number = self._at(arguments.raw(1))
        return [
            hex_of(key)
            for key in self.chain.store.keys_at(arguments.data(0, "prefix"), None, number, MOST_KEYS)
        ]

    def keys_paged(self, arguments: Arguments) -> Any:
        prefix = arguments.optional_data(0, "prefix") or b""
        count = arguments.number(1, "count")
        if count > MOST_PAGE:
            raise invalid_params(f"count exceeds maximum value. value: {count}, max: {MOST_PAGE}")
        start, number = arguments.optional_data(2, "start key"), self._at(arguments.raw(3))
        return [hex_of(key) for key in self.chain.store.keys_at(prefix, start, number, count)]

    # -- runtime ----------------------------------------------------------------------------------------------

    def runtime_version(self, block_hash: Any = None) -> dict[str, Any]:
        version = self._interface(block_hash).version
        return {
            "specName": _text(version["spec_name"]),
            "implName": _text(version["impl_name"]),
            "authoringVersion": version["authoring_version"],
            "specVersion": version["spec_version"],
            "implVersion": version["impl_version"],
            "apis": [[hex_of(bytes(name)), number] for name, number in version["apis"]],
            "transactionVersion": version["transaction_version"],
            "stateVersion": version["state_version"],
        }

    def next_index(self, arguments: Arguments) -> Any:
        try:
            account = decode_address(arguments.text(0, "account"))
        except AddressError as problem:
            raise invalid_params(str(problem)) from problem
        return self.chain.next_nonce(account)

    def call(self, arguments: Arguments) -> Any:
        name, data = arguments.text(0, "method"), arguments.data(1, "data")
        interface = self._interface(arguments.raw(2))
        metadata = interface.encoded
        match name:
            case "Metadata_metadata":
                return hex_of(blob(metadata))
            case "Metadata_metadata_versions":
                return hex_of(compact(1) + uint(METADATA_VERSION, 4))
            case "Metadata_metadata_at_version":
                wanted = int.from_bytes(data[:4], "little")
                return hex_of(b"\1" + blob(metadata) if wanted == METADATA_VERSION else b"\0")
            case "AccountNonceApi_account_nonce":
                return hex_of(uint(self.chain.nonce_of(data[:32]), 4))
            case "TransactionPaymentApi_query_info":
                weight = compact(100_000_000) + compact(0)
                return hex_of(weight + b"\0" + uint(fee_of(_extrinsic_length(data)), 16))
            case "TransactionPaymentApi_query_fee_details":
                parts = (BASE_FEE, fee_of(_extrinsic_length(data)) - BASE_FEE, 0)
                return hex_of(b"\1" + b"".join(uint(part, 16) for part in parts) + uint(0, 16))
            case "Core_version":
                constant = interface.metadata.pallet("System").constant("Version")
                return hex_of(constant.value)
        raise RpcError(
            STATE_GONE, f"Client error: Execution failed: Exported method {name} is not found", None
        )

    def fee_info(self, arguments: Arguments) -> Any:
        fee = fee_of(len(arguments.data(0, "extrinsic")))
        return {
            "weight": {"ref_time": 100_000_000, "proof_size": 0},
            "class": "normal",
            "partialFee": str(fee),
        }

    def fee_details(self, arguments: Arguments) -> Any:
        length = len(arguments.data(0, "extrinsic"))
        return {
            "inclusionFee": {
                "baseFee": hex(BASE_FEE),
                "lenFee": hex(fee_of(length) - BASE_FEE),
                "adjustedWeightFee": "0x0",
            },
            "tip": "0x0",
        }

    # -- small things -----------------------------------------------------------------------------------------

    def _interface(self, block_hash: Any) -> Interface:
        """The interface with which the state after a block is read; None means the newest."""
        return self.chain.versions.at(self._at(block_hash) if block_hash else self.view.head.header.number)

    def _maybe_block(self, block_hash: bytes | None) -> StoredBlock | None:
        return self.view.head if block_hash is None else self.view.block_by_hash(block_hash)

    def _at(self, block_hash: Any) -> int:
        """Number of the block with this hash; None means the head.  Raises RpcError for one without state."""
        if block_hash is None:
            return self.view.newest_state
        number = self.view.number_of(as_bytes(block_hash, "block hash"))
        if number is None:
            raise RpcError(STATE_GONE, f"Client error: UnknownBlock: Header was not found: {block_hash}")
        if number < self.chain.store.oldest_kept():
            raise RpcError(STATE_GONE, f"Client error: State already discarded for {block_hash}")
        return number


def _extrinsic_length(data: bytes) -> int:
    """Length of the extrinsic in front of the u32 that runtime calls append."""
    try:
        reader = Reader(data)
        reader.blob()
    except ScaleError as problem:
        raise invalid_params(f"no extrinsic: {problem}") from problem
    return reader.position


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
