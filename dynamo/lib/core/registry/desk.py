"""What programs and web modules may ask of the registry, by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from dynamo.core.components.impl.database import Database
from dynamo.core.master.applications import ApplicationQueue
from dynamo.core.master.database import transaction
from dynamo.core.registry.access import Note, Refused
from dynamo.core.registry.activity_locks import ActivityLocks
from dynamo.core.registry.cycles import Cycles
from dynamo.core.registry.deletion_locks import DeletionLocks
from dynamo.core.registry.injections import Injections
from dynamo.core.registry.requests import Requests
from dynamo.fileop.subscriptions import Subscriptions
from dynamo.fileop.tasks import Tasks

LOG = logging.getLogger(__name__)

Act = Callable[..., Any]
_CHECKED = ConfigDict(hide_input_in_errors=True)


class Desk:
    """Answers questions and makes changes, each in a transaction.  Arguments are checked before anything happens."""

    def __init__(self, database: Database) -> None:
        self._database = database
        requests, locks = Requests(database), DeletionLocks(database)
        activity, cycles = ActivityLocks(database), Cycles(database)
        injections, tasks = Injections(database), Tasks(database)
        subscriptions, queue = Subscriptions(database), ApplicationQueue(database)
        self._questions = _checked(
            {
                "requests.find": requests.find,
                "locks.owner": activity.owner,
                "locks.locked": activity.locked,
                "deletion_locks.listed": locks.listed,
                "injections.waiting": injections.waiting,
                "injections.count": injections.count,
                "cycles.partitions": cycles.partitions,
                "cycles.listed": cycles.listed,
                "cycles.totals": cycles.totals,
                "cycles.decisions": cycles.decisions,
                "cycles.policy": cycles.policy,
                "files.current": subscriptions.current,
                "files.finished": subscriptions.finished,
                "files.counts": subscriptions.counts,
                "files.history": tasks.history,
                "files.volumes": tasks.volumes,
            }
        )
        self._changes = _checked(
            {
                "requests.copy": requests.copy,
                "requests.change_copy": requests.change_copy,
                "requests.cache_copy": requests.cache_copy,
                "requests.delete": requests.delete,
                "requests.close": requests.close,
                "requests.activate": requests.activate,
                "requests.set_action": requests.set_action,
                "locks.lock": activity.lock,
                "locks.unlock": activity.unlock,
                "deletion_locks.lock": locks.lock,
                "deletion_locks.unlock": locks.unlock,
                "deletion_locks.replace": locks.replace,
                "injections.add": injections.add,
                "injections.forget": injections.forget,
                "cycles.begin": cycles.begin,
                "cycles.decide": cycles.decide,
                "files.subscribe": subscriptions.subscribe,
                "files.desubscribe": subscriptions.desubscribe,
                "files.cancel": subscriptions.cancel,
                "files.release_held": subscriptions.release_held,
                "files.forget": subscriptions.forget,
                "applications.kill": queue.ask_to_kill,
            }
        )

    def add_change(self, name: str, act: Act) -> None:
        """Let web modules, which may change things, ask for one more thing."""
        self._changes.update(_checked({name: act}))

    def answer(self, name: str, args: dict[str, Any], may_change: bool) -> Any:
        """Answer a question, or make a change for whoever may.  Raises Refused; nothing is changed then."""
        if name in self._questions:
            return _called(name, self._questions[name], args)
        with transaction(self._database):
            return self._change(name, args, may_change)

    def perform(self, notes: Iterable[Note]) -> None:
        """Make changes within a transaction of the caller.  Raises Refused for one that cannot be made."""
        for note in notes:
            if note.name.startswith("applications."):
                raise Refused(f"A program does not do {note.name}; use the command dynamo")
            self._change(note.name, note.args, may_change=True)

    def _change(self, name: str, args: dict[str, Any], may_change: bool) -> Any:
        act = self._changes.get(name)
        if act is None:
            known = ", ".join(sorted((*self._questions, *self._changes)))
            raise Refused(f"The registry does not know {name[:64]!r}; known are {known}")
        if not may_change:
            raise Refused(f"{name} changes the registry; note it in a program that runs with -H or -W")
        return _called(name, act, args)


def _checked(acts: dict[str, Act]) -> dict[str, Act]:
    return {name: validate_call(config=_CHECKED)(act) for name, act in acts.items()}


def _called(name: str, act: Act, args: dict[str, Any]) -> Any:
    try:
        return act(**args)
    except (ValidationError, TypeError, ValueError, KeyError, OverflowError) as error:
        # Rows that lack something, numbers that no database holds, texts that are no Unicode.
        LOG.warning("%s was asked for with wrong arguments: %r", name, error)
        raise Refused(f"Arguments of {name} are wrong: {error!r}") from None
