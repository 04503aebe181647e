"""Apply nftables rulesets: `nft -f -`, one transaction a change (decision 33)."""

from __future__ import annotations

import hashlib

from provisioners.system import netns_program
from provisioners.system.links import open_links


def apply(ruleset: str, namespace: str | None = None) -> None:
    """Apply the text in a namespace, wholly or not at all.  Raises CommandFailed with what nft said."""
    netns_program.run(["nft", "-f", "-"], namespace=namespace, input=ruleset)


def listing(namespace: str | None = None, what: str = "ruleset") -> str:
    """The rules as nft prints them, without counters.  Raises CommandFailed when there is no such object."""
    return netns_program.run(["nft", "--stateless", "list", *what.split()], namespace=namespace)


def ensure_namespace(ruleset: str, namespace: str) -> None:
    """Replace all rules of a namespace that is ours, unless the very same text is in force there.

    Replacing an equal ruleset would cost 15 ms and set all counters to zero.  The mark is the alias of `lo`: it lives
    exactly as long as the namespace.  Brings `lo` up.
    """
    mark = f"rules {hashlib.sha256(ruleset.encode()).hexdigest()[:16]}"
    with open_links(namespace) as links:
        loopback = links.get("lo")
        if loopback.alias != mark:
            apply(ruleset, namespace)
        links.ensure(loopback, alias=mark, up=True)
