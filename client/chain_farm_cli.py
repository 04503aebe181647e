"""`zos chain farm`: farms and their public addresses."""

from __future__ import annotations

from typing import Annotated

import typer

from client import chain_view
from client.chain_session import JsonOption, KeyOption, KeyTypeOption, ProfileOption, YesOption, run, there
from client.lookalikes import lookalikes
from client.terminal import print_json
from gridtypes import FarmId
from tfchain import Chain
from tfchain.keys import Identity
from tfchain.models import Farm

app = typer.Typer(help="Farms and their public addresses.", no_args_is_help=True)


@app.command("create")
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

    if not yes and (alike := run(profile_name, key, key_type, similar)):
        typer.confirm(f"{name} looks like {', '.join(alike)}; make it all the same?", abort=True, err=True)
    made = run(profile_name, key, key_type, lambda chain, who: chain.create_farm(who, name))
    print_json({"farm": made}) if as_json else print(f"farm {made}")


@app.command("show")
def farm_show(
    which: Annotated[str, typer.Argument(help="Number or name.")],
    profile_name: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a farm, its addresses, and farms whose names look alike."""

    async def work(chain: Chain, _: Identity) -> tuple[Farm, list[str]]:
        number = int(which) if which.isdecimal() else await chain.farm_by_name(which)
        found = there(await chain.farm(FarmId(number)) if number else None, f"farm {which}")
        return found, lookalikes(found.name, (each.name for each in await chain.farms()))

    found, alike = run(profile_name, None, "ed25519", work)
    chain_view.show(found, as_json, **({"looks_like": alike} if alike or as_json else {}))


@app.command("add-ip")
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
        return there(await chain.farm(FarmId(number)), f"farm {number}")

    chain_view.show(run(profile_name, key, key_type, work), as_json)


@app.command("remove-ip")
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
        return there(await chain.farm(FarmId(number)), f"farm {number}")

    chain_view.show(run(profile_name, key, key_type, work), as_json)
