"""One cycle of a policy on a private image: what goes, what stays, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dynamo.dataformat import BlockReplica, DatasetReplica, Group, Site, SitePartition
from dynamo.dataformat.repository import Repository
from dynamo.dataformat.sizes import readable_size
from dynamo.detox.policy import Action, DetoxPolicy, Rule, Verdict

PER_ITERATION = 0.01
"""How much of a site's quota goes before everything is looked at again."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A dataset at a site, by names."""

    site: str
    dataset: str


Blocks = dict[Place, dict[int, list[str]]]
"""Names of blocks by rule, for every place."""


@dataclass(slots=True)
class Outcome:
    """What a cycle decided.  Rules are counted as in `Rule.number`."""

    deleted: Blocks = field(default_factory=dict)
    kept: Blocks = field(default_factory=dict)
    protected: Blocks = field(default_factory=dict)
    reowned: dict[Place, dict[str, str]] = field(default_factory=dict)
    growing_after: dict[Place, bool] = field(default_factory=dict)
    reasons: dict[tuple[Place, int], dict[str, Any]] = field(default_factory=dict)
    """What the variables of a rule were when it decided about a place; for one that dismisses those of the site's
    trigger and release, too, and of the order when the place was next."""


@dataclass(slots=True)
class _Candidate:
    replica: DatasetReplica
    rule: Rule
    blocks: list[BlockReplica]


class Cycle:
    """Runs a policy on an image, which it changes.  The same image gives the same decisions."""

    def __init__(self, policy: DetoxPolicy, image: Repository, per_iteration: float = PER_ITERATION) -> None:
        self._policy = policy
        self._image = image
        self._per_iteration = per_iteration
        self._outcome = Outcome()
        partition = image.partitions[policy.partition]
        shares = [site.partitions[partition] for _, site in sorted(image.sites.items())]
        self.targets = [share for share in shares if policy.is_target(share)]
        self._triggered = {share.site for share in self.targets if policy.is_triggered(share)}
        self._shares = {share.site: share for share in self.targets}
        self._states: dict[Site, dict[str, Any]] = {}

    def run(self) -> Outcome:
        """Go on until there is nothing more to delete."""
        while True:
            candidates = self._look()
            if not candidates:
                return self._outcome
            if self._policy.iterative:
                site = self._most_protected(candidates)
                self._empty(site, candidates[site], self._per_iteration)
                continue
            for site in sorted(candidates, key=lambda site: site.name):
                left = self._empty(site, candidates[site], None)
                for candidate in left:
                    self._keep(candidate.replica, candidate.rule, candidate.blocks)
            return self._outcome

    def _look(self) -> dict[Site, list[_Candidate]]:
        """Evaluate all replicas anew, and delete at once what rules want deleted."""
        self._outcome.kept, self._outcome.protected = {}, {}
        self._states.clear()
        candidates: dict[Site, list[_Candidate]] = {}
        verdicts = [
            (replica, self._policy.evaluate(replica))
            for share in self.targets
            for replica in sorted(share.replicas, key=lambda replica: replica.dataset.name)
        ]
        for replica, found in verdicts:
            for verdict in found:
                blocks = list(verdict.blocks)
                match verdict.action:
                    case Action.DELETE | Action.DELETE_BLOCK:
                        self._delete(replica, verdict.rule, blocks, whole=verdict.whole)
                    case Action.PROTECT | Action.PROTECT_BLOCK:
                        self._note(self._outcome.protected, replica, verdict.rule, blocks)
                    case Action.DISMISS | Action.DISMISS_BLOCK:
                        if replica.site in self._triggered:
                            handed_over = [] if not verdict.whole else self._handed_over(replica, found)
                            candidate = _Candidate(replica, verdict.rule, blocks + handed_over)
                            candidates.setdefault(replica.site, []).append(candidate)
                        else:
                            self._keep(replica, verdict.rule, blocks)
        return candidates

    @staticmethod
    def _handed_over(replica: DatasetReplica, verdicts: list[Verdict]) -> list[BlockReplica]:
        """Blocks that a rule wanted deleted and that are still there, because another group took them."""
        taken = [
            member
            for verdict in verdicts
            if verdict.action is Action.DELETE_BLOCK
            for member in verdict.blocks
        ]
        here = replica.block_replicas
        return [member for member in taken if member in here]

    def _most_protected(self, candidates: dict[Site, list[_Candidate]]) -> Site:
        protected = dict.fromkeys(candidates, 0)
        for place, rules in self._outcome.protected.items():
            site = self._image.sites[place.site]
            if site in protected:
                dataset = self._image.datasets[place.dataset]
                for names in rules.values():
                    for name in names:
                        replica = dataset.find_block(name, must_find=True)
                        member = None if replica is None else replica.find_replica(site)
                        protected[site] += member.size if member is not None else 0

        def fraction(site: Site) -> float:
            quota = self._shares[site].quota
            return protected[site] / quota if quota > 0 else 1.0

        return min(candidates, key=lambda site: (-fraction(site), site.name))

    def _empty(self, site: Site, candidates: list[_Candidate], fraction: float | None) -> list[_Candidate]:
        """Delete at a site in order until it is released, or a part of its quota has gone; what is left."""
        share = self._shares[site]
        order = self._policy.order
        waiting = sorted(
            candidates,
            key=lambda found: (order.key(found.replica), found.replica.dataset.name, found.rule.number),
        )
        gone, state = 0, self._state_of(share)
        while waiting:
            if self._policy.is_released(share):
                self._triggered.discard(site)
                break
            if fraction is not None and gone > 0 and gone >= fraction * abs(share.quota):
                break
            candidate = waiting.pop(0)
            gone += sum(member.size for member in candidate.blocks)
            because = {**state, **order.values(candidate.replica)}
            self._delete(candidate.replica, candidate.rule, candidate.blocks, whole=True, because=because)
            gone = max(gone, 1)
        self._states.pop(site, None)
        return waiting

    def _state_of(self, share: SitePartition) -> dict[str, Any]:
        """What decides whether something is deleted at a site, as of the last look at it."""
        if share.site not in self._states:
            found = self._states.setdefault(share.site, {})
            for condition in (*self._policy.when, *self._policy.until):
                if not set(condition.names) <= set(found):
                    found.update(condition.values(share))
        return self._states[share.site]

    def _keep(self, replica: DatasetReplica, rule: Rule, blocks: list[BlockReplica]) -> None:
        because = self._state_of(self._shares[replica.site])
        self._note(self._outcome.kept, replica, rule, blocks, because)

    def _delete(
        self,
        replica: DatasetReplica,
        rule: Rule,
        blocks: list[BlockReplica],
        whole: bool,
        because: dict[str, Any] | None = None,
    ) -> None:
        if not whole:
            blocks = [member for member in blocks if not self._hand_over(replica, member)]
        if not blocks:
            return
        place = _place(replica)
        self._note(self._outcome.deleted, replica, rule, blocks, because)
        for member in blocks:
            self._outcome.reowned.get(place, {}).pop(member.block.name, None)
            member.unlink(self._image)
        if not self._outcome.reowned.get(place, True):
            del self._outcome.reowned[place]
        self._outcome.growing_after[place] = replica.growing and replica.num_block_replicas > 0

    def _hand_over(self, replica: DatasetReplica, member: BlockReplica) -> bool:
        """Give a block of a group of single blocks to one that owns the dataset here, if there is one."""
        if member.group.olevel != Group.OL_BLOCK:
            return False
        owners = {
            other.group.name: other.group
            for other in replica.block_replicas
            if other.group.name is not None and other.group.olevel == Group.OL_DATASET
        }
        if not owners:
            return False
        name = min(owners)
        member.group = owners[name]
        self._image.membership.block_replica_changed(member)
        self._outcome.reowned.setdefault(_place(replica), {})[member.block.name] = name
        return True

    def _note(
        self,
        where: Blocks,
        replica: DatasetReplica,
        rule: Rule,
        blocks: list[BlockReplica],
        because: dict[str, Any] | None = None,
    ) -> None:
        values = {} if rule.condition is None else rule.condition.values(replica)
        self._outcome.reasons[_place(replica), rule.number] = {**values, **(because or {})}
        names = where.setdefault(_place(replica), {}).setdefault(rule.number, [])
        names[:] = sorted({*names, *(member.block.name for member in blocks)})


def _place(replica: DatasetReplica) -> Place:
    return Place(replica.site.name, replica.dataset.name)


def usage_of(share: SitePartition) -> str:
    """How full a site is, for people."""
    quota, used = share.quota, readable_size(share.used())
    if quota <= 0:
        return f"{used}, {'no' if quota == 0 else 'unlimited'} quota"
    return f"{used} of {readable_size(quota)} ({100 * share.occupancy_fraction():.1f} %)"
