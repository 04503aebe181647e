"""At boot, as soon as the cache is there: enter the image of a slot, or stay in the medium's."""

from __future__ import annotations

from pathlib import Path

from images.boot import kexec, stage_file
from images.boot.control import ControlError, ask
from images.boot.settings import BootSettings
from images.boot.slot_store import SlotStore
from images.boot.slots import MEDIUM, SLOTS, enter

CMDLINE = Path("/proc/cmdline")


def jump(settings: BootSettings, store: SlotStore) -> bool:
    """True when the machine is on its way into another image.  Whatever goes wrong leaves the medium's running."""
    state, problem = store.read()
    intact = {}
    if not settings.image:
        store.sweep()
        intact = {slot: store.intact(slot) for slot in SLOTS if slot in (state.current, state.previous)}
    entry = enter(state, settings.image, intact)
    message = entry.message or problem
    try:
        if entry.state != state:
            store.write(entry.state)
        if entry.slot != MEDIUM:
            folder = store.folder / entry.slot
            line = f"{CMDLINE.read_text().strip()} node.image={entry.slot}"
            kexec.load(folder / "vmlinuz", folder / "initrd", line)
            print(f"entering the image of slot {entry.slot}", flush=True)
            ask({"do": "kexec"})
            return True
    except (OSError, ControlError) as failure:
        message = f"the image of slot {entry.slot} cannot be entered: {failure}"
    stage_file.write("slot", {"message": message})
    if settings.image in SLOTS:
        word = "good" if state.good and state.current == settings.image else "on trial"
        stage_file.write("image", {"text": f"slot {settings.image}, {word}"})
    if message:
        print(message, flush=True)
    return False
