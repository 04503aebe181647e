"""Which executables may write, for whom."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from dynamo.core.components.impl.database import Database
from dynamo.dataformat import ObjectError

EVERYBODY = 0
"""The number that stands for all users."""

MAX_TITLE = 64
"""Longest title, in characters."""


class Authorization(NamedTuple):
    """An executable that may write under a title; `user` is None for everybody."""

    user: str | None
    title: str
    checksum256: bytes


class Authorizations:
    """The table of authorised executables.

    An executable is its bytes: SHA-256 decides.  MD5 is kept beside it for tools that look for it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def authorize(self, title: str, executable: bytes, user_id: int = EVERYBODY) -> bool:
        """Let an executable write under a title; whether that is news.

        The title's earlier executable loses the right.  Raises ObjectError for a bad title.
        """
        if not 0 < len(title) <= MAX_TITLE:
            raise ObjectError(f"Title {title!r} is not 1 to {MAX_TITLE} characters long")
        digest = hashlib.sha256(executable).digest()
        for _ in self._database.rows(
            "SELECT 1 FROM authorized_applications WHERE user_id = ? AND title = ? AND checksum256 = ?",
            (user_id, title, digest),
        ):
            return False
        md5 = hashlib.md5(executable, usedforsecurity=False).digest()
        self._database.execute(
            "REPLACE INTO authorized_applications (user_id, title, checksum, checksum256) VALUES (?, ?, ?, ?)",
            (user_id, title, md5, digest),
        )
        return True

    def revoke(self, title: str, user_id: int | None = None) -> int:
        """Take a title's right from one user, or from all; how many rows that were."""
        condition = "title = ?"
        values: list[str | int] = [title]
        if user_id is not None:
            condition += " AND user_id = ?"
            values.append(user_id)
        rows = list(self._database.rows(f"SELECT 1 FROM authorized_applications WHERE {condition}", values))
        self._database.execute(f"DELETE FROM authorized_applications WHERE {condition}", values)
        return len(rows)

    def check(self, title: str, executable: bytes, user_id: int) -> bool:
        """May this executable write under this title for this user?"""
        digest = hashlib.sha256(executable).digest()
        return any(
            True
            for _ in self._database.rows(
                "SELECT 1 FROM authorized_applications"
                " WHERE title = ? AND checksum256 = ? AND user_id IN (?, ?)",
                (title, digest, user_id, EVERYBODY),
            )
        )

    def listed(
        self, title: str | None = None, user: str | None = None, executable: bytes | None = None
    ) -> list[Authorization]:
        """All rights that fit what is given."""
        digest = None if executable is None else hashlib.sha256(executable).digest()
        return [
            found
            for row in self._database.rows(
                "SELECT u.name, a.title, a.checksum256 FROM authorized_applications a"
                " LEFT JOIN users u ON u.id = a.user_id ORDER BY a.title, u.name"
            )
            if (found := Authorization(*row))
            and title in (None, found.title)
            and user in (None, found.user)
            and digest in (None, found.checksum256)
        ]
