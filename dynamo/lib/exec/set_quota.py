"""Set quotas: `dynamo -W -t set_quota "…/exec/set_quota.py -s SITE -g PARTITION -v TB"`.

With `-a` the other parts of the union that the partition belongs to get what it gives, and give what it gets, by their
shares, so that the quota of the union stays.
"""

import argparse
import sys

from dynamo.core.executable import inventory, read_only
from dynamo.dataformat import DynamoError, Partition, Site, SitePartition

TB = 10**12


def main() -> None:
    """Set, scale or show quotas; ends the process with 1 when one cannot be."""
    parser = argparse.ArgumentParser(prog="set_quota", description="Quotas of sites for a partition.")
    parser.add_argument("-s", "--site", nargs="+", required=True, help="names of sites")
    parser.add_argument("-g", "--partition", required=True, help="name of the partition")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("-v", "--volume", type=float, help="TB; negative = unlimited")
    action.add_argument("-c", "--scale", type=float, help="factor for the present quota")
    action.add_argument("-d", "--dump", action="store_true", help="show only")
    parser.add_argument("-a", "--adjust", action="store_true", help="keep the quota of the union constant")
    options = parser.parse_args()
    if options.adjust and options.dump:
        parser.error("-a goes with -v or -c")
    try:
        for name in options.site:
            _site(name, options)
    except DynamoError as error:
        sys.exit(f"set_quota: {error}")
    if read_only and not options.dump:
        print("This was without -W; nothing is changed.", file=sys.stderr)


def _site(name: str, options: argparse.Namespace) -> None:
    site, partition = inventory.sites.get(name), inventory.partitions.get(options.partition)
    if site is None or partition is None:
        unknown = f"site {name}" if site is None else f"partition {options.partition}"
        sys.exit(f"set_quota: Unknown {unknown}")
    share = site.partitions[partition]
    if not options.dump:
        if partition.subpartitions is not None:
            sys.exit(f"set_quota: the quota of {partition.name} is the sum of its parts'; set these")
        wanted = int(share.quota * options.scale if options.volume is None else options.volume * TB)
        if options.adjust:
            _adjust_others(site, partition, wanted)
        inventory.update(SitePartition(name, partition.name, wanted))
    print(f"{name} {partition.name}: {share.quota / TB:.3f} TB")


def _adjust_others(site: Site, partition: Partition, wanted: int) -> None:
    unions = [union for union in inventory.partitions.values() if partition in (union.subpartitions or ())]
    if len(unions) != 1:
        sys.exit(f"set_quota: {partition.name} is part of {len(unions)} unions; -a needs exactly one")
    others = [part for part in unions[0].subpartitions or () if part is not partition]
    quotas = [site.partitions[part].quota for part in others]
    total = sum(quotas) + site.partitions[partition].quota
    left = total - wanted
    if wanted < 0 or left < 0 or (left > 0 and not any(quotas)):
        sys.exit(f"set_quota: the other parts of {unions[0].name} at {site.name} cannot make up for that")
    for part, quota in zip(others, _shared_out(left, quotas), strict=True):
        inventory.update(SitePartition(site.name, part.name, quota))
        print(f"{site.name} {part.name}: {quota / TB:.3f} TB")


def _shared_out(total: int, shares: list[int]) -> list[int]:
    """Parts of a total in the ratio of shares, to the byte."""
    found, given, seen = [], 0, 0
    for share in shares:
        seen += share
        until = total * seen // (sum(shares) or 1)
        found.append(until - given)
        given = until
    return found


if __name__ == "__main__":
    main()
