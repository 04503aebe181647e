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


async def create(proxy: Proxy, call: Call) -> Answer:
    named = call.named_reference()
    document = call.json_object() if call.body.strip() else {}
    user, system = texts(document, "properties"), texts(document, "system")
    owner = {"account": named.account, "ref": named.name, "properties": {}}
    await reference.meta1(proxy, call, "ref_create", owner)
    rows = await reference.linked(proxy, call, TYPE)
    newest = max(rows, key=lambda row: int(row["seq"]))
    base, peers = meta2_base(named.cid, int(newest["seq"])), str(newest["host"]).split(",")
    args = {**owner, "properties": user, "system": system}
    made = await proxy.directory.call(base, peers, "container_create", args, call.remaining())
    return Answer(201) if made else NOTHING


async def destroy(proxy: Proxy, call: Call) -> Answer:
    cid = call.reference().cid
    base, peers = await proxy.directory.locate(TYPE, cid, call.remaining())
    args = {"force": call.flag("force")}
    await proxy.directory.call(base, peers, "container_check_destroy", args, call.remaining(), safe=True)
    await reference.meta1(proxy, call, "ref_unlink", {"service_type": TYPE})
    await proxy.directory.each(base, peers, "base_remove", {"deleted": True}, call.remaining())
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
