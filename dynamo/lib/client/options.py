"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Host = Annotated[str | None, typer.Option("-o", "--host", help="HOST[:PORT] of the web server.")]
Cert = Annotated[str | None, typer.Option("-c", "--cert", help="Certificate.")]
Key = Annotated[str | None, typer.Option("-k", "--key", help="Key of the certificate.")]
Ca = Annotated[str | None, typer.Option("--ca", envvar="DYNAMO_CA", help="Who signs servers.")]
RawAnswer = Annotated[bool, typer.Option("-A", "--json", help="Print the answer in JSON.")]
