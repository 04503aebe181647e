"""`zos testnode`: one node in a virtual machine.  Found by `zos` through an entry point."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from images.cache_folder import cache_folder
from images.debian import ImageError
from images.node.build import build
from images.testnode.accelerator import choose
from images.testnode.arguments import DISK_SIZE, NODE_MEMORY, Boot, TestNode, kernel_line
from images.testnode.machine import Machine, TestNodeError, make_disk

app = typer.Typer(help="A node in a virtual machine, booted from the image.", no_args_is_help=True)
DEFAULT_STATE = Path("/var/lib/zos-testnode")
CACHE = cache_folder()
REPAINT_S = 2.0
"""The screen is painted once a second."""

Name = Annotated[str, typer.Argument(help="Name of the node.")]
State = Annotated[Path, typer.Option("--state", help="Folder that keeps the nodes' disks.")]
GIB = 1 << 30


@app.command()
def up(
    name: Name = "node",
    farm: Annotated[int, typer.Option("--farm", min=0, help="Farm number; 0: none.")] = 0,
    mode: Annotated[str, typer.Option("--mode", help="Run mode.")] = "dev",
    disks: Annotated[int, typer.Option("--disks", min=0, max=16, help="Number of disks.")] = 2,
    disk_size: Annotated[int, typer.Option("--disk-size", min=1, help="GiB of each new one.")] = DISK_SIZE
    // GIB,
    nic: Annotated[
        list[str] | None,
        typer.Option(
            "--nic",
            help="`user` (default), `none`, `later` (a switch whose router comes with `plug`), or a tap; "
            "once for each card.",
        ),
    ] = None,
    memory: Annotated[int, typer.Option("--memory", min=1, help="GiB.")] = NODE_MEMORY // GIB,
    cpus: Annotated[int, typer.Option("--cpus", min=1, max=64)] = 2,
    boot: Annotated[Boot, typer.Option("--boot", help="What to boot from.")] = Boot.DIRECT,
    extra: Annotated[str, typer.Option("--extra", help="More words for the node, as on a stick.")] = "",
    medium: Annotated[
        Path | None, typer.Option("--medium", help="Image of your own for uefi and iso.")
    ] = None,
    firmware: Annotated[
        str, typer.Option("--firmware", help="Words for the node in QEMU's firmware configuration.")
    ] = "",
    secure_boot: Annotated[
        Path | None,
        typer.Option(
            "--secure-boot",
            help="PEM file: the UEFI firmware starts what its certificates vouch for alone.",
        ),
    ] = None,
    screen: Annotated[bool, typer.Option("--screen", help="With a screen; see `picture`.")] = False,
    state: State = DEFAULT_STATE,
    cache: Annotated[Path, typer.Option("--cache", help="Where images are kept.")] = CACHE,
) -> None:
    """Switch a node on; the image is built when it is missing."""
    try:
        image = medium.parent if medium else build(cache, lambda text: print(text, file=sys.stderr)).folder
        folder = state / name
        node = TestNode(
            name=name,
            folder=folder,
            image=image,
            boot=boot,
            disks=tuple(make_disk(folder / f"disk{number}.img", disk_size * GIB) for number in range(disks)),
            nics=tuple(nic or ["user"]),
            command_line=kernel_line(farm, mode, extra, screen=screen),
            memory=memory * GIB,
            processors=cpus,
            accelerator=choose(cache),
            medium=medium,
            trusted=secure_boot,
            firmware=firmware,
            screen=screen,
        )
        Machine(node).up()
        (folder / "node.json").write_text(json.dumps(asdict(node), default=str))
    except (TestNodeError, ImageError, ValueError, OSError) as problem:
        _fail(str(problem))
    print(f"{name} is on; look at it: zos testnode console {name}")


@app.command()
def console(
    name: Name = "node",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C or power-off.")] = False,
    state: State = DEFAULT_STATE,
) -> None:
    """Show what the node's console showed."""
    machine = _known(state, name)
    shown = 0
    while True:
        on = machine.pid is not None
        text = machine.console()
        print(text[shown:], end="", flush=True)
        shown = len(text)
        if not follow or not on:
            return
        time.sleep(0.3)


@app.command()
def picture(
    name: Name = "node",
    file: Annotated[Path, typer.Argument(help="`*.png` or `*.ppm`.")] = Path("screen.png"),
    key: Annotated[str, typer.Option("--key", help="Press this key before: 1 to 4 turn pages.")] = "",
    state: State = DEFAULT_STATE,
) -> None:
    """Write what the screen of a node shows into a file."""
    machine = _known(state, name)
    try:
        if key:
            machine.press(key)
            time.sleep(REPAINT_S)
        print(machine.picture(file.resolve()))
    except TestNodeError as problem:
        _fail(str(problem))


@app.command()
def plug(
    name: Name = "node",
    disk: Annotated[Path | None, typer.Option("--disk", help="Disk image; made when missing.")] = None,
    disk_size: Annotated[int, typer.Option("--disk-size", min=1, help="GiB.")] = DISK_SIZE // GIB,
    router: Annotated[int | None, typer.Option("--router", help="On the switch of this card.")] = None,
    cable: Annotated[int | None, typer.Option("--cable", help="Of this card, in.")] = None,
    no_cable: Annotated[int | None, typer.Option("--no-cable", help="Of this card, out.")] = None,
    state: State = DEFAULT_STATE,
) -> None:
    """Plug something into a running node: a disk, a router, a cable; cards count from 0."""
    machine = _known(state, name)
    try:
        if disk:
            machine.plug_disk(make_disk(disk.resolve(), disk_size * GIB))
        if router is not None:
            machine.plug_router(router)
        if cable is not None:
            machine.cable(cable, plugged=True)
        if no_cable is not None:
            machine.cable(no_cable, plugged=False)
    except (TestNodeError, OSError) as problem:
        _fail(str(problem))


@app.command("power-cut")
def power_cut(name: Name = "node", state: State = DEFAULT_STATE) -> None:
    """Take the power away, without warning."""
    _known(state, name).power_cut()


@app.command()
def down(
    name: Name = "node",
    purge: Annotated[bool, typer.Option("--purge", help="Remove the disks, too.")] = False,
    state: State = DEFAULT_STATE,
) -> None:
    """Press the power button and wait until the node is off.  Safe to repeat."""
    if purge and not (state / name).exists():
        return
    _known(state, name).down()
    if purge:
        shutil.rmtree(state / name)


def _known(state: Path, name: str) -> Machine:
    folder = state / name
    if not (folder / "node.json").exists():
        _fail(f"no test node {name!r} in {state}: `zos testnode up {name}`")
    return Machine(TestNode(name=name, folder=folder, image=folder))


def _fail(reason: str) -> NoReturn:
    print(f"zos testnode: {reason}", file=sys.stderr)
    raise typer.Exit(1)
