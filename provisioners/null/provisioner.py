"""One null provisioner for every type: the verbs are the same, only the result data differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pydantic import BaseModel

from gridtypes import WorkloadId, WorkloadType
from provisioners.null.shelf import Item, Shelf
from provisioners.protocol import Check, Context, Inspection, PlacedWorkload

NOTICE = "null provisioner: nothing was really made"
"""Said in the message of every result."""

Results = Callable[[PlacedWorkload], BaseModel | None]
"""Result data of a workload, as a real provisioner could give them."""


class NullProvisioner:
    """Makes an entry on a shelf instead of the thing."""

    notice = NOTICE

    def __init__(self, type: WorkloadType, results: Results) -> None:
        self.type = type
        self._results = results

    async def provision(self, ctx: Context, workload: PlacedWorkload) -> BaseModel | None:
        shelf = self._shelf(ctx)
        known = shelf.get(workload.id)
        item = _item(workload)
        if known is None:
            shelf.put(workload.id, item)
        elif (known.version, known.data) != (item.version, item.data):
            shelf.put(workload.id, replace(item, made=known.made))
        return self._results(workload)

    async def deprovision(self, ctx: Context, workload: WorkloadId) -> None:
        self._shelf(ctx).remove(workload)

    async def recover(self, ctx: Context, workload: PlacedWorkload) -> BaseModel | None:
        return None if self._shelf(ctx).get(workload.id) is None else self._results(workload)

    async def inventory(self, ctx: Context) -> set[WorkloadId]:
        return self._shelf(ctx).ids()

    async def inspect(self, ctx: Context, workload: PlacedWorkload, log_bytes: int) -> Inspection:
        item = self._shelf(ctx).get(workload.id)
        kind = "vm" if self.type in (WorkloadType.ZMACHINE, WorkloadType.ZMACHINE_LIGHT) else self.type.value
        message = NOTICE if item else "it is not on the shelf"
        check = Check(f"{kind}.config", item is not None, message)
        return Inspection({"made": item.made if item else 0}, (check,), NOTICE)

    def _shelf(self, ctx: Context) -> Shelf:
        return Shelf(ctx.paths.run / "null" / self.type.value)


class NullUpdatable(NullProvisioner):
    """For types that can change while they run."""

    async def update(self, ctx: Context, current: PlacedWorkload, wanted: PlacedWorkload) -> BaseModel | None:
        shelf = self._shelf(ctx)
        known = shelf.get(wanted.id) or _item(wanted)
        item = _item(wanted)
        shelf.put(wanted.id, replace(item, paused=known.paused, made=known.made))
        return self._results(wanted)


class NullPausable(NullProvisioner):
    """For types that stop while their contract is in its grace period."""

    async def pause(self, ctx: Context, workload: WorkloadId) -> None:
        self._set_paused(ctx, workload, True)

    async def resume(self, ctx: Context, workload: WorkloadId) -> None:
        self._set_paused(ctx, workload, False)

    def _set_paused(self, ctx: Context, workload: WorkloadId, paused: bool) -> None:
        shelf = self._shelf(ctx)
        known = shelf.get(workload)
        if known is not None and known.paused is not paused:
            shelf.put(workload, replace(known, paused=paused))


class NullUpdatablePausable(NullUpdatable, NullPausable):
    """Both."""


def _item(workload: PlacedWorkload) -> Item:
    return Item(
        version=workload.workload.version, data=bytes(workload.workload.data).decode(errors="replace")
    )
