"""The table of sequences."""

from __future__ import annotations

import json
from typing import NamedTuple

from dynamo.core.components.impl.database import Database
from dynamo.core.master.authorizations import Authorizations
from dynamo.core.master.database import transaction
from dynamo.core.sequences.definition import Definition, Execute, Sequence, parse_definition
from dynamo.core.sequences.progress import State
from dynamo.dataformat import ObjectError

MAX_SEQUENCES = 1000


class Registered(NamedTuple):
    """A sequence with its owner and its executables, and where it stands."""

    name: str
    user_id: int
    sequence: Sequence
    executables: dict[str, str]
    state: State


class SequenceRegister:
    """Sequences with definition and position, so that any server can go on with them."""

    def __init__(self, database: Database, authorizations: Authorizations) -> None:
        self._database = database
        self._authorizations = authorizations

    def add(self, text: str, executables: dict[str, str], user_id: int) -> list[str]:
        """Add the sequences of a definition, or replace those of the same owner; their names.

        Raises ObjectError for a missing executable, one that may not write although it shall, and a name that
        belongs to somebody else; ConfigurationError for a wrong definition.
        """
        definition = parse_definition(text, {})
        for sequence in definition.sequences.values():
            self._check(definition, sequence, executables, user_id)
        with transaction(self._database):
            for (count,) in self._database.rows("SELECT count(*) FROM application_sequences"):
                if count + len(definition.sequences) > MAX_SEQUENCES:
                    raise ObjectError(f"There are {count} sequences; at most {MAX_SEQUENCES} are kept")
            for sequence in definition.sequences.values():
                stored = json.dumps({"text": text, "executables": executables})
                self._database.execute("DELETE FROM application_sequences WHERE name = ?", (sequence.name,))
                self._database.execute(
                    "INSERT INTO application_sequences (name, user_id, restart, status, definition)"
                    " VALUES (?, ?, ?, 'disabled', ?)",
                    (sequence.name, user_id, int(sequence.restart), stored),
                )
        return list(definition.sequences)

    def _check(
        self, definition: Definition, sequence: Sequence, executables: dict[str, str], user_id: int
    ) -> None:
        for owner in self._owners(sequence.name):
            if owner != user_id:
                raise ObjectError(f"Sequence {sequence.name} belongs to another user")
        for step in sequence.steps:
            if not isinstance(step, Execute):
                continue
            if step.title not in executables:
                raise ObjectError(f"The executable of {step.title} is missing")
            if definition.applications[step.title][1] and not self._authorizations.check(
                step.title, executables[step.title].encode(), user_id
            ):
                raise ObjectError(
                    f"Application {step.title} ({definition.applications[step.title][0]}) may not write; "
                    f"authorise it with dynamo-exec-auth first"
                )

    def _owners(self, name: str) -> list[int]:
        rows = self._database.rows("SELECT user_id FROM application_sequences WHERE name = ?", (name,))
        return [int(owner) for (owner,) in rows]

    def listed(self, enabled_only: bool = False) -> list[Registered]:
        """All sequences by name."""
        found = []
        for name, user_id, status, stored, cursor, app_id, due in self._database.rows(
            "SELECT name, user_id, status, definition, cursor_line, app_id, due FROM application_sequences"
            " ORDER BY name"
        ):
            if enabled_only and status != "enabled":
                continue
            value = json.loads(stored)
            sequence = parse_definition(value["text"], {}).sequences[name]
            state = State(cursor, app_id, due, status == "enabled")
            found.append(Registered(name, user_id, sequence, value["executables"], state))
        return found

    def save(self, name: str, state: State) -> None:
        """Note where a sequence stands."""
        self._database.execute(
            "UPDATE application_sequences SET status = ?, cursor_line = ?, app_id = ?, due = ? WHERE name = ?",
            ("enabled" if state.enabled else "disabled", state.line, state.app_id, state.due, name),
        )

    def start(self, name: str | None, user_id: int) -> list[str]:
        """Enable one of a user's sequences, or all; their names.  Raises ObjectError for an unknown one."""
        chosen = self._chosen(name, user_id)
        for found in chosen:
            begin = found.sequence.restart
            line = 0 if begin else found.state.line
            self.save(found.name, State(line))
        return [found.name for found in chosen]

    def stop(self, name: str | None, user_id: int) -> list[Registered]:
        """Disable one of a user's sequences, or all; what was disabled.  Raises ObjectError for an unknown one."""
        chosen = self._chosen(name, user_id)
        for found in chosen:
            self.save(found.name, State(found.state.line, enabled=False))
        return chosen

    def remove(self, name: str, user_id: int) -> Registered:
        """Delete one of a user's sequences.  Raises ObjectError for an unknown one."""
        (found,) = self._chosen(name, user_id)
        self._database.execute("DELETE FROM application_sequences WHERE name = ?", (name,))
        return found

    def _chosen(self, name: str | None, user_id: int) -> list[Registered]:
        own = [found for found in self.listed() if found.user_id == user_id and name in (None, found.name)]
        if name is not None and not own:
            raise ObjectError(f"You have no sequence {name}")
        return own
