"""`oio-directory`: a whole metadata directory on one machine, with one command."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import urllib3
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from oio.service import supervisor
from oio.service.deployment import Deployment, initial_mapping
from oio.service.lease.sqlite import make_lease_file

app = typer.Typer(no_args_is_help=True, help="Run a metadata directory on this machine.")
console = Console(stderr=True)

Root = Annotated[Path, typer.Option(help="Folder of the services' files.")]
DEFAULT_ROOT: Final = Path(os.environ.get("OIO_ROOT", Path.home() / ".oio" / "directory"))
DEFAULT_CONF: Final = Path.home() / ".oio" / "sds.conf"
BOOTSTRAP_TIMEOUT: Final = 60.0


def _fail(message: str) -> typer.Exit:
    console.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)


@app.command()
def up(
    services: Annotated[
        int | None, typer.Option(help="Services of each of meta0, meta1, meta2 and rdir; default: 3.")
    ] = None,
    replicas: Annotated[
        int | None, typer.Option(help="Copies of each base; default: 3, or all services.")
    ] = None,
    namespace: Annotated[str, typer.Option("--ns", help="Name of the namespace.")] = "OPENIO",
    ttl: Annotated[float, typer.Option(help="Time of a master's lease in seconds.")] = 3.0,
    zookeeper: Annotated[
        str,
        typer.Option(metavar="HOSTS", help="Keep leases in this ensemble: host:port,… Default: in a file."),
    ] = "",
    consciences: Annotated[
        int | None,
        typer.Option(help="Consciences, which stand in for each other; default: 2, or 1 with --services 1."),
    ] = None,
    named: Annotated[
        bool, typer.Option("--named", help="Know services by stable ids and not by their addresses.")
    ] = False,
    root: Root = DEFAULT_ROOT,
    conf: Annotated[Path, typer.Option(help="Namespace file to write.")] = DEFAULT_CONF,
) -> None:
    """Start everything that does not run yet, write the namespace file, assign all prefixes."""
    try:
        deployment = Deployment.load(root)
        if services is not None and services != deployment.services:
            raise _fail(
                f"the directory in {root} has --services {deployment.services}, not {services}; "
                "`oio-directory down --purge` deletes it"
            )
    except FileNotFoundError:
        count = 3 if services is None else services
        wanted = Deployment(
            root,
            namespace,
            count,
            min(3, count) if replicas is None else replicas,
            ttl=ttl,
            zookeeper=zookeeper,
            consciences=min(2, max(1, count)) if consciences is None else consciences,
            named=named,
        )
        try:
            deployment = wanted.checked()
        except ValueError as error:
            raise _fail(str(error)) from error
        deployment.save()
    if not deployment.zookeeper:
        make_lease_file(deployment.lease_file)
    names = deployment.names()
    try:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("starting", total=2 * len(names))
            # The others ask the consciences' addresses when they start.
            first = len(deployment.conscience_names())
            for group in (names[:first], names[first:]):
                for name in group:
                    supervisor.start(deployment, name)
                    progress.advance(task)
                for name in group:
                    supervisor.wait_listening(deployment, name)
                    progress.advance(task)
        deployment.write_namespace_file(conf)
        bootstrap(deployment)
    except (RuntimeError, OSError) as error:
        raise _fail(str(error)) from error
    console.print(
        f"Namespace {deployment.namespace}: {len(names)} services up, proxy {deployment.address('proxy-1')}, "
        f"namespace file {conf}",
        highlight=False,
        soft_wrap=True,
    )


def bootstrap(deployment: Deployment) -> None:
    """Assign all prefixes if none is; RuntimeError when the services do not answer in time."""
    base = f"http://{deployment.address('proxy-1')}/v3.0/{deployment.namespace}"
    pool = urllib3.PoolManager(retries=False, timeout=30.0)
    end = time.monotonic() + BOOTSTRAP_TIMEOUT
    last = "no answer"
    while time.monotonic() < end:
        try:
            if len(_listed(pool, base, "meta1")) == deployment.services == len(_listed(pool, base, "meta0")):
                shown = pool.request("GET", f"{base}/admin/meta0_list", fields={"digits": "0"})
                if shown.status == 200 and json.loads(shown.data):
                    return
                if shown.status == 200:
                    meta1s = [deployment.known_as(f"meta1-{number}") for number in deployment.numbers()]
                    mapping = initial_mapping(meta1s, deployment.replicas, deployment.digits)
                    done = pool.request("POST", f"{base}/admin/meta0_force", body=json.dumps(mapping))
                    if done.status == 204:
                        return
                    last = done.data.decode(errors="replace")
                else:
                    last = shown.data.decode(errors="replace")
        except urllib3.exceptions.HTTPError as error:
            last = str(error)
        time.sleep(0.2)
    raise RuntimeError(f"the mapping of prefixes could not be written within {BOOTSTRAP_TIMEOUT:g} s: {last}")


def _listed(pool: urllib3.PoolManager, base: str, kind: str) -> list[Any]:
    answer = pool.request("GET", f"{base}/conscience/list", fields={"type": kind})
    services = json.loads(answer.data) if answer.status == 200 else []
    return [service for service in services if service["score"] > 0]


@app.command()
def status(root: Root = DEFAULT_ROOT) -> None:
    """Show every service and whether it runs; exit status 1 when one does not."""
    deployment = _load(root)
    table = Table("Service", "Address", "Process", box=None)
    missing = 0
    for name in deployment.names():
        process = supervisor.running(deployment, name)
        missing += process is None
        known = deployment.address_file(name).exists()
        table.add_row(
            name, deployment.address(name) if known else "-", str(process.pid) if process else "down"
        )
    Console().print(table)
    if missing:
        raise _fail(f"{missing} services are down; `oio-directory up` starts them")


@app.command()
def down(
    purge: Annotated[bool, typer.Option("--purge", help="Delete all files of the services as well.")] = False,
    root: Root = DEFAULT_ROOT,
) -> None:
    """End all services."""
    deployment = _load(root)
    ended = supervisor.stop(deployment, deployment.names()[::-1])
    console.print(f"{len(ended)} services ended", highlight=False)
    if purge:
        shutil.rmtree(root)


def _load(root: Path) -> Deployment:
    try:
        return Deployment.load(root)
    except FileNotFoundError as error:
        raise _fail(f"no directory in {root}; `oio-directory up` makes one") from error


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
