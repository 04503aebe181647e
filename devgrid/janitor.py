"""Wait for the supervisor's end and remove what the kernel does not remove by itself.

Namespaces, links, mounts, loop devices and processes go with the supervisor.  Its control groups, its pid file and
the profile of the `zos` command do not; this small process, in a session of its own, waits for the end, however it
comes, and removes them.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from devgrid.processes import ProcessMark

CGROUP_ROOT = Path("/sys/fs/cgroup")
TRIES = 100


def remove_cgroups(name: str, root: Path = CGROUP_ROOT) -> list[Path]:
    """Remove the control groups `name` below every controller; returns those that would not go.

    A group can be removed once its last process is gone, which takes a moment after a kill.
    """
    tops = [path for path in (root / name, *root.glob(f"*/{name}")) if path.is_dir()]
    for attempt in range(TRIES):
        tops = [top for top in tops if not _remove_tree(top)]
        if not tops:
            return []
        time.sleep(0.05 if attempt < 20 else 0.2)
    return tops


def _remove_tree(top: Path) -> bool:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mark", type=Path, required=True, help="file that names the supervisor")
    parser.add_argument("--cgroup", required=True)
    parser.add_argument("--remove", type=Path, action="append", default=[], help="file to remove afterwards")
    options = parser.parse_args()
    mark = ProcessMark.load(options.mark)
    if mark is not None:
        mark.wait()
    remove_cgroups(options.cgroup)
    for path in (*options.remove, options.mark):
        if path != options.mark or ProcessMark.load(path) == mark:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
