"""Routes of services and their choice: `/conscience/*`, `/local/*`, `/lb/*`."""

from __future__ import annotations

from typing import Any, Final

from oio.naming import is_address, is_service_id
from oio.service import status
from oio.service.conscience import pools
from oio.service.conscience.pools import Item, Pool, Target
from oio.service.proxy.call import NOTHING, Answer, Call, check_name
from oio.service.proxy.catalogue import names
from oio.service.proxy.context import Proxy, Route, Routes
from oio.service.status import ServiceError

MAX_SERVICES: Final = 4096
MAX_CHOSEN: Final = 65536
"""Most services that may be asked for at once."""
"""Services in one body."""
MAX_TAGS: Final = 64


async def info(proxy: Proxy, call: Call) -> Answer:
    if call.query.get("what") == "types":
        return Answer(document=await proxy.catalogue.types())
    return Answer(document=await proxy.catalogue.info())


async def list_services(proxy: Proxy, call: Call) -> Answer:
    kind = call.require("type", "Missing type")
    form = call.query.get("format", "json")
    if form not in ("json", "prometheus"):
        raise ServiceError(status.BAD_REQUEST, "Unknown format")
    lists = await lists_of(proxy, call)
    kinds = sorted(lists) if kind == "all" else [kind]
    found: list[tuple[str, dict[str, Any]]] = []
    for name in kinds:
        if name not in lists:
            raise ServiceError(status.TYPE_NOT_MANAGED, f"Service type [{name[:64]}] not managed")
        found += [(name, service) for service in lists[name]]
    if form == "prometheus":
        return Answer(text="".join(metric(proxy.namespace, name, service) for name, service in found))
    documents = [shown(service, call.flag("full")) for _, service in found]
    if kind == "all":
        documents = [
            {**document, "ns": proxy.namespace, "type": name}
            for document, (name, _) in zip(documents, found, strict=True)
        ]
    return Answer(document=documents)


async def lists_of(proxy: Proxy, call: Call) -> dict[str, list[dict[str, Any]]]:
    """Services by type: the proxy's copy, or what the conscience says that the query names."""
    address = call.query.get("cs", "")
    if not address:
        return {name: await proxy.catalogue.services(name) for name in await proxy.catalogue.types()}
    if not is_address(address):
        raise ServiceError(status.BAD_REQUEST, f"Invalid parameter 'cs': {address[:64]!r}")
    lists: dict[str, list[dict[str, Any]]] = await proxy.rpc.call(
        address, "list", {}, min(5.0, call.remaining())
    )
    return lists


def shown(service: dict[str, Any], full: bool) -> dict[str, Any]:
    """A service as it is listed; statistics only when `full`."""
    tags = {key: value for key, value in service["tags"].items() if full or not key.startswith("stat.")}
    return {"addr": service["addr"], "score": service["score"], "tags": tags}


def metric(namespace: str, kind: str, service: dict[str, Any]) -> str:
    """A score in the text format of Prometheus."""
    tags = service["tags"]
    labels = {
        "namespace": namespace,
        "service_type": kind,
        "addr": service["addr"],
        "slots": tags.get("tag.slots", kind),
        "location": tags.get("tag.loc", ""),
        "up": str(tags.get("tag.up", False)).lower(),
        "lock": str(tags.get("tag.lock", False)).lower(),
    }
    quoted = (
        str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for value in labels.values()
    )
    text = ",".join(f'{name}="{value}"' for name, value in zip(labels, quoted, strict=True))
    return f"conscience_score{{{text}}} {service['score']}\n"


async def resolve(proxy: Proxy, call: Call) -> Answer:
    return Answer(document={"addr": (await one(proxy, call))["addr"]})


async def score(proxy: Proxy, call: Call) -> Answer:
    found = await one(proxy, call)
    return Answer(document={"addr": found["addr"], "score": found["score"]})


async def one(proxy: Proxy, call: Call) -> dict[str, Any]:
    """The service in the query; ServiceError 404."""
    kind = call.require("type", "Missing type")
    name = call.require("service_id", "Missing service_id")
    found = await proxy.catalogue.resolve(kind, name)
    if found is None:
        raise ServiceError(status.NOT_FOUND, f"Service ID [{name}] not found")
    return found


def changing(verb: str, only_addresses: bool) -> Route:
    """A route that hands services of its body on to the conscience."""

    async def route(proxy: Proxy, call: Call) -> Answer:
        services = described(call, only_addresses)
        args: dict[str, Any] = {"services": services}
        if verb == "lock":
            args["create"] = call.flag("create")
        if services:
            await proxy.catalogue.change(verb, args)
        if verb == "push":
            for service in services:
                proxy.note_local(service)
        return NOTHING

    return route


def described(call: Call, only_addresses: bool) -> list[dict[str, Any]]:
    """Services of the body, one or a list; ServiceError 400."""
    document = call.json()
    documents = document if isinstance(document, list) else [document]
    if len(documents) > MAX_SERVICES:
        raise ServiceError(status.BAD_REQUEST, f"Too many services: at most {MAX_SERVICES} are allowed")
    return [described_one(call, one, only_addresses) for one in documents]


def described_one(call: Call, document: Any, only_addresses: bool) -> dict[str, Any]:
    """One service object, checked; ServiceError 400 names the member that is wrong."""
    if not isinstance(document, dict):
        raise ServiceError(status.BAD_REQUEST, "Expected: json object")
    kind, addr = document.get("type"), document.get("addr")
    if not isinstance(kind, str) or not kind:
        raise ServiceError(status.BAD_REQUEST, "Service type not specified")
    check_name(kind, "type")
    if addr is None:
        raise ServiceError(status.BAD_REQUEST, "Missing field [addr]")
    if not isinstance(addr, str) or not (is_address(addr) or (is_service_id(addr) and not only_addresses)):
        raise ServiceError(status.BAD_REQUEST, "Invalid address")
    if document.get("ns", call.namespace) != call.namespace:
        raise ServiceError(status.BAD_REQUEST, "Invalid parameter 'namespace'")
    value, tags = document.get("score", 0), document.get("tags") or {}
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1 << 31:
        raise ServiceError(status.BAD_REQUEST, "Invalid field [score]")
    if not isinstance(tags, dict) or len(tags) > MAX_TAGS:
        raise ServiceError(
            status.BAD_REQUEST, f"Invalid field [tags]: an object of at most {MAX_TAGS} is expected"
        )
    for name, tag in tags.items():
        check_name(name, "tags")
        if not isinstance(tag, str | bool | int | float):
            raise ServiceError(status.BAD_REQUEST, f"Invalid tag '{name}'")
        if isinstance(tag, str):
            check_name(tag, f"tags.{name}")
        if not isinstance(tag, str | bool) and abs(tag) > 1 << 62:
            raise ServiceError(status.BAD_REQUEST, f"Invalid tag '{name}'")
    return {"type": kind, "addr": addr, "score": value, "tags": tags}


async def flush(proxy: Proxy, call: Call) -> Answer:
    await proxy.catalogue.change("flush", {"type": call.require("type", "Missing type")})
    return NOTHING


async def local_list(proxy: Proxy, call: Call) -> Answer:
    kind = call.query.get("type", "")
    return Answer(
        document=[
            {**shown({**service, "score": -2}, full=True), "ns": proxy.namespace, "type": service["type"]}
            for service in proxy.recent_local()
            if not kind or service["type"] == kind
        ]
    )


async def choose(proxy: Proxy, call: Call) -> Answer:
    kind = call.require("type", "Missing type")
    text = call.query.get("size", "1")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_CHOSEN:
        raise ServiceError(status.BAD_REQUEST, "Invalid size")
    there = await proxy.catalogue.services(kind)
    if int(text) > pools.MAX_COUNT >= len(there):
        text = f"found only {len(there)} services matching the criteria: {call.query['size']} are wanted"
        raise ServiceError(status.POLICY_UNSATISFIABLE, text)
    slot = call.query.get("slot")
    pool = Pool(kind, (Target(int(text), (f"{kind}-{slot}" if slot else kind,)),))
    return chosen(proxy, (await proxy.catalogue.poll(pool)).items)


def chosen(proxy: Proxy, items: tuple[Item, ...], flawed: bool = False) -> Answer:
    """Chosen services as an answer."""
    return Answer(document=names(items, proxy.namespace), headers={"x-oio-lb-flawed": "1"} if flawed else {})


async def poll(proxy: Proxy, call: Call) -> Answer:
    document = call.json_object() if call.body.strip() else {}
    keys = {name: key_names(document, name) for name in ("known", "avoid")}
    places = {name: locations(document, name) for name in ("known_locations", "avoid_locations")}
    policy, name = call.query.get("policy", ""), call.query.get("pool", "")
    if policy:
        policies = (await proxy.catalogue.info()).get("storage_policy", {})
        if policy not in policies:
            raise ServiceError(status.POLICY_UNKNOWN, f"Invalid storage policy: {policy[:64]}")
        name = str(policies[policy]).partition(":")[0]
    if not name:
        raise ServiceError(status.BAD_REQUEST, "Missing pool or policy")
    pool = await proxy.catalogue.pool(name)
    if pool is None:
        text = f"found only 0 services matching the criteria: pool [{name[:64]}] not found"
        raise ServiceError(status.BAD_REQUEST, text)
    choice = await proxy.catalogue.poll(
        pool, keys["known"], keys["avoid"], places["known_locations"], places["avoid_locations"]
    )
    return chosen(proxy, choice.items, choice.flawed)


def locations(document: dict[str, Any], name: str) -> list[int]:
    """Locations in a list of numbers of 64 bits; ServiceError 400."""
    numbers = document.get(name) or []
    if not isinstance(numbers, list) or not all(
        isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 64
        for number in numbers
    ):
        raise ServiceError(
            status.BAD_REQUEST, f"Invalid field [{name}]: a list of integers of 64 bits is expected"
        )
    return numbers


def key_names(document: dict[str, Any], name: str) -> list[str]:
    """Names of services in a list of keys `NS|type|name`; ServiceError 400."""
    keys = document.get(name) or []
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ServiceError(status.BAD_REQUEST, f"Invalid field [{name}]: a list of service keys is expected")
    return [key.rsplit("|", 1)[-1] for key in keys]


async def create_pool(proxy: Proxy, call: Call) -> Answer:
    name = call.require("name", "Missing name")
    document = call.json_object()
    targets = document.get("targets")
    if not isinstance(targets, str):
        raise ServiceError(status.BAD_REQUEST, "Missing field [targets]")
    options = document.get("options") or {}
    if not isinstance(options, dict):
        raise ServiceError(status.BAD_REQUEST, "Invalid field [options]: an object is expected")
    for key, value in options.items():
        if not isinstance(value, str | int | bool):
            text = f"Bad value for option {key[:64]}: should be a string, integer or boolean"
            raise ServiceError(status.BAD_REQUEST, text)
    try:
        pool = pools.parse_pool(name, targets, {key: str(value) for key, value in options.items()})
    except ValueError as error:
        raise ServiceError(status.BAD_REQUEST, str(error)) from error
    proxy.catalogue.create_pool(pool, call.flag("force"))
    return Answer(201)


async def reload(proxy: Proxy, call: Call) -> Answer:
    proxy.catalogue.forget()
    return NOTHING


ROUTES: Routes = {
    ("GET", "conscience/info"): info,
    ("GET", "conscience/list"): list_services,
    ("GET", "conscience/resolve"): resolve,
    ("GET", "conscience/score"): score,
    ("POST", "conscience/register"): changing("push", only_addresses=True),
    ("POST", "conscience/lock"): changing("lock", only_addresses=False),
    ("POST", "conscience/unlock"): changing("unlock", only_addresses=False),
    ("POST", "conscience/deregister"): changing("deregister", only_addresses=False),
    ("POST", "conscience/flush"): flush,
    ("GET", "local/list"): local_list,
    ("GET", "lb/choose"): choose,
    ("POST", "lb/poll"): poll,
    ("POST", "lb/create_pool"): create_pool,
    ("POST", "lb/reload"): reload,
}
