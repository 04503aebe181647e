"""Live variables: names of OpenIO SDS with their values as texts. Nothing set live survives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oio.service.live_variables import DEFAULTS

_ON: Final = ("on", "true", "yes", "1")
_OFF: Final = ("off", "false", "no", "0")


class Settings:
    """Values of one process; `own` overrides the defaults."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._values = {**DEFAULTS, **(own or {})}

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def all(self) -> dict[str, str]:
        """Every variable with its value."""
        return dict(self._values)

    def change(self, values: Mapping[str, str]) -> dict[str, bool]:
        """Set variables; for each whether it was set: false for an unknown name or a value of the wrong kind."""
        return {name: self._set(name, value) for name, value in values.items()}

    def _set(self, name: str, value: str) -> bool:
        before = self._values.get(name)
        if before is None or len(value) > 1024:
            return False
        if before in ("on", "off"):
            if value.lower() not in (*_ON, *_OFF):
                return False
            value = "on" if value.lower() in _ON else "off"
        elif _is_number(before) and not _is_number(value):
            return False
        self._values[name] = value
        return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()
