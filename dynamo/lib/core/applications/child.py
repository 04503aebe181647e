"""The child of the server that runs one program on a frozen image of the inventory."""

from __future__ import annotations

import code
import gc
import logging
import os
import shlex
import signal
import socket
import sys
import traceback
import types
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dynamo.core import executable as interface
from dynamo.core.applications.batch import batch_frames
from dynamo.core.applications.questions import ChildChannel
from dynamo.core.applications.sandbox import Cell, confine
from dynamo.core.authorizer import Authorizer
from dynamo.core.borrowed import StoreAhead, level_snapshot
from dynamo.core.components.persistency import InventoryStore
from dynamo.core.dynamoinventory import DynamoInventory
from dynamo.core.master.applications import AuthLevel
from dynamo.core.objectrepository import Command
from dynamo.core.proxy import InventoryProxy
from dynamo.core.registry.access import Note, Registry

READY = b"R"
"""Sent when the child has its own view of the store; the server may go on then."""
AHEAD = b"P"
"""Sent instead when the store has gone on; the server is to try again with a newer image."""
TAKEN = b"T"
"""Received when the server has the whole batch."""

EXIT_FAILED = 1
EXIT_TERMINATED = 2

BANNER = "DYNAMO interactive console; `inventory` is read-only here, end with Ctrl-D"


@dataclass(frozen=True, slots=True)
class Task:
    """What a child is to do.  `executable` is None for an interactive console."""

    executable: bytes | None
    args: str
    auth_level: AuthLevel
    work_area: Path


def run_child(
    task: Task,
    cell: Cell,
    inventory: DynamoInventory,
    store: InventoryStore | None,
    channel: socket.socket,
    authorizer: Authorizer,
    stdin: int | None = None,
) -> NoReturn:
    """Be the child: never returns.  `store` is the server's, which the child opens once more for itself."""
    exit_code = EXIT_FAILED
    try:
        leave_the_server(channel, task.work_area, stdin)
        proxy = own_view(inventory, store, channel)
        channel.sendall(READY)
        confine(task.work_area, cell, with_network=task.auth_level is not AuthLevel.NOAUTH)
        exit_code = _work(task, proxy, authorizer, channel)
    except KeyboardInterrupt:
        exit_code = EXIT_TERMINATED
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(exit_code)


def own_view(
    inventory: DynamoInventory, store: InventoryStore | None, channel: socket.socket
) -> InventoryProxy:
    """The inventory with a handle of its own on the store, which reads what the image has.

    When a store of another server has gone on meanwhile, the server is told and this process ends.
    """
    if store is None:
        return inventory.create_proxy()
    if not inventory.is_borrowed:
        return inventory.create_proxy(store.open_snapshot())
    try:
        return inventory.create_proxy(level_snapshot(store, inventory.version))
    except StoreAhead:
        channel.sendall(AHEAD)
        os._exit(EXIT_FAILED)


def leave_the_server(channel: socket.socket, work_area: Path, stdin: int | None) -> None:
    """Become a process of its own after a fork: output goes to the work area, only `channel` stays open."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for caught in (signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(caught, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminate)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null if stdin is None else stdin, 0)
    for number, name in ((1, "_stdout"), (2, "_stderr")):
        opened = os.open(work_area / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
    os.closerange(3, channel.fileno())
    os.closerange(channel.fileno() + 1, 1 << 16)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):  # the files of all of them are closed
            logger.handlers.clear()
            logger.propagate = True
    gc.freeze()  # what belongs to the server is never finalised here: its descriptors are closed already
    gc.enable()


def _terminate(number: int, frame: types.FrameType | None) -> None:
    raise KeyboardInterrupt


def _work(task: Task, proxy: InventoryProxy, authorizer: Authorizer, channel: socket.socket) -> int:
    interface.inventory = proxy
    interface.read_only = task.auth_level is not AuthLevel.WRITE
    interface.authorized = task.auth_level is not AuthLevel.NOAUTH
    interface.authorizer = authorizer
    interface.registry = registry = Registry(ChildChannel(channel))
    if task.executable is None:
        print(BANNER)
        code.interact(banner="", local={"inventory": proxy, "__name__": "__console__"}, exitmsg="")
        return 0
    exit_code = run_program(task.executable, task.work_area / "exec.py", task.args)
    if exit_code == 0:
        commands = proxy.commands if task.auth_level is AuthLevel.WRITE else []
        notes = registry.notes if task.auth_level is not AuthLevel.NOAUTH else []
        if commands or notes:
            exit_code = _send(commands, notes, channel)
    return exit_code


def run_program(executable: bytes, path: Path, args: str) -> int:
    """Run a program as `__main__`; its exit code.  The bytes that are given run, not those of the path."""
    sys.argv = [str(path), *shlex.split(args)]
    main = types.ModuleType("__main__")
    main.__dict__["__file__"] = str(path)
    sys.modules["__main__"] = main
    try:
        exec(compile(executable, str(path), "exec"), main.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_TERMINATED
    except BaseException as error:
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename != str(path):
            own = own.tb_next
        traceback.print_exception(type(error), error, own)
        return EXIT_FAILED
    return 0


def _send(commands: list[Command], notes: list[Note], channel: socket.socket) -> int:
    total = len(commands) + len(notes)
    if commands:
        print(f"Sending {len(commands)} updated objects to the server process.", file=sys.stderr)
    shown = 0
    for number, frame in enumerate(batch_frames(commands, notes), 1):
        channel.sendall(frame)
        if number * 10 // total > shown and number <= total:
            shown = number * 10 // total
            print(f" {shown * 10}%", file=sys.stderr)
    if channel.recv(1) != TAKEN:
        print("The server did not take the changes.", file=sys.stderr)
        return EXIT_FAILED
    return 0
