"""Variables that conditions ask for, of datasets, replicas and sites."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dynamo.dataformat.blockreplica import BlockReplica
from dynamo.dataformat.dataset import STATUS as DATASET_STATUS
from dynamo.dataformat.dataset import Dataset
from dynamo.dataformat.datasetreplica import DatasetReplica
from dynamo.dataformat.exceptions import OperationalError
from dynamo.dataformat.partition import Reach
from dynamo.dataformat.site import STATUS as SITE_STATUS
from dynamo.dataformat.site import STORAGE_TYPE, Site
from dynamo.dataformat.sitepartition import SitePartition
from dynamo.policy.predicates import NUMBER, TEXT, TIME, TRUTH, ValueType


class Level(Enum):
    """What kind of object a variable is asked of."""

    DATASET = "dataset"
    REPLICA = "dataset replica"
    BLOCK_REPLICA = "block replica"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: whom it is asked of, how its values are written, and where they come from.

    `attr` names the entry of `Dataset.attr` that a producer has to fill in first.
    """

    level: Level
    type: ValueType
    get: Callable[[Any], Any]
    reach: Reach = Reach.OWN
    attr: str | None = None


def _from_attr(level: Level, value_type: ValueType, attr: str) -> Variable:
    default = False if value_type is TRUTH else 0

    def of_dataset(dataset: Dataset) -> Any:
        return dataset.attr.get(attr, default)

    if level is Level.DATASET:
        return Variable(level, value_type, of_dataset, attr=attr)
    return Variable(level, value_type, lambda replica: of_dataset(replica.dataset), attr=attr)


def _on_tape(dataset: Dataset) -> str:
    found = "NONE"
    for replica in dataset.replicas:
        if replica.site.storage_type == Site.TYPE_MSS:
            if replica.is_full():
                return "FULL"
            found = "PARTIAL"
    return found


def _release(dataset: Dataset) -> str:
    version = dataset.software_version
    if not isinstance(version, tuple) or len(version) != 4:
        raise OperationalError(f"Version {version!r} of {dataset.name} is no release of four parts")
    return "_".join(str(part) for part in (version if version[3] else version[:3]))


def _ready_disk(site: Site) -> bool:
    return site.storage_type == Site.TYPE_DISK and site.status == Site.STAT_READY


def _num_full_disk_copy(dataset: Dataset) -> int:
    return sum(1 for replica in dataset.replicas if _ready_disk(replica.site) and replica.is_full())


def _owners(replica: DatasetReplica) -> set[str | None]:
    return {member.group.name for member in replica.block_replicas}


def _full_disk_common_owner(replica: DatasetReplica) -> int:
    owners = _owners(replica)
    return sum(
        1
        for other in replica.dataset.replicas
        if _ready_disk(other.site) and other.is_full() and owners & _owners(other)
    )


def _full_other_common_owner(replica: DatasetReplica) -> int:
    owners = _owners(replica)
    return sum(
        1
        for other in replica.dataset.replicas
        if other is not replica
        and other.site.status == Site.STAT_READY
        and other.is_full()
        and owners & _owners(other)
    )


def _first_block_created(replica: DatasetReplica) -> int:
    return min((member.last_update for member in replica.block_replicas), default=0)


def _enforcer_protected(replica: DatasetReplica) -> bool:
    return replica in replica.dataset.attr.get("enforcer_protected_replicas", ())


def _is_last_transfer_source(replica: BlockReplica) -> bool:
    if not replica.is_complete():
        return False
    waiting = False
    for other in replica.block.replicas:
        if other is replica:
            continue
        if not other.is_complete():
            waiting = True
        elif _ready_disk(other.site):
            return False
    return waiting


def _is_locked(replica: BlockReplica) -> bool:
    by_site = replica.block.dataset.attr.get("locked_blocks", {})
    if replica.site not in by_site:
        return False
    blocks = by_site[replica.site]
    return blocks is None or replica.block in blocks


def _complete_copies(replica: BlockReplica) -> int:
    return sum(1 for other in replica.block.replicas if other.is_complete())


def _block_on_tape(replica: BlockReplica) -> bool:
    return replica.is_complete() and any(
        other.site.storage_type == Site.TYPE_MSS and other.is_complete() for other in replica.block.replicas
    )


def _relative_age(replica: BlockReplica) -> Any:
    ages = replica.block.dataset.attr.get("blockreplica_relative_age", {})
    return ages.get(replica, 0)


def _name(owner: Any) -> str:
    return str(owner.name)


_ON_TAPE = ValueType("word", ("NONE", "PARTIAL", "FULL"))
_D, _R, _B, _S = Level.DATASET, Level.REPLICA, Level.BLOCK_REPLICA, Level.SITE

SITE_VARIABLES: dict[str, Variable] = {
    "site.name": Variable(_S, TEXT, _name),
    "site.status": Variable(_S, ValueType("word", SITE_STATUS), lambda site: site.status),
    "site.storage_type": Variable(_S, ValueType("word", STORAGE_TYPE), lambda site: site.storage_type),
}
"""Variables of the site of a replica."""

REPLICA_VARIABLES: dict[str, Variable] = {
    "dataset.name": Variable(_D, TEXT, _name),
    "dataset.status": Variable(_D, ValueType("word", DATASET_STATUS), lambda dataset: dataset.status),
    "dataset.on_tape": Variable(_D, _ON_TAPE, _on_tape, Reach.FLEET),
    "dataset.size": Variable(_D, NUMBER, lambda dataset: dataset.size, Reach.CONTENT),
    "dataset.last_update": Variable(_D, TIME, lambda dataset: dataset.last_update),
    "dataset.num_full_disk_copy": Variable(_D, NUMBER, _num_full_disk_copy, Reach.FLEET),
    "dataset.release": Variable(_D, TEXT, _release),
    "dataset.last_access": _from_attr(_D, TIME, "last_access"),
    "dataset.usage_rank": _from_attr(_D, NUMBER, "global_usage_rank"),
    "dataset.demand_rank": _from_attr(_D, NUMBER, "global_demand_rank"),
    "dataset.tape_copy_requested": _from_attr(_D, TRUTH, "tape_copy_requested"),
    "dataset.is_latest_production_release": _from_attr(_D, TRUTH, "latest_production_release"),
    "dataset.on_protected_site": _from_attr(_D, TRUTH, "on_protected_site"),
    "dataset.unknown_in_all_dbs": _from_attr(_D, TRUTH, "unknown_in_all_dbs"),
    "dataset.unhandled_copy_exists": _from_attr(_D, TRUTH, "unhandled_copy_exists"),
    "replica.num_access": _from_attr(_R, NUMBER, "num_access"),
    "replica.size": Variable(_R, NUMBER, lambda replica: replica.size(), Reach.CONTENT),
    "replica.incomplete": Variable(_R, TRUTH, lambda replica: not replica.is_complete(), Reach.CONTENT),
    "replica.last_block_created": Variable(
        _R, TIME, lambda replica: replica.last_block_created(), Reach.CONTENT
    ),
    "replica.first_block_created": Variable(_R, TIME, _first_block_created, Reach.CONTENT),
    "replica.num_full_disk_copy_common_owner": Variable(_R, NUMBER, _full_disk_common_owner, Reach.FLEET),
    "replica.num_full_other_copy_common_owner": Variable(_R, NUMBER, _full_other_common_owner, Reach.FLEET),
    "replica.enforcer_protected": Variable(
        _R, TRUTH, _enforcer_protected, attr="enforcer_protected_replicas"
    ),
    "blockreplica.is_last_transfer_source": Variable(_B, TRUTH, _is_last_transfer_source, Reach.FLEET),
    "blockreplica.last_update": Variable(_B, TIME, lambda replica: replica.last_update),
    "blockreplica.owner": Variable(_B, TEXT, lambda replica: str(replica.group.name)),
    "blockreplica.is_locked": Variable(_B, TRUTH, _is_locked, attr="locked_blocks"),
    "blockreplica.num_full_disk_copy": Variable(_B, NUMBER, _complete_copies, Reach.FLEET),
    "blockreplica.on_tape": Variable(_B, TRUTH, _block_on_tape, Reach.FLEET),
    "blockreplica.age_relative_to_newest": Variable(
        _B, NUMBER, _relative_age, attr="blockreplica_relative_age"
    ),
    **SITE_VARIABLES,
}
"""Variables of conditions on replicas."""


def _share(owner: Site | SitePartition) -> SitePartition:
    if isinstance(owner, SitePartition):
        return owner
    raise OperationalError(f"Site {owner.name} alone has no quota; ask one of its partitions")


def _of_site(variable: Variable) -> Variable:
    def get(owner: Site | SitePartition) -> Any:
        return variable.get(owner.site if isinstance(owner, SitePartition) else owner)

    return Variable(_S, variable.type, get)


SITE_CONDITION_VARIABLES: dict[str, Variable] = {
    **{name: _of_site(variable) for name, variable in SITE_VARIABLES.items()},
    "site.occupancy": Variable(_S, NUMBER, lambda owner: _share(owner).occupancy_fraction()),
    "site.quota": Variable(_S, NUMBER, lambda owner: _share(owner).quota),
    "never": Variable(_S, TRUTH, lambda owner: _share(owner) is None),
    "always": Variable(_S, TRUTH, lambda owner: _share(owner) is not None),
}
"""Variables of conditions on sites and on their shares of a partition."""
