"""The application `detox`: one cycle of a policy, on the inventory of the server that runs it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynamo.core import executable
from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import BlockReplica, DatasetReplica, DynamoError
from dynamo.detox.cycle import Cycle, Outcome, usage_of
from dynamo.detox.image import private_image
from dynamo.detox.policy import DetoxPolicy


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the application; ends the process with 1 when the policy cannot be used."""
    options = _options(arguments)
    try:
        policy = DetoxPolicy(Path(options.policy).read_text())
        cycle = Cycle(policy, private_image(executable.inventory, policy.partition))
        before = {share.site.name: usage_of(share) for share in cycle.targets}
        outcome = cycle.run()
        after = {share.site.name: usage_of(share) for share in cycle.targets}
    except (OSError, DynamoError) as error:
        sys.exit(f"detox: {error}")
    decisions = explained(policy, outcome)
    if options.json:
        print(json.dumps(decisions))
    else:
        _print(decisions, before, after)
    if options.test:
        print("This was a test; nothing is changed.", file=sys.stderr)
    elif executable.read_only:
        sys.exit("detox: run it with -W to disown what the policy deletes, or with --test to look only")
    else:
        disowned = disown(executable.inventory, outcome)
        print(f"{disowned} block replicas belong to nobody now.", file=sys.stderr)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="detox", description="Free space at sites by a policy.")
    parser.add_argument("-p", "--policy", required=True, help="file of the policy")
    parser.add_argument("-T", "--test", action="store_true", help="explain every decision, change nothing")
    parser.add_argument("--json", action="store_true", help="print decisions as JSON")
    return parser.parse_args(arguments)


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
                        "rule": number,
                        "line": lines[number],
                        "values": outcome.reasons.get((place, number), {}),
                    }
                )
    return sorted(found, key=lambda row: (str(row["site"]), str(row["dataset"]), str(row["decision"])))


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
            values = ", ".join(f"{name} = {value}" for name, value in row["values"].items())
            because = f"line {row['rule']} `{row['line']}`" if row["rule"] else f"default `{row['line']}`"
            print(f"  {row['decision']:8}{row['dataset']} ({', '.join(row['blocks'])}): {because}")
            if values:
                print(f"          because {values}")
