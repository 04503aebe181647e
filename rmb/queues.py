"""Names of the Redis keys.  The first group is public: programs in other languages use these names."""

from __future__ import annotations

from typing import Final

LOCAL: Final = "msgbus.system.local"
"""List: clients push requests."""
REPLY: Final = "msgbus.system.reply"
"""List: services push replies."""
BACKLOG: Final = "msgbus.system.backlog"
"""Hash uid → request as the client pushed it, until its reply or its expiry."""


def command(name: str) -> str:
    """List on which services wait for the requests of a command."""
    return f"msgbus.{name}"


def counter(twin: int) -> str:
    """Integer: the last number used in an id for this destination."""
    return f"msgbus.counter.{twin}"


# -- ours alone ---------------------------------------------------------------------------------------------------

DEADLINES: Final = "msgbus.system.backlog.deadlines"
"""Sorted set uid → second at which its entry in the backlog expires."""
OUTBOX: Final = "msgbus.system.outbox"
"""Hash uid → request that still has to reach its destination's peer."""
PENDING: Final = "msgbus.system.pending"
"""Sorted set of requests handed to services and not answered yet, by deadline."""
PENDING_SIZES: Final = "msgbus.system.pending.sizes"
"""Hash: bytes of each pending request."""
PENDING_COUNTS: Final = "msgbus.system.pending.counts"
"""Hash: how many requests (and bytes) of each twin are pending."""


def taken(queue: str) -> str:
    """List of what was taken from `queue` and is still being worked on."""
    return f"{queue}.taken"


def replay(source: int, challenge_hex: str) -> str:
    """Exists as long as this very message could be accepted again."""
    return f"msgbus.seen.{source}.{challenge_hex}"


def router(root: str) -> str:
    """Set of the commands that a live router serves below the first name segment `root`; expires with it."""
    return f"msgbus.router.{root}"
