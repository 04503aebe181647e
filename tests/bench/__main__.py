"""Run every `bench_*.py` of this folder in turn, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT_S = 900


def main() -> int:
    """Exit status 1 when one of them failed."""
    wanted = sys.argv[1:]
    failed = []
    for file in sorted(Path(__file__).parent.glob("bench_*.py")):
        name = file.stem.removeprefix("bench_")
        if wanted and not any(name == each or name.startswith(f"{each}_") for each in wanted):
            continue
        print(f"\n== {name}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"tests.bench.{file.stem}"], timeout=LIMIT_S, check=False
        )
        if done.returncode != 0:
            failed.append(file.stem)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
