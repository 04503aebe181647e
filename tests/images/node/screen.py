"""What a test node's screen shows, as colours of a picture."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from images.testnode.machine import Machine
from tests.images.node.lab import BOOT_S

GREEN, YELLOW, RED = b"\x00\xa8\x00", b"\xa8\x57\x00", b"\xa8\x00\x00"
"""As a graphics card in text mode shows them: it has 64 steps of each colour."""


def wait_for_colours(machine: Machine, wanted: set[bytes], without: Collection[bytes] = ()) -> None:
    """Wait until the screen, in text mode, shows writing in all these colours and in none of the others."""
    deadline = time.monotonic() + BOOT_S
    while True:
        shown = colours(take(machine))
        if wanted <= shown and not shown.intersection(without):
            return
        assert time.monotonic() < deadline, f"the screen shows {sorted(shown)}"
        time.sleep(1.0)


def wait_for_another_picture(machine: Machine) -> None:
    """Wait until the screen shows something that it did not show just now."""
    before, deadline = take(machine).read_bytes(), time.monotonic() + BOOT_S
    while take(machine).read_bytes() == before:
        assert time.monotonic() < deadline, "the screen does not change"
        time.sleep(0.5)


def take(machine: Machine) -> Path:
    return machine.picture(machine.node.folder / "screen.ppm")


def colours(picture: Path) -> set[bytes]:
    """Every colour of a picture in portable pixmap format, three bytes each."""
    kind, size, depth, pixels = picture.read_bytes().split(b"\n", 3)
    assert (kind, depth) == (b"P6", b"255")
    width, height = map(int, size.split())
    assert len(pixels) == width * height * 3
    return {pixels[at : at + 3] for at in range(0, len(pixels), 3)}
