"""Users and rights as a program sees them: as of its start, to look up only."""

from __future__ import annotations

from dynamo.core.dn import shorter_dns
from dynamo.core.master.users import User, Users


class Authorizer:
    """A copy of the tables of users."""

    def __init__(self, users: Users) -> None:
        self._by_name: dict[str, User] = {}
        self._by_dn: dict[str, User] = {}
        self._rights: dict[str, list[tuple[str | None, str]]] = {}
        for name, dn, role, target in users.list_all():
            if name not in self._by_name:
                user = users.identify_user(name=name)
                assert user is not None, "it was just listed"
                self._by_name[name] = self._by_dn[dn] = user
            if target is not None:
                self._rights.setdefault(name, []).append((role, target))

    def identify_user(
        self, dn: str = "", check_trunc: bool = False, name: str = "", uid: int = 0
    ) -> User | None:
        """The user of a certificate's name, of a login name or of a number; None for an unknown one."""
        if name:
            return self._by_name.get(name)
        if uid:
            return next((user for user in self._by_name.values() if user.id == uid), None)
        names = shorter_dns(dn) if check_trunc else [dn]
        return next((self._by_dn[found] for found in names if found in self._by_dn), None)

    def check_user_auth(self, user: str, role: str | None, target: str | None) -> bool:
        """Has a user a role for a target, or for any target when None is asked for?"""
        return any(
            has_role == role and target in (None, has_target)
            for has_role, has_target in self.list_user_auth(user)
        )

    def list_user_auth(self, user: str) -> list[tuple[str | None, str]]:
        """Pairs of role and target of a user."""
        return list(self._rights.get(user, ()))
