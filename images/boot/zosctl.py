"""`zosctl`: look at the units of a node.  It reads alone: nobody steers a node from its console."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from images.boot.control import ControlError, ask

USAGE = "usage: zosctl list | status UNIT | log [UNIT]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit status 0, 1 with one line of reason, 2 for wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in ("list", "status", "log") or len(words) > 2 or words == ["status"]:
        print(USAGE, file=sys.stderr)
        sys.exit(2)
    try:
        answer = ask({"do": words[0], "unit": words[1] if len(words) > 1 else ""})
    except ControlError as problem:
        print(f"zosctl: {problem}", file=sys.stderr)
        sys.exit(1)
    for line in answer.get("log", []):
        print(line)
    for unit in answer.get("units", [answer["unit"]] if "unit" in answer else []):
        waits = f"   waits for {', '.join(unit['waits_for'])}" if unit["waits_for"] else ""
        why = f"   {unit['why']}" if unit["why"] else ""
        print(
            f"{unit['name']:<14} {unit['state']:<9} {unit['age']:>9.1f} s   restarts {unit['restarts']}{waits}{why}"
        )
