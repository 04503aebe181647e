"""Routes of containers, as far as the directory's users need them: `/container/*`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from oio.naming import meta2_base
from oio.service import status
from oio.service.proxy import reference
from oio.service.proxy.call import NOTHING, Answer, Call, texts
from oio.service.proxy.context import Proxy, Routes
from oio.service.status import ServiceError

TYPE = "meta2"
ROUNDS = 3
"""Times that a container is made which others delete meanwhile."""


async def create(proxy: Proxy, call: Call) -> Answer:
    named = call.named_reference()
    document = call.json_object() if call.body.strip() else {}
    user, system = texts(document, "properties"), texts(document, "system")
    owner = {"account": named.account, "ref": named.name, "properties": {}}
    for _ in range(ROUNDS):
        await reference.meta1(proxy, call, "ref_create", owner)
        newest = newest_of(await reference.linked(proxy, call, TYPE))
        base, peers = meta2_base(named.cid, int(newest["seq"])), str(newest["host"]).split(",")
        args = {**owner, "properties": user, "system": system}
        done = await proxy.directory.call(base, peers, "container_create", args, call.remaining())
        if not done["made"]:
            return NOTHING
        # Somebody may have deleted the former container, and its link, since that was read.
        rows = await reference.meta1(proxy, call, "ref_link", {"service_type": TYPE})
        if newest_of(rows) == newest:
            return Answer(201)
        await proxy.directory.each(base, peers, "base_bury", {"born": done["born"]}, call.remaining())
    raise ServiceError(status.UNAVAILABLE, "the container is being deleted; try again")


def newest_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of the latest sequence; empty without any."""
    return max(rows, key=lambda row: int(row["seq"]), default={})


async def destroy(proxy: Proxy, call: Call) -> Answer:
    cid = call.reference().cid
    args = {"cid": cid, "service_type": TYPE, "force": call.flag("force")}
    try:
        await proxy.directory.meta1(cid, "ref_delete", args, call.remaining())
    except ServiceError as error:
        if error.status == status.USER_NOT_FOUND:
            raise error.prefixed("Directory error: ") from error
        raise
    return NOTHING


async def properties(proxy: Proxy, call: Call) -> dict[str, Any]:
    """Properties of the container; ServiceError 431 when there is none."""
    base, peers = await proxy.directory.locate(TYPE, call.reference().cid, call.remaining())
    found: dict[str, Any] = await proxy.directory.call(
        base, peers, "base_get_properties", {}, call.remaining(), safe=True
    )
    if "sys.m2.init" not in found["system"]:
        raise ServiceError(status.BASE_NOT_FOUND, "No such container")
    return found


def headers(found: dict[str, Any], with_user: bool) -> dict[str, str]:
    """System values as headers: dots become dashes, values are url-encoded."""
    sent = {}
    for key, value in found["system"].items():
        name = key.replace(".", "-").replace(":", "-").replace("_", "-")
        if key.startswith("sys."):
            sent[f"x-oio-container-meta-{name}"] = quote(value, safe="")
        elif not with_user and not key.startswith("stats."):
            sent[f"x-oio-container-meta-x-{name}"] = quote(value, safe="")
    if with_user:
        for key, value in found["properties"].items():
            sent[f"x-oio-container-meta-user-{quote(key, safe='')}"] = quote(value, safe="")
        sent["x-oio-list-truncated"] = "false"
    return sent


async def show(proxy: Proxy, call: Call) -> Answer:
    found = await properties(proxy, call)
    return Answer(document={"properties": found["properties"]}, headers=headers(found, with_user=False))


async def get_properties(proxy: Proxy, call: Call) -> Answer:
    names = call.names()
    found = await properties(proxy, call)
    if names:
        found["properties"] = {key: value for key, value in found["properties"].items() if key in names}
    return Answer(document=found)


async def list_objects(proxy: Proxy, call: Call) -> Answer:
    found = await properties(proxy, call)
    system = {key: value for key, value in found["system"].items() if key.startswith("sys.")}
    return Answer(
        document={"prefixes": [], "objects": [], "properties": found["properties"], "system": system},
        headers=headers(found, with_user=True),
    )


ROUTES: Routes = {
    ("POST", "container/create"): create,
    ("POST", "container/destroy"): destroy,
    ("GET", "container/show"): show,
    ("POST", "container/get_properties"): get_properties,
    ("GET", "container/list"): list_objects,
}
