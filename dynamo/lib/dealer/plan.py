"""Chooses among proposals until a cycle's volume is used up."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dynamo.dataformat import Dataset, Group, Partition, Site
from dynamo.dealer.config import DealerConfig
from dynamo.dealer.proposal import Proposal

TB = 10**12


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was decided on, and who proposed it."""

    plugin: str
    proposal: Proposal
    site: Site
    group: Group
    size: int


@dataclass(slots=True)
class Plan:
    """What a cycle decided, and what it left out with the reason."""

    copies: list[Copy] = field(default_factory=list)
    dropped: list[tuple[str, Proposal, str]] = field(default_factory=list)


class Planner:
    """Limits of sites and of a cycle.  The same proposals, image and dice give the same plan."""

    def __init__(self, config: DealerConfig, partition: Partition, group: Group, dice: random.Random) -> None:
        self._config = config
        self._partition = partition
        self._group = group
        self._dice = dice
        self._coming: dict[Site, int] = {}
        self._planned: set[tuple[Dataset, Site, frozenset[str]]] = set()

    def is_target(self, site: Site) -> bool:
        """Does the configuration let copies go there?"""
        if site.status != Site.STAT_READY or site.partitions[self._partition].quota == 0:
            return False
        fits = False
        for pattern in self._config.target_sites:
            if fnmatchcase(site.name, pattern.removeprefix("!")):
                fits = not pattern.startswith("!")
        return fits

    def occupancy(self, site: Site) -> float:
        """The part of a site's quota that is used once everything has come."""
        share = site.partitions[self._partition]
        if share.quota < 0:
            return 0.0
        return (share.used(physical=False) + self._coming.get(site, 0)) / share.quota

    def is_full(self, site: Site) -> bool:
        """Has it, or is it to get, as much as it may?"""
        share = site.partitions[self._partition]
        if share.quota < 0:
            return False
        pending = share.used(physical=False) - share.used() + self._coming.get(site, 0)
        return (
            self.occupancy(site) >= self._config.target_site_occupancy
            or pending / share.quota >= self._config.max_site_pending_fraction
        )

    def plan(self, proposals: dict[str, list[Proposal]], priorities: dict[str, int]) -> Plan:
        """Draw from plugins by the inverse of their priority until nothing is left, or the volume is reached."""
        plan = Plan()
        waiting = {name: list(found) for name, found in sorted(proposals.items()) if found}
        volume = 0
        limit = self._config.max_total_cycle_volume * TB
        while waiting and volume < limit:
            name = self._drawn(waiting, priorities)
            proposal = waiting[name].pop(0)
            if not waiting[name]:
                del waiting[name]
            chosen = self._site_for(proposal)
            if isinstance(chosen, str):
                plan.dropped.append((name, proposal, chosen))
                continue
            size = sum(
                block.size - (0 if (here := block.find_replica(chosen)) is None else here.size)
                for block in proposal.members
            )
            self._coming[chosen] = self._coming.get(chosen, 0) + size
            self._planned.add(_key(proposal, chosen))
            volume += size
            plan.copies.append(Copy(name, proposal, chosen, proposal.group or self._group, size))
        plan.dropped += [
            (name, proposal, "the volume of the cycle is used up")
            for name, found in waiting.items()
            for proposal in found
        ]
        return plan

    def _drawn(self, waiting: dict[str, list[Proposal]], priorities: dict[str, int]) -> str:
        first = [name for name in waiting if priorities.get(name, 0) == 0]
        if first:
            return self._dice.choice(first)
        names = list(waiting)
        return self._dice.choices(names, [1 / priorities[name] for name in names])[0]

    def _site_for(self, proposal: Proposal) -> Site | str:
        """Where a proposal goes, or why it does not."""
        dataset = proposal.dataset
        if dataset.status not in (Dataset.STAT_PRODUCTION, Dataset.STAT_VALID):
            return f"its status is {Dataset.status_name(dataset.status)}"
        if not all(any(replica.is_complete() for replica in block.replicas) for block in proposal.members):
            return "nobody has all of it"
        if proposal.destination is not None:
            return self._refusal(proposal, proposal.destination) or proposal.destination
        candidates = list(dataset_sites(proposal, self._partition))
        fitting = [site for site in candidates if self._refusal(proposal, site) is None]
        weights = [max(0.0, 1 - self.occupancy(site)) for site in fitting]
        if not any(weights):
            return "no site has room for it, or all have it"
        return self._dice.choices(fitting, weights)[0]

    def _refusal(self, proposal: Proposal, site: Site) -> str | None:
        if not self.is_target(site):
            return f"{site.name} gets no copies"
        if proposal.allowed is not None and site not in proposal.allowed:
            return f"{site.name} was not asked for"
        if _key(proposal, site) in self._planned or self._is_owned(proposal, site):
            return f"{site.name} has it already"
        if self.is_full(site):
            return f"{site.name} is full"
        return None

    def _is_owned(self, proposal: Proposal, site: Site) -> bool:
        group = proposal.group or self._group
        replica = site.find_dataset_replica(proposal.dataset)
        if replica is None or (proposal.blocks is None and not replica.growing):
            return False
        found = [replica.find_block_replica(block.name) for block in proposal.members]
        return all(member is not None and member.group is group for member in found)


def dataset_sites(proposal: Proposal, partition: Partition) -> list[Site]:
    """All sites of the inventory that a proposal may be drawn to, by name."""
    sites = proposal.allowed
    if sites is None:
        repository = proposal.dataset.repository
        sites = [] if repository is None else list(repository.sites.values())
    return sorted((site for site in sites if partition in site.partitions), key=lambda site: site.name)


def _key(proposal: Proposal, site: Site) -> tuple[Dataset, Site, frozenset[str]]:
    return proposal.dataset, site, frozenset(block.name for block in proposal.members)
