"""`python -m images.node --out DIR`: build the node's boot image into `DIR/node/image`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from images.cache_folder import cache_folder
from images.debian import ImageError
from images.node.build import build


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m images.node", description="Build the boot image.")
    parser.add_argument(
        "--out", type=Path, default=cache_folder(), help="cache folder (default: %(default)s)"
    )
    try:
        built = build(parser.parse_args().out, lambda text: print(text, file=sys.stderr, flush=True))
    except ImageError as problem:
        print(f"images.node: {problem}", file=sys.stderr)
        return 1
    for file in sorted(built.folder.iterdir()):
        print(f"{file.stat().st_size:>12}  {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
