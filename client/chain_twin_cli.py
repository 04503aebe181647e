"""`zos chain twin`: your identity on the bus."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from client import chain_view
from client.chain_session import JsonOption, KeyOption, KeyTypeOption, ProfileOption, run, there
from client.errors import NotFound
from client.relay_text import host_names
from client.terminal import one_line, print_json
from gridtypes import TwinId
from tfchain import Chain
from tfchain.keys import Identity

app = typer.Typer(help="Your identity on the bus.", no_args_is_help=True)


@app.command("create")
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

    made = run(profile_name, key, key_type, work)
    print_json({"twin": made}) if as_json else print(f"twin {made}")


@app.command("show")
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
        return there(await chain.twin(TwinId(wanted)), f"twin {wanted}")

    chain_view.show(run(profile_name, key, key_type, work), as_json)


@app.command("update")
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
        return there(await chain.twin(own), f"twin {own}")

    chain_view.show(run(profile_name, key, key_type, work), as_json)


def _relays(given: str) -> str:
    """The relays as the chain wants them; says so when that is not what was given."""
    wanted = host_names(given)
    if wanted != given:
        print(f"zos: relay {one_line(given)} is written as {wanted}", file=sys.stderr)
    return wanted
