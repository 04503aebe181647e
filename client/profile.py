"""Where `zos` finds its grid: a small TOML file for each, chosen by `--profile` or `ZOS_PROFILE`.

`zos grid up` writes the profile of a development grid.  For another grid write one by hand::

    [chain]
    urls = ["wss://tfchain.dev.grid.tf"]

    [bus]
    redis = "unix:///run/zos/redis.sock"    # of a running rmb-peer with the same key; or, without one,
    # relays = ["wss://relay.dev.grid.tf"]  # that the user's twin names on the chain

    [user]
    key = "/home/me/.config/zos/key"        # hex seed or mnemonic, 0600
    twin = 42

    [network]
    namespace = ""                          # path of a network namespace to enter, or "" for none

Files lie in `/etc/zos/profiles` and `~/.config/zos/profiles` (`ZOS_PROFILES` names another folder), as `<name>.toml`.
Every key can be given as `ZOS_<SECTION>_<KEY>` in the environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from client.errors import ProfileError
from rmb import settings
from rmb.errors import SettingsError

DEFAULT = "dev"


class ChainPart(settings.Section):
    urls: tuple[str, ...] = Field(min_length=1)


class BusPart(settings.Section):
    """Exactly one of the two."""

    redis: str = ""
    relays: tuple[str, ...] = Field(default=(), max_length=8)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if bool(self.redis) == bool(self.relays):
            raise ValueError("give either redis (of a running rmb-peer) or relays")
        return self


class UserPart(settings.Section):
    key: Path
    key_type: Literal["ed25519", "sr25519"] = "ed25519"
    twin: int = Field(ge=1, le=2**32 - 1)


class NetworkPart(settings.Section):
    namespace: str = ""


class Profile(settings.Section):
    """A grid, and who the user is on it."""

    chain: ChainPart
    bus: BusPart
    user: UserPart
    network: NetworkPart = NetworkPart()


def folders() -> list[Path]:
    """Where profiles are looked for, in order."""
    if own := os.environ.get("ZOS_PROFILES"):
        return [Path(own)]
    return [Path.home() / ".config/zos/profiles", Path("/etc/zos/profiles")]


def load(name: str | None = None) -> Profile:
    """Raises ProfileError, which names what is there or how to get one."""
    wanted = name or os.environ.get("ZOS_PROFILE") or DEFAULT
    for folder in folders():
        file = folder / f"{wanted}.toml"
        if file.exists():
            try:
                return settings.load(Profile, file)
            except SettingsError as problem:
                raise ProfileError(str(problem)) from problem
    known = sorted({file.stem for folder in folders() if folder.is_dir() for file in folder.glob("*.toml")})
    there = f"there are {', '.join(known)}" if known else "bring up a development grid with `zos grid up`"
    raise ProfileError(f"no profile {wanted!r}; {there}")
