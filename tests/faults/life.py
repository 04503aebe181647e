"""One life of a daemon: it takes up a scenario where it was left, and ends at its end, at a reboot, or by a kill."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from gridtypes import ResultState
from tests.faults.scenarios import Scenario, Step
from tests.faults.world import World
from tests.zosd.parts import Daemon, daemon
from zosd.journal.journal import Journal
from zosd.points import Hook

DONE, WRONG, RESTART, REBOOT = 0, 1, 3, 4
"""Exit codes."""
LIMIT_S = 120.0


def live(folder: Path, scenario: Scenario, hook: Hook) -> int:
    """Run until the scenario ends, restarts or reboots; returns the exit code.  What is wrong is left in `trouble`."""
    # What the daemon says is of interest when it went wrong only.
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stderr = sys.stdout = open(os.dup(2), "w", buffering=1)  # noqa: SIM115
    try:
        return asyncio.run(_live(World(folder), scenario, hook))
    except BaseException:
        (folder / "trouble").write_text(traceback.format_exc())
        return WRONG


async def _live(world: World, scenario: Scenario, hook: Hook) -> int:
    async with asyncio.timeout(LIMIT_S):
        async with daemon(world.node, chain=world.chain(), start=False, hook=hook) as node:
            check_promises(node, world, scenario)
            await node.engine.start()
            done = set(world.acknowledged())
            for step in scenario.steps:
                if step.name in done:
                    continue
                await step.act(node, world)
                world.acknowledge(step.name)
                if step.restarts:
                    return REBOOT if step.reboots else RESTART
            # A kill after the last step leaves work behind, too.
            await node.engine.adopted.wait()
            await node.settled(60)
    return DONE


def check_promises(node: Daemon, world: World, scenario: Scenario) -> None:
    """What was acknowledged is in the journal, and what was not is there as a whole or not at all."""
    done = set(world.acknowledged())
    promised: dict[int, int] = {}
    for step in scenario.steps:
        if step.name in done:
            promised.update(step.promises)
        if step.name in done or _may_have_begun(step, scenario, done):
            for contract in step.ends:
                promised.pop(contract, None)
    found = {record.key.contract: record for record in node.journal.ledger.all()}
    for contract, version in promised.items():
        record = found.get(contract)  # type: ignore[call-overload]
        assert record is not None, f"contract {contract} was acknowledged and is not in the journal"
        assert record.header.version >= version, f"contract {contract}: version {version} was acknowledged"
    for record in found.values():
        assert record.workloads or record.phase.value == "leaving", f"{record.key} is half stored"


def _may_have_begun(step: Step, scenario: Scenario, done: set[str]) -> bool:
    """Whether it is the first that is not acknowledged."""
    return step is next((one for one in scenario.steps if one.name not in done), None)


def wipe(world: World) -> None:
    """What a reboot does to the machine."""
    shutil.rmtree(world.volatile, ignore_errors=True)


def outcome(folder: Path, with_history: bool) -> dict[str, Any]:
    """Machine and journal as they are, without moments of time."""
    world = World(folder)
    shelf = world.volatile / "null"
    files = sorted(path for path in world.node.rglob("*") if path.is_file() and shelf not in path.parents)
    return {
        "machine": {
            str(path.relative_to(shelf)): json.loads(path.read_text())
            for path in sorted(shelf.rglob("*"))
            if path.is_file()
        },
        # SQLite keeps or drops its side files depending on who closed it last.
        "files": [
            str(path.relative_to(world.node)) for path in files if not path.name.startswith("journal.db")
        ],
        "journal": asyncio.run(_journal(world.node / "journal.db", with_history)),
    }


async def _journal(path: Path, with_history: bool) -> dict[str, Any]:
    journal = Journal(path)
    await journal.open()
    try:
        shown: dict[str, Any] = {}
        for record in journal.ledger.all():
            history: dict[str, list[str]] = {}
            for one in await journal.history(record.key) if with_history else ():
                history.setdefault(str(one.name), []).append(f"{one.version} {one.result.state.value}")
            shown[str(record.key)] = {
                "phase": record.phase.value,
                "header": json.loads(record.header.to_json()),
                "hash": record.hash,
                "paused": record.paused,
                "job": record.job.kind if record.job else None,
                "update": record.update is not None,
                "history": history,
                "workloads": [
                    {
                        "definition": json.loads(one.definition.to_json()),
                        "state": one.result.state.value,
                        "message": one.result.message if one.result.state is not ResultState.OK else "",
                        "data": bytes(one.result.data).decode(),
                        "leaving": one.leaving,
                        "newer": one.newer is not None,
                        "half_changed": one.half_changed,
                        "attempts": one.attempts,
                    }
                    for one in record.workloads
                ],
            }
        return shown
    finally:
        await journal.close()
