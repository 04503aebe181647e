"""`zos chain`: look at the chain and change what is yours on it."""

from __future__ import annotations

from typing import Annotated

import typer

from client import amounts, chain_contract_cli, chain_farm_cli, chain_node_cli, chain_twin_cli, chain_view
from client.chain_session import JsonOption, KeyOption, KeyTypeOption, ProfileOption, run
from client.terminal import print_json
from tfchain import Chain
from tfchain.keys import Identity

app = typer.Typer(help="Look at the chain, and change what is yours on it.", no_args_is_help=True)
for group, name in (
    (chain_twin_cli, "twin"),
    (chain_farm_cli, "farm"),
    (chain_node_cli, "node"),
    (chain_contract_cli, "contract"),
):
    app.add_typer(group.app, name=name)


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

    address, units = run(profile_name, key, key_type, work)
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

    units = run(profile_name, key, key_type, work)
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

    run(profile_name, None, "ed25519", work)


class _From:
    """A cursor that begins after a block and keeps nothing."""

    def __init__(self, number: int) -> None:
        self._number = number

    def load(self) -> int | None:
        return self._number

    def save(self, number: int) -> None:
        """The next run begins where it is told to."""
