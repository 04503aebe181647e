"""What an administrator is shown of one network.  Blocking calls; nothing is touched."""

from __future__ import annotations

from provisioners.network.record import NetworkRecord
from provisioners.protocol import Check, Inspection
from provisioners.system import netns, network_resource
from provisioners.system.links import open_links

NO_LOGS = "Network workloads don't support logs"


def inspect(netid: str, record: NetworkRecord | None) -> Inspection:
    place = network_resource.namespace(netid)
    there = netns.exists(place)
    return Inspection(
        info={"net_id": netid, "namespace": place, "state": "up" if there else "missing"},
        checks=(
            Check(
                "network.config", record is not None, "the owner file is there" if record else "no owner file"
            ),
            Check("network.namespace", there, f"{place} {'is there' if there else 'does not exist'}"),
            _interfaces(netid, place)
            if there
            else Check("network.interfaces", False, "no namespace, no links"),
            _bridge(netid),
            Check("network.mycelium", True, "this node has no mycelium"),
        ),
        log=NO_LOGS,
    )


def _interfaces(netid: str, place: str) -> Check:
    wanted = network_resource.tunnel(netid)
    with open_links(place) as links:
        found = {link.name: link for link in links.all()}
    if wanted not in found:
        return Check("network.interfaces", False, f"the tunnel {wanted} is missing")
    down = sorted(link.name for link in found.values() if not link.up and link.name != "lo")
    message = f"down: {', '.join(down)}" if down else f"{len(found)} links"
    return Check("network.interfaces", not down, message, {"links": ", ".join(sorted(found))})


def _bridge(netid: str) -> Check:
    name = network_resource.bridge(netid)
    with open_links(None) as links:
        link = links.find(name)
        guests = len(links.ports(link)) if link else 0
    if link is None:
        return Check("network.bridge", False, f"{name} does not exist")
    return Check(
        "network.bridge", link.up, f"{name} is {'up' if link.up else 'down'}", {"ports": str(guests)}
    )
