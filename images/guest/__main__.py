"""`python -m images.guest --out DIR`: build guest kernel and initrd into `DIR/guest`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from images.cache_folder import cache_folder
from images.debian import ImageError
from images.guest.build import build


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m images.guest", description="Build guest kernel and initrd."
    )
    parser.add_argument(
        "--out", type=Path, default=cache_folder(), help="cache folder (default: %(default)s)"
    )
    try:
        print(build(parser.parse_args().out))
    except ImageError as problem:
        print(f"images.guest: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
