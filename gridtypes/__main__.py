"""`python -m gridtypes hash|check FILE`: the hash of a deployment, or what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

from gridtypes import DecodeError, Deployment, InvalidDeployment

USAGE = "usage: python -m gridtypes hash|check FILE   (FILE is a deployment in JSON, - for standard input)"
MAX_FILE = 16 << 20
"""Bytes."""


def main(arguments: list[str]) -> int:
    """Exit status: 0 done, 1 failed (reason on stderr), 2 wrong usage."""
    if len(arguments) != 2 or arguments[0] not in ("hash", "check"):
        print(USAGE, file=sys.stderr)
        return 2
    verb, file = arguments
    try:
        deployment = Deployment.from_json(_read(file))
        if verb == "hash":
            print(deployment.challenge_hash().hex())
        else:
            deployment.check()
            print("valid")
    except (OSError, DecodeError, InvalidDeployment) as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 1
    return 0


def _read(file: str) -> bytes:
    if file == "-":
        raw = sys.stdin.buffer.read(MAX_FILE + 1)
    else:
        with Path(file).open("rb") as stream:
            raw = stream.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        raise DecodeError(f"larger than {MAX_FILE} bytes")
    return raw


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
