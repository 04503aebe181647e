"""What the node's screen shows, as lines of coloured text.  Pure.

Page 1 is the state of the node, 2 the log, 3 disks, 4 network and units.  The colours are those that farmers know:
green is well, yellow is under way, red needs somebody.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

PAGES = ("status", "log", "disks", "network")
MOST_ERRORS = 6
MEDIUM = "the boot medium"
"""What is said of the disk that the node was booted from."""


class Colour(Enum):
    PLAIN = ""
    GREEN = "32"
    YELLOW = "33"
    RED = "31"
    BOLD = "1"


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    colour: Colour = Colour.PLAIN


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the boot, as it reported itself."""

    name: str
    state: str
    """`waiting`, `working`, `done` or `failed`."""
    text: str = ""
    error: str = ""
    """Stays until the stage itself takes it back."""
    age: float = 0.0
    """Seconds in this state."""


@dataclass(frozen=True, slots=True)
class UnitRow:
    name: str
    state: str
    age: float = 0.0
    restarts: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is on the screen."""

    version: str = ""
    kernel: str = ""
    mode: str = ""
    mode_source: str = ""
    farm: int = 0
    farm_source: str = ""
    farm_name: str = ""
    node: int = 0
    twin: int = 0
    registration_error: str = ""
    identity: str = ""
    cache: str = ""
    """"" while unknown, `ok`, or the reason why there is none."""
    stages: Sequence[Stage] = ()
    addresses: Sequence[str] = ()
    """`zos 10.1.2.3/24`."""
    disks: Sequence[tuple[str, bool, str]] = ()
    """(path, taken, text)."""
    notes: Sequence[str] = ()
    """How the node was set up beyond the usual, as sentences."""
    image: str = ""
    """Which image runs, and what becomes of it; "" for the medium's."""
    workloads: int | None = None
    memory_free: int = 0
    """MiB."""
    problems: Sequence[str] = ()
    units: Sequence[UnitRow] = ()
    log: Sequence[str] = ()
    network: Sequence[str] = ()
    """One line for each network card."""


def compose(view: View, page: int = 1, width: int = 80, height: int = 25) -> list[Line]:
    """The lines of a page, none longer than `width` and no more than `height`."""
    body = {1: _status, 2: _log, 3: _disks, 4: _network}.get(page, _status)
    if page == 2:
        lines = [*_header(view), *_log(view, width, height)]
    else:
        lines = [*_header(view), *body(view)]
    fitted: list[Line] = []
    for line in lines:
        for piece in textwrap.wrap(line.text, width, subsequent_indent="    ") or [""]:
            fitted.append(Line(piece, line.colour))
    keys = "keys: " + "  ".join(f"{number} {name}" for number, name in enumerate(PAGES, 1))
    return [*fitted[: height - 1], Line(keys[:width])]


def report(view: View) -> list[str]:
    """What a console without a screen gets: sentences, of which only new ones are printed."""
    lines = [line.text for line in _header(view) if line.text]
    lines += [_stage_text(stage, with_age=False) for stage in view.stages if stage.state != "waiting"]
    lines += [f"disk {path}: {text}" for path, _, text in view.disks]
    lines += [f"network card {text}" for text in view.network]
    lines += [f"address {text}" for text in view.addresses]
    lines += view.notes
    lines += [f"image: {view.image}"] if view.image else []
    lines += [f"error: {text}" for text in errors(view)]
    if view.workloads is not None:
        lines.append(f"workloads: {view.workloads}")
    return lines


def errors(view: View) -> list[str]:
    """Everything that somebody should do something about, the boot's own stages first."""
    found = [stage.error for stage in view.stages if stage.error]
    found += view.problems
    if view.registration_error:
        found.append(view.registration_error)
    found += [
        f"{unit.name}: {unit.why}" for unit in view.units if unit.state in ("error", "failure") and unit.why
    ]
    return list(dict.fromkeys(found))


def _header(view: View) -> list[Line]:
    return [
        Line(f"Grid node   version {view.version or '?'}   kernel {view.kernel}", Colour.BOLD),
        _node_line(view),
        _farm_line(view),
        _mode_line(view),
        _cache_line(view),
    ]


def _node_line(view: View) -> Line:
    if view.node:
        return Line(f"node {view.node}   twin {view.twin}   {view.identity}".rstrip(), Colour.GREEN)
    if view.registration_error or not view.farm:
        return Line(f"node 0 (unregistered)   {view.identity}".rstrip(), Colour.RED)
    return Line(f"node: in progress   {view.identity}".rstrip(), Colour.YELLOW)


def _farm_line(view: View) -> Line:
    if view.farm:
        name = f" {view.farm_name}" if view.farm_name else ""
        return Line(f"farm {view.farm}{name} ({view.farm_source})", Colour.GREEN)
    if view.farm_source:
        return Line(f"farm 0: the number given by {view.farm_source} cannot be used", Colour.RED)
    return Line("farm 0: no farm id yet: command line, node.cfg or DHCP option 224", Colour.RED)


def _mode_line(view: View) -> Line:
    if not view.mode:
        where = f" ({view.mode_source})" if view.mode_source else ""
        return Line(f"run mode unknown{where}", Colour.RED if view.mode_source else Colour.YELLOW)
    return Line(f"run mode {view.mode} ({view.mode_source})", Colour.GREEN)


def _cache_line(view: View) -> Line:
    if view.cache == "ok":
        return Line("cache OK", Colour.GREEN)
    if view.cache:
        return Line(f"cache: {view.cache}", Colour.RED)
    return Line("cache: looking at disks", Colour.YELLOW)


def _status(view: View) -> list[Line]:
    lines = [Line("")]
    if not view.node or any(stage.state != "done" for stage in view.stages):
        lines += [Line(_stage_text(stage), _stage_colour(stage)) for stage in view.stages]
    lines += [Line(f"address {text}") for text in view.addresses]
    taken = sum(disk[1] for disk in view.disks)
    if view.disks:
        left = sum(not used and text != MEDIUM for _, used, text in view.disks)
        lines.append(Line(f"disks: {taken} used" + (f", {left} left alone (key 3)" if left else "")))
    lines += [Line(note) for note in view.notes]
    if view.image:
        lines.append(Line(f"image: {view.image}"))
    if view.workloads is not None:
        lines.append(Line(f"workloads: {view.workloads}"))
    if view.memory_free:
        lines.append(Line(f"memory free: {view.memory_free} MiB"))
    found = errors(view)
    lines.append(Line(""))
    if not found:
        lines.append(Line("no errors", Colour.GREEN))
    lines += [Line(text, Colour.RED) for text in found[:MOST_ERRORS]]
    if len(found) > MOST_ERRORS:
        lines.append(Line(f"and {len(found) - MOST_ERRORS} more (key 2)", Colour.RED))
    return lines


def _log(view: View, width: int = 80, height: int = 25) -> list[Line]:
    room = max(1, height - 7)
    return [Line(""), *(Line(text[:width]) for text in view.log[-room:])]


def _disks(view: View) -> list[Line]:
    if not view.disks:
        return [Line(""), Line("no disk found", Colour.RED)]
    return [
        Line(""),
        *(
            Line(f"{path}: {text}", Colour.GREEN if taken else Colour.YELLOW)
            for path, taken, text in view.disks
        ),
    ]


def _network(view: View) -> list[Line]:
    lines = [Line(""), *(Line(text) for text in view.network), *(Line(text) for text in view.addresses)]
    lines.append(Line(""))
    for unit in view.units:
        colour = {"running": Colour.GREEN, "success": Colour.GREEN, "error": Colour.RED}.get(
            unit.state, Colour.YELLOW
        )
        tail = f"   restarts {unit.restarts}" if unit.restarts else ""
        why = f"   {unit.why}" if unit.why else ""
        lines.append(Line(f"{unit.name:<12} {unit.state:<9} {age(unit.age)}{tail}{why}", colour))
    return lines


def _stage_text(stage: Stage, *, with_age: bool = True) -> str:
    text = f"{stage.name}: {stage.text or stage.state}"
    return f"{text}   {age(stage.age)}" if with_age and stage.state != "done" else text


def _stage_colour(stage: Stage) -> Colour:
    if stage.error or stage.state == "failed":
        return Colour.RED
    return Colour.GREEN if stage.state == "done" else Colour.YELLOW


def age(seconds: float) -> str:
    """A time span for people."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h"
