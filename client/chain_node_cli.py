"""`zos chain node`: nodes as the chain has them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from client import chain_view
from client.chain_session import JsonOption, KeyOption, KeyTypeOption, ProfileOption, run, there
from client.terminal import fail
from gridtypes import NodeId
from tfchain import Chain
from tfchain.keys import Identity
from tfchain.models import ConfiguredAddress, PublicConfig

app = typer.Typer(help="Nodes: what they have, their power, their public network.", no_args_is_help=True)


@app.command("show")
def node_show(
    number: Annotated[int, typer.Argument()], profile_name: ProfileOption = None, as_json: JsonOption = False
) -> None:
    """Show a node as it registered, with its power and its rent."""

    async def work(chain: Chain, _: Identity) -> tuple[Any, dict[str, Any]]:
        found = there(await chain.node(NodeId(number)), f"node {number}")
        more = {
            "power": await chain.node_power(NodeId(number)),
            "rent_contract": await chain.rent_contract(NodeId(number)),
            "contracts": await chain.node_contracts(NodeId(number)),
        }
        return found, more

    found, more = run(profile_name, None, "ed25519", work)
    chain_view.show(found, as_json, **more)


@app.command("power")
def node_power(
    number: Annotated[int, typer.Argument()],
    target: Annotated[str, typer.Argument(help="up or down.")],
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Say that a node of your farm should be up or down."""
    if target not in ("up", "down"):
        fail(f"{target!r} is no power target: up or down", 2)

    async def work(chain: Chain, who: Identity) -> Any:
        await chain.set_node_power_target(who, NodeId(number), target == "up")
        return await chain.node_power(NodeId(number))

    chain_view.show(run(profile_name, key, key_type, work), as_json)


@app.command("public-config")
def node_public_config(
    number: Annotated[int, typer.Argument()],
    ip4: Annotated[str | None, typer.Option(help="Address with prefix.")] = None,
    gateway4: Annotated[str | None, typer.Option()] = None,
    ip6: Annotated[str | None, typer.Option(help="Address with prefix.")] = None,
    gateway6: Annotated[str | None, typer.Option()] = None,
    domain: Annotated[str | None, typer.Option(help="Under which web gateways of the node live.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the configuration away.")] = False,
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Show, set or clear the public network of a node of your farm."""
    if clear == bool(ip4) and (clear or ip4):
        fail("--clear takes the configuration away: give no address with it", 2)
    if (ip4 and not gateway4) or (ip6 and not gateway6):
        fail("an address needs its gateway: --gateway4, --gateway6", 2)
    if (ip6 or domain) and not ip4:
        fail("a public network begins with --ip4 and --gateway4", 2)

    async def work(chain: Chain, who: Identity) -> Any:
        found = there(await chain.node(NodeId(number)), f"node {number}")
        if ip4 or clear:
            wanted = None
            if ip4 and gateway4:
                six = ConfiguredAddress(ip6, gateway6) if ip6 and gateway6 else None
                wanted = PublicConfig(ConfiguredAddress(ip4, gateway4), six, domain)
            await chain.set_node_public_config(who, found.farm_id, NodeId(number), wanted)
            found = there(await chain.node(NodeId(number)), f"node {number}")
        return found.public_config

    found = run(profile_name, key, key_type, work)
    if found is None and not as_json:
        print(f"node {number} has no public network")
    else:
        chain_view.show(found, as_json)
