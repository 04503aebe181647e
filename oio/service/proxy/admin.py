"""Routes of bases and elections: `/admin/*`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from oio.naming import BaseName, is_address, is_prefix, is_service_id
from oio.service import status
from oio.service.proxy.call import NOTHING, Answer, Call, texts
from oio.service.proxy.context import Proxy, Route, Routes
from oio.service.proxy.directory import NEVER
from oio.service.status import ServiceError
from oio.service.verbs import meta0


async def locate(proxy: Proxy, call: Call) -> tuple[BaseName, list[str]]:
    """The base in the query and its peers."""
    kind = call.require("type", "No service type provided")
    reference = call.reference()
    return await proxy.directory.locate(kind, reference.cid, call.remaining())


def limited(call: Call, peers: list[str]) -> list[str]:
    """The services that the query names, or all peers; ServiceError 400 for a malformed name."""
    text = call.query.get("service_id", "")
    if not text:
        return peers
    found = list(dict.fromkeys(filter(None, text.split(","))))
    for name in found:
        if not is_service_id(name):
            raise ServiceError(status.BAD_REQUEST, f"Invalid parameter 'service_id': {name[:64]!r}")
    return found


def each_peer(verb: str, needs_services: bool = False) -> Route:
    """A route that asks every peer and answers with all answers."""

    async def route(proxy: Proxy, call: Call) -> Answer:
        if needs_services and not call.query.get("service_id"):
            raise ServiceError(status.BAD_REQUEST, "No service ID")
        base, peers = await locate(proxy, call)
        args: dict[str, Any] = {"peers": peers, "suffix": suffix(call)}
        answers = await proxy.directory.each(base, limited(call, peers), verb, args, call.remaining())
        if any([answer.pop(NEVER, False) for answer in answers.values()]):
            found = {**args, "peers": await proxy.directory.founders(base), "found": True}
            asked = limited(call, found["peers"])
            answers = await proxy.directory.each(base, asked, verb, found, call.remaining())
        return Answer(document=answers)

    return route


def suffix(call: Call) -> str:
    """The suffix in the query; ServiceError 400 when it is none."""
    text = call.query.get("suffix", "")
    if text and (not text.isascii() or not text.isalnum() or len(text) > 32):
        raise ServiceError(
            status.BAD_REQUEST, "Invalid parameter 'suffix': up to 32 letters and digits are allowed"
        )
    return text


async def sync(proxy: Proxy, call: Call) -> Answer:
    text = call.query.get("check_type", "-1")
    if text not in ("-1", "0", "1", "2"):
        raise ServiceError(status.BAD_REQUEST, "Invalid parameter 'check_type': -1, 0, 1 or 2 is expected")
    return await each_peer("base_sync")(proxy, call)


async def vacuum(proxy: Proxy, call: Call) -> Answer:
    base, peers = await locate(proxy, call)
    local = {"local": True}
    if call.flag("local"):
        await proxy.directory.each(base, limited(call, peers), "base_vacuum", local, call.remaining())
        return Answer(document={})
    await proxy.directory.call(base, peers, "base_vacuum", {}, call.remaining())
    await proxy.directory.each(base, peers, "base_vacuum", local, call.remaining())
    return Answer(document={})


async def get_properties(proxy: Proxy, call: Call) -> Answer:
    base, peers = await locate(proxy, call)
    return Answer(
        document=await proxy.directory.call(
            base, peers, "base_get_properties", {}, call.remaining(), safe=True
        )
    )


async def set_properties(proxy: Proxy, call: Call) -> Answer:
    document = call.json_object("No properties found in JSON object")
    user, system = texts(document, "properties"), texts(document, "system")
    if not user and not system:
        raise ServiceError(status.BAD_REQUEST, "No properties found in JSON object")
    base, peers = await locate(proxy, call)
    for key in system.keys() & {"peers", "sys.peers"}:
        ids = await proxy.catalogue.names_of(base.type)
        system[key] = ",".join(ids.get(peer, peer) for peer in system[key].split(","))
    system = {key if key.startswith("sys.") else f"sys.{key}": value for key, value in system.items()}
    args = {"properties": user, "system": system}
    await proxy.directory.call(base, peers, "base_set_properties", args, call.remaining())
    return NOTHING


async def del_properties(proxy: Proxy, call: Call) -> Answer:
    names = call.names()
    base, peers = await locate(proxy, call)
    await proxy.directory.call(base, peers, "base_del_properties", {"names": names}, call.remaining())
    return NOTHING


async def copy(proxy: Proxy, call: Call) -> Answer:
    document = call.json_object()
    local = document.get("local") in (1, True)
    source, target = document.get("from"), document.get("to")
    for value, text in ((source, "Invalid source URL"), (target, "Invalid target URL")):
        if value is not None and not (isinstance(value, str) and await known(proxy, value)):
            raise ServiceError(status.BAD_REQUEST, text)
    if local:
        if not source:
            raise ServiceError(status.BAD_REQUEST, "Invalid source URL")
        if not suffix(call):
            raise ServiceError(status.BAD_REQUEST, "Missing suffix for local copy")
        target = source
    if not target:
        raise ServiceError(status.BAD_REQUEST, "Invalid target URL")
    base, peers = await locate(proxy, call)
    args: dict[str, Any] = {"type": base.type, "name": base.name, "suffix": suffix(call), "local": local}
    if source:
        address = await proxy.catalogue.address_of(source)
        await proxy.directory.search.ask(target, "base_copy", {**args, "from": address}, call.remaining())
        return NOTHING
    last = ServiceError(status.BASE_NOT_FOUND, "No service located")
    master = proxy.directory.search.masters.get(base, ("", 0.0))[0]
    for peer in sorted(peers, key=lambda peer: peer != master):
        if peer == target:
            continue
        try:
            address = await proxy.catalogue.address_of(peer)
            await proxy.directory.search.ask(target, "base_copy", {**args, "from": address}, call.remaining())
        except ServiceError as error:
            last = error
        else:
            return Answer(document={})
    raise last


async def known(proxy: Proxy, name: str) -> bool:
    """Whether a service can be reached under this name."""
    if is_address(name):
        return True
    try:
        await proxy.catalogue.address_of(name)
    except ServiceError:
        return False
    return True


def enabling(value: str) -> Callable[[Proxy, Call], Any]:
    """A route that sets the status of a base."""

    async def route(proxy: Proxy, call: Call) -> Answer:
        base, peers = await locate(proxy, call)
        args = {"properties": {}, "system": {"sys.status": value}}
        await proxy.directory.call(base, peers, "base_set_properties", args, call.remaining())
        return NOTHING

    return route


async def meta0_list(proxy: Proxy, call: Call) -> Answer:
    digits = call.query.get("digits", "4")
    if digits not in ("0", "1", "2", "3", "4"):
        raise ServiceError(status.BAD_REQUEST, "Invalid parameter 'digits': a number from 0 to 4 is expected")
    table = await proxy.directory.mapping(fresh=True)
    step = 16 ** (4 - int(digits))
    shown = range(0, meta0.PREFIXES, step)
    tag = hashlib.sha256(repr([table[number] for number in shown]).encode()).hexdigest()
    headers = {"ETag": f'"{tag}"'}
    if call.headers.get("if-none-match") == headers["ETag"]:
        return Answer(304, headers=headers)
    document = {f"{number:04X}": list(table[number]) for number in shown if table[number]}
    return Answer(document=document, headers=headers)


async def meta0_force(proxy: Proxy, call: Call) -> Answer:
    document = call.json_object("Invalid JSON object: must be a hash")
    for prefix, addresses in document.items():
        if not is_prefix(prefix):
            raise ServiceError(
                status.BAD_REQUEST, f"Invalid prefix {prefix[:32]!r}: 4 hexadecimal digits are expected"
            )
        if not isinstance(addresses, list) or not 1 <= len(addresses) <= 64:
            raise ServiceError(
                status.BAD_REQUEST, f"Invalid value of {prefix}: a list of addresses is expected"
            )
        for address in addresses:
            if not isinstance(address, str) or not is_service_id(address):
                raise ServiceError(status.BAD_REQUEST, f"Invalid address of {prefix}: {str(address)[:64]!r}")
    if document:
        base, peers = proxy.directory.meta0_base(), await proxy.directory.meta0_peers()
        ids = await proxy.catalogue.names_of("meta1")
        document = {prefix: [ids.get(one, one) for one in stored] for prefix, stored in document.items()}
        await proxy.directory.call(base, peers, "meta0_force", {"mapping": document}, call.remaining())
        proxy.directory.forget_mapping()
    return NOTHING


ROUTES: Routes = {
    ("POST", "admin/ping"): each_peer("base_ping"),
    ("POST", "admin/has"): each_peer("base_has"),
    ("POST", "admin/status"): each_peer("base_status"),
    ("POST", "admin/debug"): each_peer("base_debug"),
    ("POST", "admin/info"): each_peer("base_versions"),
    ("POST", "admin/drop_cache"): each_peer("nothing"),
    ("POST", "admin/sync"): sync,
    ("POST", "admin/leave"): each_peer("base_leave"),
    ("POST", "admin/remove"): each_peer("base_remove", needs_services=True),
    ("POST", "admin/vacuum"): vacuum,
    ("POST", "admin/get_properties"): get_properties,
    ("POST", "admin/set_properties"): set_properties,
    ("POST", "admin/del_properties"): del_properties,
    ("POST", "admin/copy"): copy,
    ("POST", "admin/freeze"): enabling("1"),
    ("POST", "admin/enable"): enabling("0"),
    ("POST", "admin/disable"): enabling("2"),
    ("GET", "admin/meta0_list"): meta0_list,
    ("POST", "admin/meta0_force"): meta0_force,
}
