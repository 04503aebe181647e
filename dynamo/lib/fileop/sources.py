"""Which site a file is copied from."""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dynamo.dataformat import Site

IRRECOVERABLE = frozenset({errno.ENOENT, errno.EINVAL, errno.ELOOP, errno.ENOTDIR, errno.EBADMSG})
"""Errors of a source that trying again does not mend: the file is not there, or not the one that was meant."""
MAX_FAILURES = 10
"""How often one source is tried."""


class Choice(NamedTuple):
    """A source, or the reason why there is none."""

    source: str | None
    hold_reason: str | None = None


def choose_source(
    sites: Sequence[Site],
    failures: Sequence[tuple[str, int]],
    pick: Callable[[Sequence[str]], str] | None = None,
) -> Choice:
    """Choose among sites that have a file, after earlier failures (site, exit code).

    First a disk at random that was not tried, then a tape that was not, then what failed least often, unless its
    last error will come again.  Without any site the reason is `no_source`, else `all_failed`.
    """
    choose = pick or random.choice
    ready = sorted(
        (site for site in sites if site.status == Site.STAT_READY and site.storage_type != Site.TYPE_BUFFER),
        key=lambda site: site.name,
    )
    if not ready:
        return Choice(None, "no_source")
    tried = Counter(source for source, _ in failures)
    last = dict(failures)
    for is_tape in (False, True):
        fresh = [
            site.name
            for site in ready
            if site.name not in tried and (site.storage_type == Site.TYPE_MSS) == is_tape
        ]
        if fresh:
            return Choice(choose(fresh))
    again = [
        site.name
        for site in ready
        if last[site.name] not in IRRECOVERABLE and tried[site.name] < MAX_FAILURES
    ]
    if not again:
        return Choice(None, "all_failed")
    least = min(tried[name] for name in again)
    return Choice(choose([name for name in again if tried[name] == least]))
