"""What every command knows: namespace, account, proxy, and the clients made from them."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
import urllib3

from oio.common.configuration import meta1_digits
from oio.common.connection_pool import get_pool_manager
from oio.common.exceptions import OioException
from oio.conscience.client import ConscienceClient
from oio.container.client import ContainerClient
from oio.directory.admin import AdminClient
from oio.directory.client import DirectoryClient
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from oio.directory.meta2 import Meta2Database
from oio.rdir.client import RdirClient


@dataclass
class Session:
    """Options that stand before the command."""

    namespace: str = ""
    account: str = ""
    proxy: str = ""
    admin_mode: bool = False
    request_id: str = ""

    @property
    def conf(self) -> dict[str, Any]:
        """Configuration of the clients; ValueError without a namespace."""
        if not self.namespace:
            raise ValueError("no namespace: give --ns NAME or set OIO_NS")
        found: dict[str, Any] = {"namespace": self.namespace}
        if self.proxy:
            found["proxyd_url"] = self.proxy
        return found

    @property
    def request(self) -> dict[str, Any]:
        """Keywords of every request."""
        return {"reqid": self.request_id} if self.request_id else {}

    def account_name(self) -> str:
        """The account; ValueError when none is given."""
        if not self.account:
            raise ValueError("no account: give --account NAME or set OIO_ACCOUNT")
        return self.account

    @functools.cached_property
    def pool(self) -> urllib3.PoolManager:
        """Connections of all clients."""
        return get_pool_manager()

    def _made(self, kind: Callable[..., Any]) -> Any:
        return kind(self.conf, pool_manager=self.pool, admin_mode=self.admin_mode)

    @functools.cached_property
    def directory(self) -> DirectoryClient:
        """Client of references."""
        found: DirectoryClient = self._made(DirectoryClient)
        return found

    @functools.cached_property
    def admin(self) -> AdminClient:
        """Client of bases and elections."""
        found: AdminClient = self._made(AdminClient)
        return found

    @functools.cached_property
    def conscience(self) -> ConscienceClient:
        """Client of the conscience."""
        found: ConscienceClient = self._made(ConscienceClient)
        return found

    @functools.cached_property
    def container(self) -> ContainerClient:
        """Client of containers."""
        found: ContainerClient = self._made(ContainerClient)
        return found

    @functools.cached_property
    def meta0(self) -> Meta0Client:
        """Client of meta0."""
        found: Meta0Client = self._made(Meta0Client)
        return found

    @functools.cached_property
    def rdir(self) -> RdirClient:
        """Client of the reverse index."""
        return RdirClient(self.conf, directory_client=self.directory, pool_manager=self.pool)

    @functools.cached_property
    def meta2_database(self) -> Meta2Database:
        """Moves and rebuilds bases."""
        return Meta2Database(
            self.conf,
            admin_client=self.admin,
            conscience_client=self.conscience,
            rdir_client=self.rdir,
            directory_client=self.directory,
        )

    def digits(self) -> int:
        """Digits that name a meta1 base."""
        return meta1_digits(self.conf)

    def mapping(self, replicas: int = 3, min_dist: int = 1) -> Meta0PrefixMapping:
        """A mapping of prefixes without any base."""
        return Meta0PrefixMapping(
            self.meta0,
            replicas=replicas,
            digits=self.digits(),
            min_dist=min_dist,
            admin_client=self.admin,
            conscience_client=self.conscience,
        )


_current = Session()


def session() -> Session:
    """The session of this process."""
    return _current


def start(
    ns: Annotated[
        str, typer.Option("--ns", "--oio-ns", envvar="OIO_NS", help="Namespace.", show_default=False)
    ] = "",
    account: Annotated[
        str,
        typer.Option("--account", "--oio-account", envvar="OIO_ACCOUNT", help="Account.", show_default=False),
    ] = "",
    proxy: Annotated[
        str,
        typer.Option(
            "--oio-proxy",
            "--oio-proxyd-url",
            envvar="OIO_PROXYD_URL",
            help="Address of the proxy; default: the one of the namespace file.",
            show_default=False,
        ),
    ] = "",
    admin: Annotated[bool, typer.Option("--admin", help="Send requests as an administrator.")] = False,
    request_id: Annotated[
        str, typer.Option("--request-id", help="Identifier of all requests.", show_default=False)
    ] = "",
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Show more.")] = 0,
) -> None:
    """Take the options that stand before the command."""
    global _current
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(message)s", force=True)
    _current = Session(ns, account, proxy, admin, request_id)


def run(app: typer.Typer, name: str) -> None:
    """Run a command line: exit status 0, or 1 with a message on the standard error stream."""
    command = typer.main.get_command(app)
    status: object = 0
    try:
        command.main(prog_name=name)
    except SystemExit as end:
        status = end.code
    except (OioException, ValueError, OSError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        status = 1
    sys.exit(1 if status else 0)
