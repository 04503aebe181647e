"""The application `dealer`: one cycle of copies."""

from __future__ import annotations

import argparse
import importlib
import json
import random
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynamo.core import executable
from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import (
    BlockReplica,
    ConfigurationError,
    DatasetReplica,
    DynamoError,
    IntegrityError,
    ObjectError,
)
from dynamo.dealer.config import DealerConfig, PluginConfig, read_dealer_config
from dynamo.dealer.plan import Copy, Plan, Planner
from dynamo.dealer.proposal import Plugin, View
from dynamo.fileop.rlfsm import RLFSM
from dynamo.policy.producers import produce_values, read_values


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the application; ends the process with 1 when the configuration cannot be used."""
    parser = argparse.ArgumentParser(prog="dealer", description="Copy data to where they are wanted.")
    parser.add_argument("-c", "--config", required=True, help="file of the configuration")
    parser.add_argument("-m", "--message", default="", help="comment on this cycle, for history")
    parser.add_argument("-T", "--test", action="store_true", help="explain every decision, change nothing")
    parser.add_argument("--seed", type=int, help="make the draw again")
    parser.add_argument("--json", action="store_true", help="print decisions as JSON")
    options = parser.parse_args(arguments)
    try:
        config = read_dealer_config(Path(options.config))
        seed = secrets.randbits(32) if options.seed is None else options.seed
        view, plan = planned(executable.inventory, config, random.Random(seed))
    except (OSError, DynamoError) as error:
        sys.exit(f"dealer: {error}")
    _print(plan, options.json, seed)
    if options.test:
        print("This was a test; nothing is changed.", file=sys.stderr)
    elif executable.read_only:
        sys.exit("dealer: run it with -W to begin with the copies, or with --test to look only")
    else:
        files = carry_out(executable.inventory, plan.copies, RLFSM())
        _note(config, view, plan, options.message, options.config)
        print(f"{len(plan.copies)} copies, {files} files will come.", file=sys.stderr)


def planned(inventory: ObjectRepository, config: DealerConfig, dice: random.Random) -> tuple[View, Plan]:
    """What the plugins of a configuration propose, and what comes of it.

    Raises ConfigurationError, ObjectError for a partition or group that is unknown.
    """
    partition = inventory.partitions.get(config.partition_name)
    group = inventory.groups.get(config.group_name)
    if partition is None or group is None:
        unknown = f"group {config.group_name}" if partition else f"partition {config.partition_name}"
        raise ObjectError(f"Unknown {unknown}")
    if config.attrs is not None:
        produce_values(inventory, read_values(Path(config.attrs))[0])
    planner = Planner(config, partition, group, dice)
    view = View(inventory, partition, group, planner.is_target, executable.registry, time.time())
    proposals = {
        name: _plugin(name, plugin).proposals(view) for name, plugin in sorted(config.plugins.items())
    }
    priorities = {name: plugin.priority for name, plugin in config.plugins.items()}
    return view, planner.plan(proposals, priorities)


def _plugin(name: str, config: PluginConfig) -> Plugin:
    file, _, class_name = config.module.partition(":")
    try:
        found: type[Plugin] = getattr(importlib.import_module(f"dynamo.dealer.plugins.{file}"), class_name)
    except (ImportError, AttributeError):
        raise ConfigurationError(f"plugins.{name}: there is no plugin {config.module}") from None
    return found(config.config)


def carry_out(inventory: ObjectRepository, copies: list[Copy], operations: RLFSM) -> int:
    """Make the replicas of a plan, empty at first, and have their files come; how many files."""
    files = 0
    for copy in copies:
        dataset, site, whole = copy.proposal.dataset, copy.site, copy.proposal.blocks is None
        replica = site.find_dataset_replica(dataset)
        if replica is None or (whole and (not replica.growing or replica.group is not copy.group)):
            inventory.update(DatasetReplica(dataset, site, whole, copy.group if whole else None))
        for block in sorted(copy.proposal.members, key=lambda block: block.name):
            here = block.find_replica(site)
            if here is None:
                made = BlockReplica(
                    block, site, copy.group, size=0, last_update=int(time.time()), file_ids=()
                )
            else:
                size = -1 if here.file_ids is None else here.size
                custodial, moment = here.is_custodial, here.last_update
                made = BlockReplica(block, site, copy.group, custodial, size, moment, here.file_ids)
            embedded = inventory.update(made)
            try:
                files += operations.complete_replica(embedded)
            except IntegrityError as error:
                print(f"dealer: files of {block.full_name()} do not come: {error}", file=sys.stderr)
    return files


def _note(config: DealerConfig, view: View, plan: Plan, comment: str, path: str) -> None:
    registry = executable.registry
    registry.notes += view.notes
    actions: dict[int, list[tuple[str, str]]] = {}
    for copy in plan.copies:
        if copy.proposal.request_id is not None:
            places = [(item, copy.site.name) for item in copy.proposal.items]
            actions.setdefault(copy.proposal.request_id, []).extend(places)
    for number, places in sorted(actions.items()):
        registry.note("requests.activate", kind="copy", request_id=number, actions=places)
    token = secrets.token_hex(16)
    registry.note(
        "cycles.begin",
        token=token,
        operation="dealer",
        partition=config.partition_name,
        policy=Path(path).read_text(),
        sites=[],
        comment=comment,
    )
    registry.note("cycles.decide", token=token, decisions=_decisions(plan))


def _decisions(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "site": copy.site.name,
            "dataset": copy.proposal.dataset.name,
            "decision": "copy",
            "blocks": sorted(block.name for block in copy.proposal.members),
            "size": copy.size,
            "rule": 0,
            "line": copy.plugin,
            "values": {"group": copy.group.name},
        }
        for copy in plan.copies
    ]


def _print(plan: Plan, as_json: bool, seed: int) -> None:
    if as_json:
        dropped = [
            {"plugin": name, "item": str(proposal), "reason": reason}
            for name, proposal, reason in plan.dropped
        ]
        print(json.dumps({"seed": seed, "copies": _decisions(plan), "dropped": dropped}, default=str))
        return
    for copy in plan.copies:
        print(f"copy {copy.proposal} to {copy.site.name} for {copy.group.name} ({copy.plugin})")
    for name, proposal, reason in plan.dropped:
        print(f"not  {proposal} ({name}): {reason}")
    print(f"seed {seed}")
