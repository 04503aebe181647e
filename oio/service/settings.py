"""Live variables: names of OpenIO SDS with their values as texts. Nothing set live survives a restart.

Those in OBEYED are looked at whenever what they say is done. The others can be read and set, and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from oio.service.live_variables import DEFAULTS

MAX_DIGITS: Final = 18
_LIMITS: Final = (".timeout.", ".max_delay")
"""What is no limit with 0, or allows nothing."""
_ON: Final = ("on", "true", "yes", "1")
_OFF: Final = ("off", "false", "no", "0")


OWN: Final = {
    "proxy.period.cs.downstream": "1",
    "sqliterepo.outgoing.timeout.req.getvers": "3.000000",
    "sqliterepo.outgoing.timeout.req.replicate": "3.000000",
    "sqliterepo.repo.hard_max": "512",
}
"""Defaults that are others than those of OpenIO SDS: news are seen, and silent peers given up, sooner."""
OBEYED: Final = {
    "proxy.cache.enabled": "off: ask conscience and meta0 at every request, remember no masters",
    "proxy.period.cs.downstream": "seconds for which lists of the conscience are used without asking again",
    "proxy.outgoing.timeout.common": "seconds that a service has to answer the proxy, 8 at most",
    "proxy.outgoing.timeout.conscience": "the same for the conscience",
    "proxy.outgoing.timeout.config": "the same for `/forward/config`",
    "proxy.outgoing.timeout.info": "the same for `/forward/info`",
    "proxy.outgoing.timeout.stat": "the same for `/forward/stats`",
    "proxy.request.max_delay": "µs that a request has, unless it says less",
    "proxy.ttl.services.down": "µs for which a service that did not answer is not tried; 1 s at most if it refused",
    "proxy.ttl.services.local": "µs for which `/local/list` shows what registered here",
    "proxy.ttl.services.master": "µs for which the master of a base is remembered",
    "resolver.cache.srv.max.default": "masters that are remembered, 65,536 at most",
    "sqliterepo.election.allow_master": "off: the service becomes master of nothing, and gives up what it is",
    "sqliterepo.outgoing.timeout.req.getvers": "seconds that a peer has to promise",
    "sqliterepo.outgoing.timeout.req.replicate": "seconds that a peer has to take a change into its log",
    "sqliterepo.outgoing.timeout.req.resync": "seconds that a whole copy may take on its way",
    "sqliterepo.repo.hard_max": "bases that are kept open",
}
"""What each of these does."""


class Settings:
    """Values of one process; `own` overrides the defaults."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._values = {**DEFAULTS, **OWN, **(own or {})}

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def is_on(self, name: str) -> bool:
        """A variable that is on or off."""
        return self._values[name] == "on"

    def number(self, name: str) -> float:
        """A variable that is a number, in its own unit."""
        return float(self._values[name])

    def microseconds(self, name: str) -> float:
        """A variable that counts microseconds, in seconds."""
        return self.number(name) / 1e6

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
        elif _is_number(before) and not _may_be(name, value):
            return False
        self._values[name] = value
        return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()


def _may_be(name: str, value: str) -> bool:
    """Whether a number is one that this variable can have."""
    if not _is_number(value) or len(value) > MAX_DIGITS:
        return False
    return float(value) > 0 or name not in OBEYED or not any(word in name for word in _LIMITS)
