"""Users, found by their certificates, and what they may do."""

from __future__ import annotations

from typing import NamedTuple

from dynamo.core.components.impl.database import Database
from dynamo.core.dn import dn_of_text, shorter_dns
from dynamo.core.master.database import transaction
from dynamo.dataformat import ObjectError

TARGETS = ("inventory", "history", "registry", "application")
"""What rights are given for."""


class User(NamedTuple):
    """A known user."""

    name: str
    id: int
    dn: str


class Users:
    """The tables of users, roles and rights."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def identify_user(
        self, dn: str = "", check_trunc: bool = False, name: str = "", uid: int = 0
    ) -> User | None:
        """The user of a certificate's name, of a login name or of a number; None for an unknown one.

        With `check_trunc` parts are cut from the end of the certificate's name until somebody is found.
        """
        for column, value in (("name", name), ("id", uid)):
            if value:
                return self._find(column, value)
        names = shorter_dns(dn) if check_trunc else [dn]
        return next((user for found in names if (user := self._find("dn", found)) is not None), None)

    def _find(self, column: str, value: str | int) -> User | None:
        for row in self._database.rows(f"SELECT name, id, dn FROM users WHERE {column} = ?", (value,)):
            return User(*row)
        return None

    def email(self, uid: int) -> str:
        """The address of a user; empty without one."""
        for (email,) in self._database.rows("SELECT email FROM users WHERE id = ?", (uid,)):
            return str(email)
        return ""

    def add_user(self, name: str, dn: str, email: str = "") -> User:
        """Add a user.  Raises ObjectError for names that are taken or no names."""
        if not 0 < len(name) <= 64:
            raise ObjectError(f"User name {name!r} is not 1 to 64 characters long")
        dn = dn_of_text(dn)
        for column, value in (("name", name), ("dn", dn)):
            if self._find(column, value) is not None:
                raise ObjectError(f"There is a user with {column} {value} already")
        number = self._database.execute(
            "INSERT INTO users (name, email, dn) VALUES (?, ?, ?)", (name, email, dn)
        )
        return User(name, number, dn)

    def check_user_auth(self, user: str, role: str | None, target: str | None) -> bool:
        """Has a user a role for a target, or for any target when None is asked for?"""
        return any(
            has_role == role and target in (None, has_target)
            for has_role, has_target in self.list_user_auth(user)
        )

    def list_user_auth(self, user: str) -> list[tuple[str | None, str]]:
        """Pairs of role and target of a user."""
        return list(
            self._database.rows(
                "SELECT r.name, a.target FROM user_authorizations a JOIN users u ON u.id = a.user_id"
                " LEFT JOIN roles r ON r.id = a.role_id WHERE u.name = ? ORDER BY r.name, a.target",
                (user,),
            )
        )

    def list_all(self) -> list[tuple[str, str, str | None, str | None]]:
        """Name, certificate's name, role and target of everybody; without rights the last two are None."""
        return list(
            self._database.rows(
                "SELECT u.name, u.dn, r.name, a.target FROM users u"
                " LEFT JOIN user_authorizations a ON a.user_id = u.id LEFT JOIN roles r ON r.id = a.role_id"
                " ORDER BY u.name, r.name, a.target"
            )
        )

    def authorize_user(self, user: str, role: str | None, target: str | None) -> None:
        """Give a role for a target, or for every target.  Raises ObjectError for an unknown user or target."""
        found = self._known(user)
        with transaction(self._database):
            role_id = 0 if role is None else self._role_id(role)
            for each in _targets(target):
                self._database.execute(
                    "REPLACE INTO user_authorizations (user_id, role_id, target) VALUES (?, ?, ?)",
                    (found.id, role_id, each),
                )

    def revoke_user_authorization(self, user: str, role: str | None, target: str | None) -> None:
        """Take a role for a target, or for every target.  Raises ObjectError for an unknown user or target."""
        found = self._known(user)
        with transaction(self._database):
            role_id = 0 if role is None else self._role_id(role)
            for each in _targets(target):
                self._database.execute(
                    "DELETE FROM user_authorizations WHERE user_id = ? AND role_id = ? AND target = ?",
                    (found.id, role_id, each),
                )

    def _known(self, user: str) -> User:
        found = self._find("name", user)
        if found is None:
            raise ObjectError(f"Unknown user {user}; add it with dynamo-user-auth -u {user} -n DN")
        return found

    def _role_id(self, role: str) -> int:
        for (number,) in self._database.rows("SELECT id FROM roles WHERE name = ?", (role,)):
            return int(number)
        return self._database.execute("INSERT INTO roles (name) VALUES (?)", (role,))


def _targets(target: str | None) -> tuple[str, ...]:
    if target is None:
        return TARGETS
    if target not in TARGETS:
        raise ObjectError(f"Unknown target {target!r}; known are {', '.join(TARGETS)}")
    return (target,)
