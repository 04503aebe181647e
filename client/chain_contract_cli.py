"""`zos chain contract`: contracts, their cost and their end."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from client import chain_view
from client.chain_session import JsonOption, KeyOption, KeyTypeOption, ProfileOption, run, there
from client.terminal import print_json
from gridtypes import ContractId
from tfchain import Chain
from tfchain.keys import Identity
from tfchain.models import RentContract

app = typer.Typer(help="Contracts: state, cost, end.", no_args_is_help=True)


@app.command("show")
def contract_show(
    number: Annotated[int, typer.Argument()], profile_name: ProfileOption = None, as_json: JsonOption = False
) -> None:
    """Show a contract: state, what it uses, its last bill with the discount, what is owed since the last payment."""

    async def work(chain: Chain, _: Identity) -> tuple[Any, dict[str, Any]]:
        wanted = ContractId(number)
        found = there(await chain.contract(wanted), f"contract {number}")
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

    found, more = run(profile_name, None, "ed25519", work)
    chain_view.show(found, as_json, **more)


@app.command("cancel")
def contract_cancel(
    number: Annotated[int, typer.Argument()],
    profile_name: ProfileOption = None,
    key: KeyOption = None,
    key_type: KeyTypeOption = "ed25519",
    as_json: JsonOption = False,
) -> None:
    """Cancel a contract of yours; what runs under it is removed, data too."""
    run(profile_name, key, key_type, lambda chain, who: chain.cancel_contract(who, ContractId(number)))
    print_json({"cancelled": number}) if as_json else print(f"cancelled contract {number}")
