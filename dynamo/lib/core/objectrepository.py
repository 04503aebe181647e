"""An inventory in memory that notes down what changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from dynamo.dataformat import wire
from dynamo.dataformat.block import Block
from dynamo.dataformat.blockreplica import BlockReplica
from dynamo.dataformat.dataset import Dataset
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.file import File
from dynamo.dataformat.literal import make_object
from dynamo.dataformat.repository import Repository
from dynamo.dataformat.site import Site
from dynamo.dataformat.wire import Object

Action = Literal["update", "delete"]


@dataclass(frozen=True, slots=True)
class Command:
    """One change, as it was when it was made: the object in JSON, and as a text for people."""

    action: Action
    obj: dict[str, Any]
    text: str


class ObjectRepository(Repository):
    """An inventory in memory, which belongs to no server.

    Programs find `inventory` of this kind when they run outside a server.
    """

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[Command] = []

    def update(self, obj: Object) -> Any:
        """Bring an object into the inventory: insert it, or overwrite what has its name, defaults included.

        Returns the embedded object.  Raises ObjectError when something that it refers to is unknown, or a value is
        not allowed; the inventory is unchanged then.
        """
        _check(obj)
        embedded, changed = obj.embed_into(self)
        if changed:
            self._note("update", embedded)
        return embedded

    def delete(self, obj: Object) -> Any:
        """Take the object of this name out of the inventory, with what depends on it.

        Returns what was taken out, or None for an unknown object.  Raises ObjectError for what cannot be deleted.
        """
        _check(obj)
        embedded = obj.unlink_from(self)
        if embedded is not None:
            self._note("delete", embedded)
        return embedded

    def register_update(self, obj: Object) -> None:
        """Notice that attributes of an embedded object were assigned."""
        self._note("update", obj)
        if isinstance(obj, Dataset):
            self.membership.dataset_changed(obj)
        elif isinstance(obj, Block):
            self.membership.content_changed(obj.dataset)
        elif isinstance(obj, BlockReplica):
            self.membership.block_replica_changed(obj)
        elif isinstance(obj, Site):
            self.membership.site_changed(obj)

    def clear_update(self) -> None:
        """Forget the noted changes.  The memory keeps them."""
        self.commands.clear()

    def make_object(self, text: str) -> Object:
        """The free object that a constructor's text describes.  Raises ObjectError for anything else."""
        return make_object(text)

    def find_file(self, lfn: str) -> File | None:
        """The file of a name, wherever it is; None when there is none."""
        for dataset in self.datasets.values():
            file = dataset.find_file(lfn)
            if file is not None:
                return file
        return None

    def _note(self, action: Action, obj: Object) -> None:
        self.commands.append(Command(action, self._encoded(obj), repr(obj)))

    def _encoded(self, obj: Object) -> dict[str, Any]:
        return wire.encode(obj)


def _check(obj: Object) -> None:
    if not hasattr(obj, "embed_into"):
        raise ObjectError(f"{obj!r} is no object of an inventory")
    wire.encode(obj)
