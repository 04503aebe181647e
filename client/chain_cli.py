"""`zos chain`: look at the chain and change what is yours on it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from client import amounts, chain_view, profile
from client.chain_hints import hint
from client.errors import ClientError, NotFound
from client.lookalikes import lookalikes
from client.namespace import enter
from client.relay_text import host_names
from client.terminal import fail, one_line, print_json
from gridtypes import ContractId, FarmId, NodeId, TwinId
from rmb.errors import RmbError
from tfchain import Chain, ChainError, ChainUnavailable, DispatchError
from tfchain.keys import Identity
from tfchain.models import ConfiguredAddress, Farm, PublicConfig, RentContract

T = TypeVar("T")

app = typer.Typer(help="Look at the chain, and change what is yours on it.", no_args_is_help=True)
twin = typer.Typer(help="Your identity on the bus.", no_args_is_help=True)
farm = typer.Typer(help="Farms and their public addresses.", no_args_is_help=True)
node = typer.Typer(help="Nodes: what they have, their power, their public network.", no_args_is_help=True)
contract = typer.Typer(help="Contracts: state, cost, end.", no_args_is_help=True)
for group, name in ((twin, "twin"), (farm, "farm"), (node, "node"), (contract, "contract")):
    app.add_typer(group, name=name)

ProfileOption = Annotated[
    str | None, typer.Option("--profile", "-p", help="Which grid; default ZOS_PROFILE, else `dev`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
KeyOption = Annotated[
    Path | None, typer.Option("--key", help="Key file of who acts; default the profile's user.")
]
KeyType = Literal["ed25519", "sr25519"]
KeyTypeOption = Annotated[KeyType, typer.Option("--key-type", help="Kind of --key.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Work = Callable[[Chain, Identity], Awaitable[T]]


@app.command()
def balance(
    account: Annotated[str | None, typer.Argument(help="Address; default your own.")] = None,
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Show what an account holds."""

    async def work(chain: Chain, who: Identity) -> tuple[str, int]:
        address = account or who.address
        return address, await chain.balance(chain_view.account(address))

    address, units = _run(profile_name, key, key_type, work)
    if as_json:
        print_json({"account": address, "units": units})
    else:
        print(f"{address}  {amounts.show(units)}")


@app.command()
def transfer(
    to: Annotated[str, typer.Argument(help="Address of who gets it.")],
    amount: Annotated[str, typer.Argument(help="In TFT, for example 12.5.")],
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Send tokens."""

    async def work(chain: Chain, who: Identity) -> int:
        units = amounts.parse(amount)
        await chain.transfer(who, to, units)
        return units

    units = _run(profile_name, key, key_type, work)
    if as_json:
        print_json({"to": to, "units": units})
    else:
        print(f"sent {amounts.show(units)} to {to}")


@app.command()
def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with every new block.")] = False,
    blocks: Annotated[int, typer.Option(min=0, help="How many final blocks to look back.")] = 20,
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened in final blocks; fees and other housekeeping are left out without --json."""

    async def work(chain: Chain, _: Identity) -> None:
        head = await chain.finalised_head()
        cursor = _From(max(0, head.number - blocks))
        async for block in chain.events(cursor):
            chain_view.show_block(block, as_json)
            if not follow and block.number >= head.number:
                return

    _run(profile_name, None, "ed25519", work)


# -- twins -----------------------------------------------------------------------------------------------------


@twin.command("create")
def twin_create(
    relay: Annotated[str | None, typer.Option(help="Host names of relays, joined by `_`.")] = None,
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Accept the terms and make a twin for an account."""

    async def work(chain: Chain, who: Identity) -> TwinId:
        if not await chain.has_accepted_terms(who.public_key):
            await chain.accept_terms(who)
        return await chain.create_twin(who, _relays(relay) if relay else None)

    made = _run(profile_name, key, key_type, work)
    print_json({"twin": made}) if as_json else print(f"twin {made}")


@twin.command("show")
def twin_show(
    number: Annotated[int | None, typer.Argument(help="Default: your own.")] = None,
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Show a twin."""

    async def work(chain: Chain, who: Identity) -> Any:
        wanted = number or await chain.twin_by_account(who.public_key)
        if wanted is None:
            raise NotFound(f"account {who.address} has no twin: `zos chain twin create`")
        return _there(await chain.twin(TwinId(wanted)), f"twin {wanted}")

    chain_view.show(_run(profile_name, key, key_type, work), as_json)


@twin.command("update")
def twin_update(
    relay: Annotated[str, typer.Option(help="Host names of relays, joined by `_`; empty for none.")],
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Change your twin's relays; its public key stays."""

    async def work(chain: Chain, who: Identity) -> Any:
        own = await chain.twin_by_account(who.public_key)
        if own is None:
            raise NotFound(f"account {who.address} has no twin: `zos chain twin create`")
        found = await chain.twin(own)
        await chain.update_twin(who, _relays(relay) or None, found.pk if found else None)
        return _there(await chain.twin(own), f"twin {own}")

    chain_view.show(_run(profile_name, key, key_type, work), as_json)


# -- farms -----------------------------------------------------------------------------------------------------


@farm.command("create")
def farm_create(
    name: Annotated[str, typer.Argument(help="Letters, digits, - and _.")],
    yes: YesOption = False,
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Make a farm; asks when its name looks like another's."""

    async def similar(chain: Chain, _: Identity) -> list[str]:
        return lookalikes(name, (each.name for each in await chain.farms()))

    if not yes and (alike := _run(profile_name, key, key_type, similar)):
        typer.confirm(f"{name} looks like {', '.join(alike)}; make it all the same?", abort=True, err=True)
    made = _run(profile_name, key, key_type, lambda chain, who: chain.create_farm(who, name))
    print_json({"farm": made}) if as_json else print(f"farm {made}")


@farm.command("show")
def farm_show(
    which: Annotated[str, typer.Argument(help="Number or name.")],
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a farm, its addresses, and farms whose names look alike."""

    async def work(chain: Chain, _: Identity) -> tuple[Farm, list[str]]:
        number = int(which) if which.isdecimal() else await chain.farm_by_name(which)
        found = _there(await chain.farm(FarmId(number)) if number else None, f"farm {which}")
        return found, lookalikes(found.name, (each.name for each in await chain.farms()))

    found, alike = _run(profile_name, None, "ed25519", work)
    chain_view.show(found, as_json, **({"looks_like": alike} if alike or as_json else {}))


@farm.command("add-ip")
def farm_add_ip(
    number: Annotated[int, typer.Argument(help="Of the farm.")],
    address: Annotated[str, typer.Argument(help="For example 185.206.122.33/24.")],
    gateway: Annotated[str, typer.Argument(help="For example 185.206.122.1.")],
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Add a public address to a farm of yours."""

    async def work(chain: Chain, who: Identity) -> Farm:
        await chain.add_farm_ip(who, FarmId(number), address, gateway)
        return _there(await chain.farm(FarmId(number)), f"farm {number}")

    chain_view.show(_run(profile_name, key, key_type, work), as_json)


@farm.command("remove-ip")
def farm_remove_ip(
    number: Annotated[int, typer.Argument(help="Of the farm.")],
    address: Annotated[str, typer.Argument(help="As `farm show` shows it.")],
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Take away a public address that no contract holds."""

    async def work(chain: Chain, who: Identity) -> Farm:
        await chain.remove_farm_ip(who, FarmId(number), address)
        return _there(await chain.farm(FarmId(number)), f"farm {number}")

    chain_view.show(_run(profile_name, key, key_type, work), as_json)


# -- nodes -----------------------------------------------------------------------------------------------------


@node.command("show")
def node_show(
    number: Annotated[int, typer.Argument()], profile_name: ProfileOption = None, as_json: JsonOption = False
) -> None:
    """Show a node as it registered, with its power and its rent."""

    async def work(chain: Chain, _: Identity) -> tuple[Any, dict[str, Any]]:
        found = _there(await chain.node(NodeId(number)), f"node {number}")
        more = {
            "power": await chain.node_power(NodeId(number)),
            "rent_contract": await chain.rent_contract(NodeId(number)),
            "contracts": await chain.node_contracts(NodeId(number)),
        }
        return found, more

    found, more = _run(profile_name, None, "ed25519", work)
    chain_view.show(found, as_json, **more)


@node.command("power")
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

    chain_view.show(_run(profile_name, key, key_type, work), as_json)


@node.command("public-config")
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
        found = _there(await chain.node(NodeId(number)), f"node {number}")
        if ip4 or clear:
            wanted = None
            if ip4 and gateway4:
                six = ConfiguredAddress(ip6, gateway6) if ip6 and gateway6 else None
                wanted = PublicConfig(ConfiguredAddress(ip4, gateway4), six, domain)
            await chain.set_node_public_config(who, found.farm_id, NodeId(number), wanted)
            found = _there(await chain.node(NodeId(number)), f"node {number}")
        return found.public_config

    found = _run(profile_name, key, key_type, work)
    if found is None and not as_json:
        print(f"node {number} has no public network")
    else:
        chain_view.show(found, as_json)


# -- contracts -------------------------------------------------------------------------------------------------


@contract.command("show")
def contract_show(
    number: Annotated[int, typer.Argument()], profile_name: ProfileOption = None, as_json: JsonOption = False
) -> None:
    """Show a contract: state, what it uses, its last bill with the discount, what is owed since the last payment."""

    async def work(chain: Chain, _: Identity) -> tuple[Any, dict[str, Any]]:
        wanted = ContractId(number)
        found = _there(await chain.contract(wanted), f"contract {number}")
        more: dict[str, Any] = {
            "owed": chain_view.owed(await chain.contract_lock(wanted)),
            "last_bill": chain_view.discount(await chain.last_bill(wanted)),
        }
        if isinstance(found.content, RentContract):
            power = await chain.node_power(found.content.node_id)
            if not power.is_up:
                note = f"zos: node {found.content.node_id} is down; `zos chain contract cancel {number}` ends its rent"
                print(note, file=sys.stderr)
        if found.node_contract is not None:
            more["used"] = (await chain.contract_resources(wanted)).used
        return found, more

    found, more = _run(profile_name, None, "ed25519", work)
    chain_view.show(found, as_json, **more)


@contract.command("cancel")
def contract_cancel(
    number: Annotated[int, typer.Argument()],
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Cancel a contract of yours; what runs under it is removed, data too."""
    _run(profile_name, key, key_type, lambda chain, who: chain.cancel_contract(who, ContractId(number)))
    print_json({"cancelled": number}) if as_json else print(f"cancelled contract {number}")


# -- running ---------------------------------------------------------------------------------------------------


class _From:
    """A cursor that begins after a block and keeps nothing."""

    def __init__(self, number: int) -> None:
        self._number = number

    def load(self) -> int | None:
        return self._number

    def save(self, number: int) -> None:
        """The next run begins where it is told to."""


def _relays(given: str) -> str:
    """The relays as the chain wants them; says so when that is not what was given."""
    wanted = host_names(given)
    if wanted != given:
        print(f"zos: relay {one_line(given)} is written as {wanted}", file=sys.stderr)
    return wanted


def _there(found: T | None, what: str) -> T:
    if found is None:
        raise NotFound(f"there is no {what} on this chain")
    return found


def _run(profile_name: str | None, key: Path | None, key_type: KeyType, work: Work[T]) -> T:
    """Do `work` with the profile's chain; what goes wrong ends the program with one line."""
    try:
        chosen = profile.load(profile_name)
        who = (
            Identity.load(key, key_type)
            if key is not None
            else Identity.load(chosen.user.key, chosen.user.key_type)
        )
        enter(chosen.network.namespace)

        async def session() -> T:
            async with Chain(chosen.chain.urls) as chain:
                return await work(chain, who)

        return asyncio.run(session())
    except DispatchError as problem:
        advice = hint(problem)
        fail(f"{problem}" + (f": {advice}" if advice else ""))
    except (ClientError, RmbError, ChainError, ChainUnavailable, OSError, ValueError) as problem:
        fail(problem)
    except KeyboardInterrupt:
        fail("interrupted")
