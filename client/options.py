"""Options that every command of `zos` has."""

from __future__ import annotations

from typing import Annotated

import typer

ProfileOption = Annotated[
    str | None, typer.Option("--profile", "-p", help="Which grid; default ZOS_PROFILE, else `dev`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
