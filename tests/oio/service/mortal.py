"""Services that die where a test says: `python -m tests.oio.service.mortal …`, arguments as of `oio.service.process`.

The file `die` in the folder of the deployment names a point; the first service that comes there kills itself.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oio.service import repository
from oio.service.deletion import Deletions
from oio.service.process import main
from oio.service.repository import Repository
from oio.service.verbs import deletions, meta2

POINTS: dict[str, tuple[Any, str, str]] = {
    "note-before": (deletions, "begin", "before"),
    "note-after": (Deletions, "finish", "before"),
    "decision-before": (meta2, "destroy", "before"),
    "decision-after": (Deletions, "_bury", "after"),
    "tombstone-before": (Repository, "bury", "before"),
    "file-before": (repository, "remove_files", "before"),
    "file-after": (Repository, "bury", "after"),
    "end-before": (deletions, "complete", "before"),
    "end-after": (Deletions, "delete", "after"),
}
"""Name -> what holds the function, its name, and whether death comes before or after it."""


def arm(root: Path, point: str) -> None:
    """Have the first service of that deployment die that comes to this point."""
    (root / "die").write_text(point)


def armed(root: Path) -> bool:
    """Whether nobody has died yet."""
    return (root / "die").exists()


def _die_if_armed(file: Path, point: str) -> None:
    try:
        if file.read_text() != point:
            return
        file.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _mortal(act: Callable[..., Any], when: str, die: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(act)
    def plain(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        result = act(*args, **kwargs)
        if when == "after":
            die()
        return result

    @functools.wraps(act)
    async def waiting(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        result = await act(*args, **kwargs)
        if when == "after":
            die()
        return result

    return waiting if inspect.iscoroutinefunction(act) else plain


if __name__ == "__main__":
    file = Path(sys.argv[sys.argv.index("--root") + 1]) / "die"
    for point, (holder, name, when) in POINTS.items():
        setattr(
            holder, name, _mortal(getattr(holder, name), when, functools.partial(_die_if_armed, file, point))
        )
    main()
