"""What can go wrong when a grid is used, as a person reads it."""

from __future__ import annotations


class ClientError(Exception):
    """Base of everything that this package raises on purpose."""


class InvalidFile(ClientError, ValueError):
    """A deployment file cannot be used; the message names the place in it, the value and the remedy."""


class CheckFailed(ClientError):
    """A check before anything was signed or paid failed; each reason is a line."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class DeployFailed(ClientError):
    """A step failed after contracts were made; says what was undone and what could not be."""

    def __init__(self, reason: str, undone: list[str], left: list[str]) -> None:
        parts = [reason]
        if undone:
            parts.append(f"undone: {', '.join(undone)}")
        if left:
            parts.append(f"could not be undone: {'; '.join(left)}")
        super().__init__("; ".join(parts))
        self.reason = reason
        self.undone = undone
        self.left = left


class NodeRefused(ClientError):
    """A node did not accept a deployment."""

    CAPACITY = ("failed to satisfy required capacity", "not enough space left", "is rented by twin")

    def __init__(self, node: int, text: str) -> None:
        super().__init__(text)
        self.node = node
        self.text = text

    @property
    def is_for_room(self) -> bool:
        """Another node may have the room that this one lacks."""
        return any(part in self.text for part in self.CAPACITY)


class NotFound(ClientError):
    """No deployment, node or workload of that name or number."""


class ProfileError(ClientError):
    """The profile of `zos` is missing or cannot be used."""
