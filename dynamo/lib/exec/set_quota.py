"""Set quotas: `dynamo -W -t set_quota "…/exec/set_quota.py -s SITE -g PARTITION -v TB"`."""

import argparse
import sys

from dynamo.core.executable import inventory, read_only
from dynamo.dataformat import DynamoError, SitePartition

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
    options = parser.parse_args()
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
        wanted = share.quota * options.scale if options.volume is None else options.volume * TB
        inventory.update(SitePartition(name, partition.name, int(wanted)))
    print(f"{name} {partition.name}: {share.quota / TB:.3f} TB")


if __name__ == "__main__":
    main()
