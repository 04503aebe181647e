"""Two slots for downloaded images beside the medium, and which of them a boot enters.  Pure.

A new image is on trial until it was healthy for the health window.  One that did not make it in three tries is left
for the one that worked before; when that fails, too, the medium itself runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

MOST_TRIES = 3
SLOTS = ("A", "B")
MEDIUM = ""


class SlotError(ValueError):
    """A state file that cannot be read."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """What `state` beside the slots says; versions by slot."""

    current: str = MEDIUM
    previous: str = MEDIUM
    tries: int = 0
    good: bool = True
    versions: Mapping[str, str] | None = None
    note: str = ""
    """Why the image before the last one runs again, for whoever looks at the screen; "" when it does not."""

    def to_json(self) -> bytes:
        return json.dumps({**asdict(self), "versions": dict(self.versions or {})}, sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """What a boot of the medium does next."""

    slot: str
    """MEDIUM: stay."""
    state: SlotState
    """To be written before the jump."""
    message: str = ""


def parse(content: bytes) -> SlotState:
    """Raises SlotError."""
    try:
        table = json.loads(content)
        state = SlotState(
            str(table["current"]),
            str(table["previous"]),
            int(table["tries"]),
            bool(table["good"]),
            {str(slot): str(version) for slot, version in table["versions"].items()},
            str(table.get("note", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SlotError("the state of the image slots cannot be read: the medium's image runs") from None
    if {state.current, state.previous} - {MEDIUM, *SLOTS} or state.tries < 0:
        raise SlotError("the state of the image slots names an unknown slot: the medium's image runs")
    return state


def enter(state: SlotState, running: str, intact: Mapping[str, bool]) -> Entry:
    """Decide at boot.  `running` is `node.image`; `intact` tells of each slot whether its signature fits now."""
    if running:
        return Entry(MEDIUM, state, state.note)  # we are in a slot, or the medium was asked for
    if state.current == MEDIUM:
        return Entry(MEDIUM, state, state.note)
    message = ""
    if not intact.get(state.current, False):
        message = f"image {_name(state, state.current)} is damaged or not signed by us"
        kept = {slot: version for slot, version in (state.versions or {}).items() if slot != state.current}
        state = _fall_back(replace(state, versions=kept))  # forgotten, so that it is fetched again
    elif not state.good and state.tries >= MOST_TRIES:
        message = f"image {_name(state, state.current)} was not healthy in {state.tries} tries"
        state = _fall_back(state)
    if state.current != MEDIUM and not intact.get(state.current, False):
        state = SlotState(versions=state.versions)
    if message:
        message += f": back to {_name(state, state.current)}"
        state = replace(state, note=message)
    if state.current == MEDIUM:
        return Entry(MEDIUM, state, message)
    if not state.good:
        state = replace(state, tries=state.tries + 1)
    return Entry(state.current, state, message)


def install(state: SlotState, version: str) -> tuple[str, SlotState]:
    """(slot to write the new image to, state once it is written).

    The image that worked is never overwritten; one on trial is, also while it runs: it runs from memory.
    """
    kept = state.current if state.good else state.previous
    slot = next(each for each in SLOTS if each != kept)
    versions = {**(state.versions or {}), slot: version}
    return slot, SlotState(slot, kept, 0, False, versions)


def answer(state: SlotState, own: str, offered: str) -> str | None:
    """What to do about an offered version: None nothing, "" fetch it, else the slot that holds it already.

    A version that was tried and left is not taken again; the one that ran before is, when it is offered again.
    """
    if offered == own:
        return None
    for slot, version in (state.versions or {}).items():
        if version == offered:
            return slot if slot == state.previous and slot != state.current and state.good else None
    return ""


def switch(state: SlotState, slot: str) -> SlotState:
    """Go back to an image that lies in its slot still; it is on trial like a new one."""
    return SlotState(slot, state.current, 0, False, state.versions)


def healthy(state: SlotState, running: str) -> SlotState:
    """The running image was registered and healthy for the whole window."""
    if running != state.current or state.good:
        return state
    return replace(state, good=True, tries=0)


def _fall_back(state: SlotState) -> SlotState:
    return SlotState(state.previous, MEDIUM, 0, True, state.versions)


def _name(state: SlotState, slot: str) -> str:
    return f"{(state.versions or {}).get(slot, '?')} in slot {slot}" if slot else "the medium's image"
