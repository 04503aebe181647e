"""Routes of the proxy itself and of single services: `/status`, `/config`, `/cache/*`, `/forward/*`."""

from __future__ import annotations

from typing import Any, Final

from oio.naming import is_service_id
from oio.service import status
from oio.service.master_search import MAX_MASTERS
from oio.service.proxy.call import NOTHING, Answer, Call
from oio.service.proxy.context import Proxy, Route, Routes
from oio.service.proxy.exposition import exposed
from oio.service.status import ServiceError

TIMEOUT: Final = 5.0


async def show_status(proxy: Proxy, call: Call) -> Answer:
    return Answer(
        text=f"counter req.hits {proxy.requests}\ngauge cache.masters {len(proxy.directory.search.masters)}\n"
    )


async def config(proxy: Proxy, call: Call) -> Answer:
    return Answer(document=proxy.settings.all())


async def set_config(proxy: Proxy, call: Call) -> Answer:
    return Answer(document=proxy.settings.change(values(call)))


def values(call: Call) -> dict[str, str]:
    """Live variables of the body as texts; ServiceError 400."""
    document = call.json() if call.body.strip() else None
    if not isinstance(document, dict) or not document:
        raise ServiceError(status.BAD_REQUEST, "Object argument expected")
    for name, value in document.items():
        if not isinstance(value, str | int | float | bool):
            raise ServiceError(status.BAD_REQUEST, f"Invalid value of {name[:64]!r}: a scalar is expected")
    return {name: str(value) for name, value in document.items()}


async def cache_status(proxy: Proxy, call: Call) -> Answer:
    count = len(proxy.directory.search.masters)
    most = min(MAX_MASTERS, int(proxy.settings.number("resolver.cache.srv.max.default")))
    ttl = int(proxy.settings.microseconds("proxy.ttl.services.master"))
    return Answer(
        document={
            "csm0": {"count": len(proxy.catalogue.own_pools), "max": MAX_MASTERS, "ttl": 10},
            "meta1": {"count": count, "max": most, "ttl": ttl},
        }
    )


async def cache_show(proxy: Proxy, call: Call) -> Answer:
    return Answer(document=[{"addr": item.addr, "id": item.name} for item in await proxy.catalogue.items()])


async def flush_high(proxy: Proxy, call: Call) -> Answer:
    proxy.directory.forget_mapping()
    proxy.catalogue.forget()
    return NOTHING


async def flush_low(proxy: Proxy, call: Call) -> Answer:
    proxy.directory.search.masters.clear()
    return NOTHING


async def flush_local(proxy: Proxy, call: Call) -> Answer:
    await flush_high(proxy, call)
    return await flush_low(proxy, call)


async def ask(proxy: Proxy, call: Call, verb: str, args: dict[str, Any], limit: str = "") -> Any:
    """Call a verb of the service in the query; `limit` is the live variable with the seconds that it may take."""
    name = call.query.get("id", "")
    if not name:
        raise ServiceError(status.BAD_REQUEST, "Missing SRVID")
    if not is_service_id(name):
        raise ServiceError(status.BAD_REQUEST, f"Invalid SRVID {name[:64]!r}")
    seconds = proxy.settings.number(limit) if limit else TIMEOUT
    address = await proxy.catalogue.address_of(name)
    return await proxy.rpc.call(address, verb, args, min(seconds, call.remaining()))


async def info(proxy: Proxy, call: Call) -> Answer:
    told = await ask(proxy, call, "info", {}, "proxy.outgoing.timeout.info")
    if call.query.get("format") == "prometheus":
        return Answer(text=exposed(call.query["id"], told))
    return Answer(document=told)


async def service_config(proxy: Proxy, call: Call) -> Answer:
    return Answer(document=await ask(proxy, call, "get_settings", {}, "proxy.outgoing.timeout.config"))


async def set_service_config(proxy: Proxy, call: Call) -> Answer:
    args = {"values": values(call)}
    return Answer(document=await ask(proxy, call, "set_settings", args, "proxy.outgoing.timeout.config"))


async def stats(proxy: Proxy, call: Call) -> Answer:
    counters = await ask(proxy, call, "stats", {}, "proxy.outgoing.timeout.stat")
    if call.query.get("format") == "prometheus":
        return Answer(text=exposed(call.query["id"], counters))
    return Answer(text="".join(f"counter {name} {value}\n" for name, value in counters.items()))


async def version(proxy: Proxy, call: Call) -> Answer:
    return Answer(text=str((await ask(proxy, call, "info", {}))["version"]))


async def ping(proxy: Proxy, call: Call) -> Answer:
    await ask(proxy, call, "ping", {})
    return Answer(text="OK\r\n")


async def balance(proxy: Proxy, call: Call) -> Answer:
    limit = call.query.get("max", "0")
    if not limit.isascii() or not limit.isdigit() or len(limit) > 9:
        raise ServiceError(status.BAD_REQUEST, "Invalid parameter 'max'")
    idle = call.query.get("inactivity", "0")
    if not idle.isascii() or not idle.isdigit() or len(idle) > 9:
        raise ServiceError(status.BAD_REQUEST, "Invalid parameter 'inactivity'")
    return Answer(document=await ask(proxy, call, "balance", {"max": int(limit), "inactivity": int(idle)}))


async def bases(proxy: Proxy, call: Call) -> Answer:
    return Answer(document=await ask(proxy, call, "bases", {}))


async def remove_base(proxy: Proxy, call: Call) -> Answer:
    name = {
        "type": call.require("type", "No service type provided"),
        "name": call.require("name", "No base name provided"),
    }
    await ask(proxy, call, "base_remove", name)
    return NOTHING


def telling(verb: str) -> Route:
    """A route that tells a service to do something and has nothing to answer."""

    async def route(proxy: Proxy, call: Call) -> Answer:
        await ask(proxy, call, verb, {})
        return NOTHING

    return route


ROUTES: Routes = {
    ("GET", "status"): show_status,
    ("GET", "config"): config,
    ("POST", "config"): set_config,
    ("GET", "cache/status"): cache_status,
    ("GET", "cache/show"): cache_show,
    ("POST", "cache/flush/high"): flush_high,
    ("POST", "cache/flush/low"): flush_low,
    ("POST", "cache/flush/local"): flush_local,
    ("GET", "forward/info"): info,
    ("GET", "forward/config"): service_config,
    ("POST", "forward/config"): set_service_config,
    ("GET", "forward/stats"): stats,
    ("GET", "forward/version"): version,
    ("GET", "forward/ping"): ping,
    ("GET", "forward/bases"): bases,
    ("POST", "forward/remove-base"): remove_base,
    ("POST", "forward/flush"): telling("nothing"),
    ("POST", "forward/reload"): telling("nothing"),
    ("POST", "forward/lean-glib"): telling("release_memory"),
    ("POST", "forward/lean-sqlx"): telling("release_memory"),
    ("POST", "forward/kill"): telling("kill"),
    ("POST", "forward/balance-masters"): balance,
}
"""Paths below `/v3.0`, without a namespace."""
