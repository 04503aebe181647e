"""Routes of references: `/reference/*`."""

from __future__ import annotations

from typing import Any

from oio.naming import is_cid, is_service_id
from oio.service import status
from oio.service.proxy.call import NOTHING, Answer, Call, check_name, texts
from oio.service.proxy.context import Proxy, Routes
from oio.service.status import ServiceError
from oio.service.verbs.meta1 import Policy

PREFIX = "META1 error: "
MAX_PAGE = 1000
"""References in one page."""


async def meta1(proxy: Proxy, call: Call, verb: str, args: dict[str, Any], safe: bool = False) -> Any:
    """Call the reference's meta1 base; errors of the base carry `META1 error: `."""
    cid = call.reference().cid
    try:
        return await proxy.directory.meta1(cid, verb, {"cid": cid, **args}, call.remaining(), safe)
    except ServiceError as error:
        if error.status in (status.USER_NOT_FOUND, status.USER_IN_USE, status.ALREADY_LINKED):
            raise error.prefixed(PREFIX) from error
        raise


async def ensure(proxy: Proxy, call: Call) -> None:
    """Make the reference if the request asks for it."""
    if call.autocreate:
        named = call.named_reference()
        await meta1(
            proxy, call, "ref_create", {"account": named.account, "ref": named.name, "properties": {}}
        )


async def create(proxy: Proxy, call: Call) -> Answer:
    named = call.named_reference()
    properties = texts(call.json_object() if call.body.strip() else {}, "properties")
    made = await meta1(
        proxy, call, "ref_create", {"account": named.account, "ref": named.name, "properties": properties}
    )
    return Answer(201 if made else 202)


async def has(proxy: Proxy, call: Call) -> Answer:
    await meta1(proxy, call, "ref_get_properties", {"names": []}, safe=True)
    return NOTHING


async def show(proxy: Proxy, call: Call) -> Answer:
    reference = call.reference()
    kind = call.query.get("type", "")
    shown = await meta1(proxy, call, "ref_show", {"service_type": kind}, safe=True)
    meta0s = await proxy.directory.meta0_peers()
    meta1s = await proxy.directory.meta1_peers(reference.cid)
    places = [("meta0", host) for host in meta0s] + [("meta1", host) for host in meta1s]
    return Answer(
        document={
            "dir": [{"seq": 1, "type": kind, "host": host, "args": ""} for kind, host in places],
            "srv": expand(shown["services"]),
            "cid": reference.cid,
            "account": shown["account"],
            "name": shown["name"],
        }
    )


async def destroy(proxy: Proxy, call: Call) -> Answer:
    await meta1(proxy, call, "ref_destroy", {"force": call.flag("force")})
    return NOTHING


async def link(proxy: Proxy, call: Call) -> Answer:
    kind = service_type(call)
    await ensure(proxy, call)
    return Answer(document=expand(await linked(proxy, call, kind)))


async def linked(proxy: Proxy, call: Call, kind: str) -> list[dict[str, Any]]:
    """The reference's services of a type; some are chosen and linked when none of them is up."""
    rows: list[dict[str, Any]] = await meta1(proxy, call, "ref_link", {"service_type": kind})
    await check_pool(proxy, kind)
    up = [item.name for item in await proxy.catalogue.items() if item.type == kind and item.score > 0]
    if any(one["host"] in up for one in expand(rows)):
        return rows
    chosen = await choose(proxy, kind)
    found: list[dict[str, Any]] = await meta1(
        proxy, call, "ref_link", {"service_type": kind, "candidates": chosen, "up": up}
    )
    return found


async def renew(proxy: Proxy, call: Call) -> Answer:
    kind = service_type(call)
    await ensure(proxy, call)
    await meta1(proxy, call, "ref_link", {"service_type": kind})
    await check_pool(proxy, kind)
    policy = update_policy(proxy.settings["ns.service_update_policy"], kind)
    chosen = await choose(proxy, kind)
    if call.flag("dryrun"):
        return Answer(document=[{"seq": 1, "type": kind, "host": ",".join(chosen), "args": ""}])
    args = {"service_type": kind, "candidates": chosen, "policy": policy.value}
    return Answer(document=await meta1(proxy, call, "ref_renew", args))


async def unlink(proxy: Proxy, call: Call) -> Answer:
    await meta1(proxy, call, "ref_unlink", {"service_type": service_type(call)})
    return NOTHING


async def force(proxy: Proxy, call: Call) -> Answer:
    kind = service_type(call)
    document = call.json()
    if not isinstance(document, dict):
        raise ServiceError(status.BAD_REQUEST, "Not an object")
    row = await description(proxy, document, kind)
    await ensure(proxy, call)
    await meta1(proxy, call, "ref_force", {**row, "replace": call.flag("replace")})
    return NOTHING


async def relink(proxy: Proxy, call: Call) -> Answer:
    kind = service_type(call)
    document = call.json_object()
    rows = []
    for part in ("kept", "replaced"):
        if not isinstance(document.get(part), dict):
            raise ServiceError(status.BAD_REQUEST, f"Missing field [{part}]")
        rows.append(await description(proxy, document[part], kind))
    kept, going = rows[0], rows[1]["host"].split(",")
    pool = await proxy.catalogue.pool(kind)
    if pool is None:
        raise no_pool(kind)
    chosen = await proxy.catalogue.poll(pool, kept["host"].split(","), going)
    names = [item.name for item in chosen.items]
    if call.flag("dryrun"):
        return Answer(document=expand([{**wire(kept), "host": ",".join([kept["host"], *names])}]))
    args = {**kept, "replaced": rows[1]["host"], "candidates": names}
    return Answer(document=expand(await meta1(proxy, call, "ref_relink", args)))


async def linked_references(proxy: Proxy, call: Call) -> Answer:
    """References of one meta1 base (that of `cid`) to which a service is linked, page by page."""
    kind, host = service_type(call), call.require("host", "No host provided")
    after, text = call.query.get("marker", ""), call.query.get("limit", str(MAX_PAGE))
    if not is_service_id(host):
        raise ServiceError(status.BAD_REQUEST, f"Invalid parameter 'host': {host[:64]!r}")
    if after and not is_cid(after):
        raise ServiceError(status.BAD_REQUEST, "Invalid parameter 'marker': a container id is expected")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_PAGE:
        raise ServiceError(status.BAD_REQUEST, f"Invalid parameter 'limit': 1 to {MAX_PAGE} is expected")
    limit = int(text[:6])
    host = (await proxy.catalogue.names_of(kind)).get(host, host)
    args = {"service_type": kind, "host": host, "after": after, "limit": limit + 1}
    rows = await meta1(proxy, call, "ref_linked", args, safe=True)
    found = [{"cid": cid, "account": account, "name": name} for cid, account, name in rows[:limit]]
    return Answer(document={"references": found, "truncated": len(rows) > limit})


async def get_properties(proxy: Proxy, call: Call) -> Answer:
    values = await meta1(proxy, call, "ref_get_properties", {"names": call.names()}, safe=True)
    return Answer(document={"cid": call.reference().cid, "properties": values})


async def set_properties(proxy: Proxy, call: Call) -> Answer:
    values = texts(call.json_object(), "properties")
    await meta1(proxy, call, "ref_set_properties", {"properties": values, "flush": call.flag("flush")})
    return NOTHING


async def del_properties(proxy: Proxy, call: Call) -> Answer:
    await meta1(proxy, call, "ref_del_properties", {"names": call.names()})
    return NOTHING


def expand(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One description for each host of each row."""
    return [{**row, "host": host} for row in rows for host in str(row["host"]).split(",")]


def wire(row: dict[str, Any]) -> dict[str, Any]:
    """A service description from the arguments of a verb."""
    return {"seq": row["seq"], "type": row["service_type"], "host": row["host"], "args": row["service_args"]}


def service_type(call: Call) -> str:
    """The service type in the query; ServiceError 400 when it is missing."""
    return call.require("type", "No service type provided")


def no_pool(kind: str) -> ServiceError:
    """The error for a type that nothing can be chosen from."""
    text = f"Query error: found only 0 services matching the criteria: pool [{kind}] not found"
    return ServiceError(status.BAD_REQUEST, PREFIX + text)


async def check_pool(proxy: Proxy, kind: str) -> None:
    """ServiceError 400 when nothing can be chosen for this type."""
    if await proxy.catalogue.pool(kind) is None:
        raise no_pool(kind)


async def choose(proxy: Proxy, kind: str) -> list[str]:
    """Names of services from the pool of a type. The link routes answer 403 when there are not enough."""
    pool = await proxy.catalogue.pool(kind)
    if pool is None:
        raise no_pool(kind)
    try:
        return [item.name for item in (await proxy.catalogue.poll(pool)).items]
    except ServiceError as error:
        raise LinkRefused(error.status, f"{PREFIX}Query error: {error.message}") from error


class LinkRefused(ServiceError):
    """No service satisfies the policy of a link: HTTP 403 and not 503."""


async def description(proxy: Proxy, document: dict[str, Any], kind: str) -> dict[str, Any]:
    """A service description as arguments of a verb; ServiceError 400 names the member that is wrong."""
    for name, expected in (("seq", int), ("type", str), ("host", str), ("args", str)):
        value = document.get(name, "" if name == "args" else None)
        if value is None:
            raise ServiceError(status.BAD_REQUEST, f"Missing field [{name}]")
        if not isinstance(value, expected) or isinstance(value, bool):
            raise ServiceError(status.BAD_REQUEST, f"Invalid field [{name}]")
    if not 0 <= document["seq"] < 1 << 62:
        raise ServiceError(status.BAD_REQUEST, "Invalid field [seq]: a number from 0 on is expected")
    if document["type"] != kind:
        text = f"Invalid field [type]: {document['type'][:64]!r} in the body, {kind!r} in the query"
        raise ServiceError(status.BAD_REQUEST, text)
    if kind not in await proxy.catalogue.types():
        raise ServiceError(status.BAD_REQUEST, f"Invalid field [type]: Service type [{kind}] not managed")
    hosts = document["host"].split(",")
    if not all(is_service_id(host) for host in hosts) or len(hosts) > 64:
        raise ServiceError(status.BAD_REQUEST, f"Invalid field [host]: {document['host'][:64]!r}")
    ids = await proxy.catalogue.names_of(kind)
    host = ",".join(ids.get(one, one) for one in hosts)
    arguments = check_name(document.get("args", ""), "args")
    return {"seq": document["seq"], "service_type": kind, "host": host, "service_args": arguments}


def update_policy(text: str, kind: str) -> Policy:
    """The update policy of a type in a text like `meta2=KEEP|3|1|;rdir=KEEP|1|1|;`."""
    for part in filter(None, text.split(";")):
        name, _, rest = part.partition("=")
        word = rest.partition("|")[0]
        if name == kind and word in Policy.__members__:
            return Policy(word)
    return Policy.APPEND


ROUTES: Routes = {
    ("POST", "reference/create"): create,
    ("GET", "reference/has"): has,
    ("GET", "reference/show"): show,
    ("GET", "reference/linked"): linked_references,
    ("POST", "reference/destroy"): destroy,
    ("POST", "reference/link"): link,
    ("POST", "reference/renew"): renew,
    ("POST", "reference/unlink"): unlink,
    ("POST", "reference/force"): force,
    ("POST", "reference/relink"): relink,
    ("POST", "reference/get_properties"): get_properties,
    ("POST", "reference/set_properties"): set_properties,
    ("POST", "reference/del_properties"): del_properties,
}
