"""Control methods for tests (`dev_*`, `tfchain.md` §13.7): time, blocks, raw writes, calls with root rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfchain.codec.scale import ScaleError
from tfchain.devchain.chain import BuildMode, DevChain, NothingToReorganise
from tfchain.devchain.rpc.arguments import Arguments, as_bytes, as_number, hex_of
from tfchain.devchain.rpc.errors import invalid_params

MOST_BLOCKS = 100_000
MOST_WRITES = 10_000
LARGEST_VERSION = (1 << 32) - 1


class Control:
    """The control methods of one chain."""

    def __init__(self, chain: DevChain) -> None:
        self.chain = chain
        self.counts: dict[str, int] = {}
        """Calls of every method so far."""

    def methods(self) -> dict[str, Callable[[Arguments], Any]]:
        return {
            "dev_newBlock": self.new_block,
            "dev_timeTravel": self.time_travel,
            "dev_setStorage": self.set_storage,
            "dev_setBlockBuildMode": self.set_mode,
            "dev_setFinalityDelay": self.set_finality_delay,
            "dev_root": self.root,
            "dev_bill": self.bill,
            "dev_setGracePeriod": self.set_grace_period,
            "dev_reorganise": self.reorganise,
            "dev_setRuntimeVersion": self.set_runtime_version,
            "dev_rpcLog": lambda _: dict(self.counts),
        }

    def new_block(self, arguments: Arguments) -> Any:
        """`[{"count"?, "to"?, "step"?}]`: seal blocks, the chain clock going on by `step` ms before each.

        Answers the last one's hash.
        """
        wanted = arguments.raw(0) or {}
        if not isinstance(wanted, dict):
            raise invalid_params("give an object with count or to")
        count = int(wanted.get("count", 1))
        if "to" in wanted:
            count = int(wanted["to"]) - self.chain.head.header.number
        step = as_number(wanted.get("step", 0), "step")
        if not 0 <= count <= MOST_BLOCKS:
            raise invalid_params(f"{count} blocks; 0 to {MOST_BLOCKS} can be sealed")
        start = self.chain.clock_offset_ms
        for number in range(1, count + 1):
            self.chain.clock_offset_ms = start + number * step
            self.chain.seal()
        if step:
            self.chain.set_clock_offset(self.chain.clock_offset_ms)
        return hex_of(self.chain.head.hash)

    def time_travel(self, arguments: Arguments) -> Any:
        """`[ms since 1970]`: set the chain clock, kept over restarts, and seal a block."""
        offset = arguments.number(0, "time") - (self.chain.now_ms() - self.chain.clock_offset_ms)
        self.chain.set_clock_offset(offset)
        self.chain.seal()
        return self.chain.now_ms()

    def set_storage(self, arguments: Arguments) -> Any:
        """`[[[key, value or null] …]]`: write into a new block as it is."""
        pairs = arguments.raw(0)
        if not isinstance(pairs, list) or len(pairs) > MOST_WRITES:
            raise invalid_params(f"give a list of at most {MOST_WRITES} [key, value] pairs")
        writes: dict[bytes, bytes | None] = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise invalid_params(f"{pair!r:.80} is no [key, value] pair")
            key, value = pair
            writes[as_bytes(key, "key")] = None if value is None else as_bytes(value, "value")
        return hex_of(self.chain.seal([], writes=writes).hash)

    def set_mode(self, arguments: Arguments) -> Any:
        """`["Instant" | "Batch" | "Manual"]`."""
        try:
            self.chain.set_mode(BuildMode(arguments.text(0, "mode")))
        except ValueError:
            known = ", ".join(mode.value for mode in BuildMode)
            raise invalid_params(f"mode {arguments.raw(0)!r}; there are {known}") from None
        return None

    def set_finality_delay(self, arguments: Arguments) -> Any:
        """`[ms]` between a block and its finality."""
        self.chain.finality_delay = arguments.number(0, "delay") / 1000
        return None

    def bill(self, arguments: Arguments) -> Any:
        """`[contract id]`: bill a contract out of turn, in a new block; answers the block's hash."""
        return hex_of(self.chain.seal(bill=[arguments.number(0, "contract id")]).hash)

    def set_grace_period(self, arguments: Arguments) -> Any:
        """`[blocks]` between the start of a contract's grace and its end; kept over restarts."""
        self.chain.set_grace_blocks(arguments.number(0, "blocks"))
        return None

    def reorganise(self, arguments: Arguments) -> Any:
        """`[{"depth", "keep"?}]`: replace blocks that are not final; see `DevChain.reorganise`.

        Answers the new head's hash.
        """
        wanted = arguments.raw(0)
        if not isinstance(wanted, dict) or "depth" not in wanted:
            raise invalid_params("give an object with depth")
        try:
            depth, keep = as_number(wanted["depth"], "depth"), bool(wanted.get("keep", True))
            self.chain.reorganise(depth, keep_transactions=keep)
        except NothingToReorganise as problem:
            raise invalid_params(str(problem)) from problem
        return hex_of(self.chain.head.hash)

    def set_runtime_version(self, arguments: Arguments) -> Any:
        """`[spec version]`: go on as another version of the runtime; answers the hash of its first block."""
        version = arguments.number(0, "spec version")
        if version > LARGEST_VERSION:
            raise invalid_params(f"spec version {version}; at most {LARGEST_VERSION}")
        try:
            self.chain.upgrade(version)
        except ValueError as problem:
            raise invalid_params(str(problem)) from problem
        return hex_of(self.chain.head.hash)

    def root(self, arguments: Arguments) -> Any:
        """`[call]`: carry out a call with root rights in a new block; answers null or its DispatchError."""
        try:
            call = self.chain.interface.decode_call(arguments.data(0, "call"))
        except ScaleError as problem:
            raise invalid_params(f"no call of this chain: {problem}") from problem
        (result,) = self.chain.seal([], privileged=[call]).results
        return _plain(result)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return hex_of(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
