"""Apply what was injected, and what file operations have done: `dynamo -W -t updater "…/exec/updater.py"`."""

import argparse
import sys

from dynamo.core.executable import inventory, read_only, registry
from dynamo.dataformat import DynamoError, wire
from dynamo.fileop.results import apply_finished

INJECTIONS = 10_000
FILES = 10_000
"""How many of each kind one run deals with."""


def main() -> None:
    """Deal with what waits; everything of a run happens together or not at all."""
    parser = argparse.ArgumentParser(prog="updater", description="Update the inventory by what has happened.")
    parser.parse_args()
    if read_only:
        sys.exit("updater: run it with -W")
    waiting = registry.ask("injections.waiting", limit=INJECTIONS)
    refused = 0
    for _, action, value in waiting:
        try:
            obj = wire.decode(value)
            if action == "update":
                inventory.update(obj)
            else:
                inventory.delete(obj)
        except DynamoError as error:
            refused += 1
            print(f"updater: {action} {value} is left out: {error}", file=sys.stderr)
    if waiting:
        registry.note("injections.forget", up_to=waiting[-1][0])
    finished = registry.ask("files.finished", limit=FILES)
    numbers = apply_finished(inventory, finished)
    if numbers:
        registry.note("files.forget", numbers=numbers)
    print(f"{len(waiting) - refused} injected, {refused} left out, {len(numbers)} file operations")


if __name__ == "__main__":
    main()
