"""The application `detox`: one cycle of a policy, on the inventory of the server that runs it."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynamo.core import executable
from dynamo.core.objectrepository import ObjectRepository
from dynamo.core.registry.access import Registry
from dynamo.dataformat import BlockReplica, Configuration, DatasetReplica, DynamoError, IntegrityError
from dynamo.dataformat.repository import Repository
from dynamo.detox.cycle import Cycle, Outcome, Place, usage_of
from dynamo.detox.image import private_image
from dynamo.detox.policy import DetoxPolicy
from dynamo.fileop.rlfsm import RLFSM
from dynamo.policy.producers import (
    ENFORCED,
    LOCKED,
    EnforcerRule,
    produce_enforced,
    produce_locks,
    produce_values,
    read_values,
)

DECISIONS_AT_ONCE = 2000
"""How many decisions are handed to history at a time."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the application; ends the process with 1 when the policy cannot be used."""
    options = _options(arguments)
    try:
        text = Path(options.policy).read_text()
        rules = _enforcer_rules(options.config)
        values, names = ({}, set()) if options.attrs is None else read_values(Path(options.attrs))
        policy = DetoxPolicy(text, names | ({LOCKED, ENFORCED} if rules else {LOCKED}))
        image = private_image(executable.inventory, policy.partition)
        produce_values(image, values)
        _produce(image, policy, rules)
        cycle = Cycle(policy, image)
        sites = [
            {"site": share.site.name, "quota": share.quota, "before": share.used()} for share in cycle.targets
        ]
        before = {share.site.name: usage_of(share) for share in cycle.targets}
        outcome = cycle.run()
        after = {share.site.name: usage_of(share) for share in cycle.targets}
        for site, share in zip(sites, cycle.targets, strict=True):
            site["after"] = share.used()
    except (OSError, DynamoError) as error:
        sys.exit(f"detox: {error}")
    decisions = explained(policy, outcome)
    if options.json:
        print(json.dumps(decisions))
    else:
        _print(decisions, before, after)
    if executable.authorized and (options.test or not executable.read_only):
        note_cycle(
            executable.registry, policy.partition, text, sites, decisions, options.message, options.test
        )
    if options.test:
        print("This was a test; nothing is changed.", file=sys.stderr)
    elif executable.read_only:
        sys.exit("detox: run it with -W to disown what the policy deletes, or with --test to look only")
    else:
        disowned = disown(executable.inventory, outcome)
        print(f"{disowned} block replicas belong to nobody now.", file=sys.stderr)
        schedule_deletions(executable.inventory, outcome)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="detox", description="Free space at sites by a policy.")
    parser.add_argument("-p", "--policy", required=True, help="file of the policy")
    parser.add_argument(
        "-c", "--config", help="JSON with `enforcer`: its `rules`, as the plugin of the dealer has them"
    )
    parser.add_argument("-a", "--attrs", help="JSON with attributes of datasets, by name")
    parser.add_argument("-m", "--message", default="", help="comment on this cycle, for history")
    parser.add_argument("-T", "--test", action="store_true", help="explain every decision, change nothing")
    parser.add_argument("--json", action="store_true", help="print decisions as JSON")
    return parser.parse_args(arguments)


def _enforcer_rules(path: str | None) -> list[EnforcerRule]:
    config = Configuration(path)
    enforcer = config.get("enforcer", None)
    rules = {} if enforcer is None else dict(enforcer.get("rules", {}))
    return [EnforcerRule(name, rule) for name, rule in sorted(rules.items())]


def _produce(image: Repository, policy: DetoxPolicy, rules: list[EnforcerRule]) -> None:
    if LOCKED in policy.required_attrs:
        produce_locks(image, executable.registry.ask("deletion_locks.listed"))
    if ENFORCED in policy.required_attrs:
        produce_enforced(image, rules)


def note_cycle(
    registry: Registry,
    partition: str,
    policy: str,
    sites: list[dict[str, Any]],
    decisions: list[dict[str, Any]],
    comment: str,
    is_test: bool,
) -> None:
    """Have a cycle and all its decisions kept in history."""
    token = secrets.token_hex(16)
    registry.note(
        "cycles.begin",
        token=token,
        operation="detox",
        partition=partition,
        policy=policy,
        sites=sites,
        comment=comment,
        is_test=is_test,
    )
    for begin in range(0, len(decisions), DECISIONS_AT_ONCE):
        registry.note("cycles.decide", token=token, decisions=decisions[begin : begin + DECISIONS_AT_ONCE])


def schedule_deletions(inventory: ObjectRepository, outcome: Outcome) -> None:
    """Have the files of all deleted blocks leave their sites."""
    operations = RLFSM()
    count = 0
    for place, rules in sorted(outcome.deleted.items()):
        replica = inventory.datasets[place.dataset].find_replica(place.site, must_find=True)
        assert replica is not None
        for name in sorted({name for names in rules.values() for name in names}):
            member = replica.find_block_replica(name, must_find=True)
            assert member is not None
            try:
                count += operations.empty_replica(member)
            except IntegrityError as error:
                print(f"detox: files of {member.block.full_name()} are left alone: {error}", file=sys.stderr)
    print(f"{count} files will leave their sites.", file=sys.stderr)


def explained(policy: DetoxPolicy, outcome: Outcome) -> list[dict[str, Any]]:
    """Every decision with the line that made it and the values that the line looked at, by site and dataset."""
    lines = {0: str(policy.default), **{rule.number: str(rule) for rule in policy.rules}}
    found = []
    for word, blocks in (
        ("delete", outcome.deleted),
        ("keep", outcome.kept),
        ("protect", outcome.protected),
    ):
        for place, rules in blocks.items():
            for number, names in rules.items():
                found.append(
                    {
                        "site": place.site,
                        "dataset": place.dataset,
                        "decision": word,
                        "blocks": names,
                        "size": _size(executable.inventory, place, names),
                        "rule": number,
                        "line": lines[number],
                        "values": outcome.reasons.get((place, number), {}),
                    }
                )
    return sorted(found, key=lambda row: (str(row["site"]), str(row["dataset"]), str(row["decision"])))


def _size(inventory: ObjectRepository, place: Place, names: list[str]) -> int:
    replica = inventory.datasets[place.dataset].find_replica(place.site, must_find=True)
    wanted = set(names)
    members = () if replica is None else replica.block_replicas
    return sum(member.size for member in members if member.block.name in wanted)


def disown(inventory: ObjectRepository, outcome: Outcome) -> int:
    """Take the owner from every block replica that is to be deleted, and stop replicas from growing; how many.

    Whoever moves files deletes what belongs to nobody.
    """
    count = 0
    for place, rules in sorted(outcome.deleted.items()):
        replica = inventory.datasets[place.dataset].find_replica(place.site, must_find=True)
        assert replica is not None
        if replica.growing and not outcome.growing_after.get(place, True):
            inventory.update(DatasetReplica(replica.dataset, replica.site, False, replica.group))
        for name in sorted({name for names in rules.values() for name in names}):
            _give(inventory, replica, name, None)
            count += 1
    for place, owners in sorted(outcome.reowned.items()):
        replica = inventory.datasets[place.dataset].find_replica(place.site, must_find=True)
        assert replica is not None
        for name, group in sorted(owners.items()):
            _give(inventory, replica, name, group)
    return count


def _give(inventory: ObjectRepository, replica: DatasetReplica, block: str, group: str | None) -> None:
    member = replica.find_block_replica(block, must_find=True)
    assert member is not None
    size = -1 if member.file_ids is None else member.size
    inventory.update(
        BlockReplica(
            member.block,
            replica.site,
            group,
            member.is_custodial,
            size,
            member.last_update,
            member.file_ids,
        )
    )


def _print(decisions: list[dict[str, Any]], before: dict[str, str], after: dict[str, str]) -> None:
    for site, usage in before.items():
        print(f"{site}: {usage}; afterwards {after[site]}")
        for row in decisions:
            if row["site"] != site:
                continue
            values = ", ".join(f"{name} = {_readable(value)}" for name, value in row["values"].items())
            because = f"line {row['rule']} `{row['line']}`" if row["rule"] else f"default `{row['line']}`"
            print(f"  {row['decision']:8}{row['dataset']} ({', '.join(row['blocks'])}): {because}")
            if values:
                print(f"          because {values}")


def _readable(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
