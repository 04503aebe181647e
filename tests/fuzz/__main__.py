"""Fuzz one target, or all of them in turn: `python -m tests.fuzz [TARGET…] [--runs N] [--seconds S]`.

What breaks a target is left in the folder `.fuzz` as `crash-…`, and the exit status is 1.  `--replay FILE` reads one
such file again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(".fuzz")
MEMORY_MIB = 1024
INPUT_BYTES = 8192
ONE_INPUT_S = 20


def main() -> int:
    wanted = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    wanted.add_argument("targets", nargs="*", help="default: all")
    wanted.add_argument("--runs", type=int, default=-1)
    wanted.add_argument("--seconds", type=int, default=60)
    wanted.add_argument("--folder", type=Path, default=FOLDER, help="corpus and findings")
    wanted.add_argument("--replay", type=Path)
    wanted.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = wanted.parse_args()
    if chosen.here:
        _fuzz(chosen.targets[0], chosen.folder, chosen.runs, chosen.seconds)
        return 0
    from tests.fuzz.targets import TARGETS

    unknown = set(chosen.targets) - set(TARGETS)
    if unknown or (chosen.replay and len(chosen.targets) != 1):
        print(f"give names out of: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    if chosen.replay:
        TARGETS[chosen.targets[0]].read(chosen.replay.read_bytes())
        return 0
    return _each(chosen.targets or TARGETS, chosen)


def _each(names: Iterable[str], chosen: argparse.Namespace) -> int:
    """A process for each: the fuzzer takes its process over, and ends it."""
    broken = []
    for name in names:
        print(f"== {name}", flush=True)
        limits = [
            "--runs",
            str(chosen.runs),
            "--seconds",
            str(chosen.seconds),
            "--folder",
            str(chosen.folder),
        ]
        command = [sys.executable, "-m", "tests.fuzz", name, "--here", *limits]
        with tempfile.TemporaryDirectory(prefix="fuzz-") as rest:  # a fuzzer's end cleans nothing up
            done = subprocess.run(command, env={**os.environ, "TMPDIR": rest}, check=False)
        if done.returncode:
            broken.append(name)
    if broken:
        print(f"broken: {', '.join(broken)}; see {chosen.folder}", file=sys.stderr)
    return bool(broken)


def _fuzz(name: str, folder: Path, runs: int, seconds: int) -> None:
    import atheris  # type: ignore[import-untyped,unused-ignore]  # comes without types

    with atheris.instrument_imports(include=["gridtypes", "rmb", "tfchain"]):
        from tests.fuzz.targets import ANY, TARGETS
    target = TARGETS.get(name, ANY)

    def once(raw: bytes) -> None:
        try:
            target.read(raw)
        except target.refuses:
            pass

    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
        once(seed)
    options = {
        "atheris_runs": runs,
        "max_total_time": seconds,
        "max_len": INPUT_BYTES,
        "rss_limit_mb": MEMORY_MIB,
        "timeout": ONE_INPUT_S,
        "artifact_prefix": f"{folder}/{name}-",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    atheris.Setup([name, *(f"-{key}={value}" for key, value in options.items()), str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
