"""What every command of `zos chain` shares: its options, and one session with the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from client import profile
from client.chain_hints import hint
from client.errors import ClientError, NotFound
from client.namespace import enter
from client.terminal import fail
from rmb.errors import RmbError
from tfchain import Chain, ChainError, ChainUnavailable, DispatchError
from tfchain.keys import Identity

T = TypeVar("T")

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


def there(found: T | None, what: str) -> T:
    """`found`.  Raises NotFound that names `what` when it is None."""
    if found is None:
        raise NotFound(f"there is no {what} on this chain")
    return found


def run(profile_name: str | None, key: Path | None, key_type: KeyType, work: Work[T]) -> T:
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
