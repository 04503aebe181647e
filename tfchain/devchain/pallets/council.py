"""Council (40): proposals of the members, carried out with the council's rights.

As far as development needs it: propose, vote, close.  A proposal lives for `VOTING_BLOCKS`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from tfchain.codec.hashing import blake2_256
from tfchain.devchain.calls import Handler, dispatch
from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import DispatchFailure, Members, ModuleFailure
from tfchain.devchain.interface import as_call
from tfchain.devchain.records import Votes
from tfchain.devchain.storage import DefaultValue, OptionalMap

VOTING_BLOCKS = 100_800
"""Seven days of blocks of 6 s."""
MOST_PROPOSALS = 100

MEMBERS: DefaultValue[list[bytes]] = DefaultValue("Council", "Members")
PROPOSALS: DefaultValue[list[bytes]] = DefaultValue("Council", "Proposals")
PROPOSAL_COUNT: DefaultValue[int] = DefaultValue("Council", "ProposalCount")
PROPOSAL_OF: OptionalMap[bytes, Any] = OptionalMap("Council", "ProposalOf")
VOTING: OptionalMap[bytes, Votes] = OptionalMap("Council", "Voting")


class _Proposal(NamedTuple):
    encoded: bytes
    hash: bytes


def propose(ctx: Context, threshold: int, proposal: Any, length_bound: int) -> None:
    """Put a call to the vote; with a threshold below 2 it is carried out at once, on one member's word."""
    member = _require_member(ctx)
    encoded, digest = _proposal(ctx, proposal)
    if len(encoded) > length_bound:
        raise _error("WrongProposalLength")
    if PROPOSAL_OF.get(ctx, digest) is not None:
        raise _error("DuplicateProposal")
    if threshold < 2:
        result = _carry_out(ctx, proposal, Members(1, len(MEMBERS.get(ctx))))
        ctx.deposit("Council", "Executed", {"proposal_hash": digest, "result": result})
        return
    open_proposals = PROPOSALS.get(ctx)
    if len(open_proposals) >= MOST_PROPOSALS:
        raise _error("TooManyProposals")
    PROPOSALS.put(ctx, [*open_proposals, digest])
    index = PROPOSAL_COUNT.get(ctx)
    PROPOSAL_COUNT.put(ctx, index + 1)
    PROPOSAL_OF.put(ctx, digest, proposal)
    VOTING.put(ctx, digest, Votes(index, threshold, [], [], ctx.block.number + VOTING_BLOCKS))
    ctx.deposit(
        "Council",
        "Proposed",
        {"account": member, "proposal_index": index, "proposal_hash": digest, "threshold": threshold},
    )


def vote(ctx: Context, proposal: bytes, index: int, approve: bool) -> None:
    member = _require_member(ctx)
    votes = _voting(ctx, proposal, index)
    if member in (votes.ayes if approve else votes.nays):
        raise _error("DuplicateVote")
    ayes = [other for other in votes.ayes if other != member]
    nays = [other for other in votes.nays if other != member]
    (ayes if approve else nays).append(member)
    VOTING.put(ctx, proposal, replace(votes, ayes=ayes, nays=nays))
    ctx.deposit(
        "Council",
        "Voted",
        {
            "account": member,
            "proposal_hash": proposal,
            "voted": approve,
            "yes": len(ayes),
            "no": len(nays),
        },
    )


def close(
    ctx: Context, proposal_hash: bytes, index: int, proposal_weight_bound: Any, length_bound: int
) -> None:
    """End a vote that is decided, or whose time is over; abstaining members then count as against."""
    ctx.signer()
    votes = _voting(ctx, proposal_hash, index)
    seats = len(MEMBERS.get(ctx))
    yes, no = len(votes.ayes), len(votes.nays)
    approved = yes >= votes.threshold
    if not approved and seats - no >= votes.threshold:
        if ctx.block.number < votes.end:
            raise _error("TooEarly")
        no = seats - yes
    proposal = PROPOSAL_OF.get(ctx, proposal_hash)
    if proposal is None:
        raise _error("ProposalMissing")
    if approved and len(_proposal(ctx, proposal).encoded) > length_bound:
        raise _error("WrongProposalLength")
    ctx.deposit("Council", "Closed", {"proposal_hash": proposal_hash, "yes": yes, "no": no})
    if approved:
        ctx.deposit("Council", "Approved", {"proposal_hash": proposal_hash})
        result = _carry_out(ctx, proposal, Members(yes, seats))
        ctx.deposit("Council", "Executed", {"proposal_hash": proposal_hash, "result": result})
    else:
        ctx.deposit("Council", "Disapproved", {"proposal_hash": proposal_hash})
    PROPOSAL_OF.delete(ctx, proposal_hash)
    VOTING.delete(ctx, proposal_hash)
    PROPOSALS.put(ctx, [other for other in PROPOSALS.get(ctx) if other != proposal_hash])


def _require_member(ctx: Context) -> bytes:
    account = ctx.signer()
    if account not in MEMBERS.get(ctx):
        raise _error("NotMember")
    return account


def _voting(ctx: Context, proposal: bytes, index: int) -> Votes:
    votes = VOTING.get(ctx, proposal)
    if votes is None:
        raise _error("ProposalMissing")
    if votes.index != index:
        raise _error("WrongIndex")
    return votes


def _proposal(ctx: Context, proposal: Any) -> _Proposal:
    encoded = ctx.interface.codec.encode(ctx.interface.call_type, proposal)
    return _Proposal(encoded, blake2_256(encoded))


def _carry_out(ctx: Context, proposal: Any, origin: Members) -> Any:
    """The result as `Result<(), DispatchError>`."""
    try:
        with ctx.acting_as(origin), ctx.transaction():
            dispatch(ctx, as_call(proposal))
    except DispatchFailure as failure:
        return {"Err": failure.value(ctx.interface)}
    return {"Ok": ()}


def _error(name: str) -> ModuleFailure:
    return ModuleFailure("Council", name)


CALLS: dict[str, Handler] = {"propose": propose, "vote": vote, "close": close}
