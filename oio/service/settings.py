"""Live variables: names of OpenIO SDS with their values as texts. Nothing set live survives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DEFAULTS: Final = {
    "ns.meta1_digits": "2",
    "ns.service_update_policy": "meta2=KEEP|3|1|;rdir=KEEP|1|1|;",
    "ns.storage_policy": "NONE",
    "ns.chunk_size": "1048576",
    "ns.flat_bits": "17",
    "ns.region": "localhost",
    "ns.master": "on",
    "ns.worm": "off",
    "sqliterepo.zk.timeout": "10000000",
    "sqliterepo.election.wait.delay": "20000000",
    "sqliterepo.election.delay.retry_failed": "250000",
    "sqliterepo.election.delay.expire_slave": "12600000000",
    "sqliterepo.election.delay.expire_master": "14400000000",
    "sqliterepo.election.delay.expire_none": "1800000000",
    "sqliterepo.election.delay.expire_pending": "12000000",
    "sqliterepo.election.allow_master": "on",
    "sqliterepo.repo.getvers_attempts": "5",
    "sqliterepo.repo.getvers_delay": "100000",
    "sqliterepo.repo.hard_max": "1024",
    "sqliterepo.outgoing.timeout.req.use": "10.000000",
    "sqliterepo.outgoing.timeout.req.getvers": "10.000000",
    "sqliterepo.outgoing.timeout.req.replicate": "10.000000",
    "sqliterepo.outgoing.timeout.req.resync": "241.000000",
    "sqliterepo.outgoing.timeout.cnx.use": "1.000000",
    "sqliterepo.dump.check_type": "1",
    "sqliterepo.dump.chunk_size": "8388608",
    "sqliterepo.page_size": "4096",
    "proxy.cache.enabled": "on",
    "proxy.outgoing.timeout.common": "30.000000",
    "proxy.outgoing.timeout.conscience": "10.000000",
    "proxy.outgoing.timeout.config": "10.000000",
    "proxy.outgoing.timeout.info": "5.000000",
    "proxy.outgoing.timeout.stat": "10.000000",
    "proxy.period.cs.downstream": "5",
    "proxy.period.cs.upstream": "1",
    "proxy.ttl.services.down": "5000000",
    "proxy.ttl.services.local": "30000000",
    "proxy.ttl.services.master": "1800000000",
    "proxy.request.max_delay": "60000000",
    "proxy.prefer.slave_for_read": "on",
    "proxy.prefer.master_for_write": "on",
    "proxy.prefer.master_for_read": "off",
    "resolver.cache.csm0.max.default": "4194304",
    "resolver.cache.csm0.ttl.default": "0",
    "resolver.cache.srv.max.default": "4194304",
    "resolver.cache.srv.ttl.default": "0",
    "meta2.reload.lb.period": "10",
}
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
