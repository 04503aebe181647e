"""The process that works on one batch of the local back-end: `python -m dynamo.fileop.mover FOLDER`.

The folder holds `batch.json`: roots by site, and tasks.  Every task that ends adds a line of JSON to `reports`.
A task whose number lies in `cancelled/` is not begun.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from dynamo.fileop.rooted import copy_file, delete_file, opened_root


def work(folder: Path) -> None:
    """Work on the batch of a folder.  What is reported there already is not done again."""
    batch = json.loads((folder / "batch.json").read_text())
    reports = folder / "reports"
    done = (
        {json.loads(line)["task"] for line in reports.read_text().splitlines()} if reports.exists() else set()
    )
    with reports.open("a") as out:
        for task in batch["tasks"]:
            if task["id"] in done:
                continue
            print(json.dumps(_report(task, batch["roots"], folder)), file=out, flush=True)
            os.fsync(out.fileno())


def _report(task: dict[str, Any], roots: dict[str, str], folder: Path) -> dict[str, Any]:
    started = int(time.time())
    report = {"task": task["id"], "state": "done", "exit_code": 0, "message": "", "started": started}
    if (folder / "cancelled" / str(task["id"])).exists():
        report["state"] = "cancelled"
    else:
        try:
            _act(task, roots)
        except OSError as error:
            message = error.strerror or str(error)
            report.update(state="failed", exit_code=error.errno or 1, message=message)
    return {**report, "finished": int(time.time())}


def _act(task: dict[str, Any], roots: dict[str, str]) -> None:
    site = task["site"]
    with opened_root(Path(roots[site]), site) as target:
        if not task["source"]:
            delete_file(target, task["file"])
            return
        with opened_root(Path(roots[task["source"]]), task["source"]) as source:
            copy_file(source, target, task["file"], task["size"], f"dynamo-{task['id']}")


if __name__ == "__main__":
    work(Path(sys.argv[1]))
