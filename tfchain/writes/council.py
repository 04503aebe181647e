"""Proposals of the council's members, and prices that validators set."""

from __future__ import annotations

from collections.abc import Sequence

from tfchain.errors import ChainError
from tfchain.keys import Identity
from tfchain.runtime import Call
from tfchain.writes.submitting import Submitting

LENGTH_BOUND = 1 << 20
"""Bytes that a proposal may have."""
WEIGHT_BOUND = {"ref_time": 10**11, "proof_size": 10**8}
"""What carrying it out may cost."""
COUNCIL = "Council"


class CouncilWrites(Submitting):
    async def propose(self, key: Identity, call: Call, threshold: int) -> tuple[bytes, int]:
        """Put a call of `tfchain.governance` to the vote; the proposal's hash and index.

        Raises `ChainError` for a threshold below 2, with which nothing is put to the vote.
        """
        if threshold < 2:
            raise ChainError(f"a proposal with threshold {threshold} is not voted on; give 2 or more")
        value = await self._call_value(call)
        arguments = {"threshold": threshold, "proposal": value, "length_bound": LENGTH_BOUND}
        receipt = await self.submit(key, COUNCIL, "propose", arguments)
        proposed = receipt.event(COUNCIL, "Proposed")
        if proposed is None:
            raise ChainError(
                f"block {receipt.block_number} holds the proposal, but no event Council.Proposed"
            )
        return proposed.attributes["proposal_hash"], int(proposed.attributes["proposal_index"])

    async def vote(self, key: Identity, proposal: bytes, index: int, approve: bool) -> None:
        """One member's vote."""
        arguments = {"proposal": proposal, "index": index, "approve": approve}
        await self.submit(key, COUNCIL, "vote", arguments)

    async def close_proposal(self, key: Identity, proposal: bytes, index: int) -> bool:
        """End a vote that is decided; whether the call was carried out.

        Raises `DispatchError` when it was approved and failed, `DispatchError` TooEarly when it is not decided.
        """
        arguments = {
            "proposal_hash": proposal,
            "index": index,
            "proposal_weight_bound": WEIGHT_BOUND,
            "length_bound": LENGTH_BOUND,
        }
        receipt = await self.submit(key, COUNCIL, "close", arguments)
        executed = receipt.event(COUNCIL, "Executed")
        if executed is None:
            return False
        result = executed.attributes["result"]
        if "Err" in result:
            raise await self._dispatch_error(result["Err"], f"the proposal 0x{proposal.hex()}")
        return True

    async def decide(self, members: Sequence[Identity], call: Call) -> None:
        """Have these members of the council propose, vote for and carry out a call.

        Raises `DispatchError` when the call fails or they are too few, as the chain says it.
        """
        proposal, index = await self.propose(members[0], call, max(2, len(members)))
        for member in members:
            await self.vote(member, proposal, index, approve=True)
        await self.close_proposal(members[0], proposal, index)

    async def set_tft_price(self, key: Identity, price: int, block: int) -> None:
        """One price in mUSD as of a block, by a validator; bills use the average of a day."""
        await self.submit(key, "TFTPriceModule", "set_prices", {"price": price, "block_number": block})
