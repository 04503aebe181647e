"""Releases that a node may be offered: this tree's image under another version, and one that does not live."""

from __future__ import annotations

import http.server
import shutil
import threading
from pathlib import Path

from images import cpio, manifest
from images.node import initrd

HANDOVER = "exec switch_root"
NEEDED = ("vmlinuz", "initrd")
KEY = "node/keys/release.key"
"""The key that this machine's images trust, in the cache folder."""


def newer(image: Path, key: Path, folder: Path, version: str) -> Path:
    """The image with another version in it, signed, in a folder of its own."""
    return _release(image, key, folder, version, f"echo '{version}' >/new/usr/lib/zos/version\n{HANDOVER}")


def broken(image: Path, key: Path, folder: Path, version: str) -> Path:
    """A signed image that starts, and restarts the machine before anything else does."""
    return _release(
        image, key, folder, version, f'say "{version} does not live"; sleep 2; reboot -f\n{HANDOVER}'
    )


def _release(image: Path, key: Path, folder: Path, version: str, handover: str) -> Path:
    folder.mkdir()
    shutil.copyfile(image / "vmlinuz", folder / "vmlinuz")
    script = Path(initrd.__file__).with_name("stage1").read_text()
    assert script.count(HANDOVER) == 1
    changed = cpio.archive([cpio.file("init", script.replace(HANDOVER, handover).encode(), 0o755)])
    small = (image / "initrd-small").read_bytes()
    first = small + bytes(-len(small) % initrd.ALIGN) + changed
    (folder / "initrd").write_bytes(initrd.one_file(first, image / "root.img"))
    manifest.sign(folder, manifest.describe(folder, list(NEEDED), version, 1), manifest.load_or_make_key(key))
    return folder


class ReleaseServer:
    """Serves whichever folder is offered, on a free port of loopback.  Use `close`."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def translate_path(self, path: str) -> str:
                name = Path(path).name
                return str((outer.folder or Path("/nonexistent")) / name)

            def log_message(self, format: str, *arguments: object) -> None:
                return None

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
