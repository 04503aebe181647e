"""`openio zk`: the tree that services with leases in ZooKeeper need."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from oio.cli.output import ColumnOption, Format, FormatOption, show_list
from oio.cli.session import session
from oio.common.configuration import load_namespace_conf
from oio.common.exceptions import ConfigurationException, OioException

app = typer.Typer(no_args_is_help=True, help="The namespace's tree in ZooKeeper.")

TYPES: Final = ("meta0", "meta1", "meta2")
BATCH: Final = 512
CONNECT_TIMEOUT: Final = 10.0
Sure = Annotated[bool, typer.Option("--I-know-what-I-am-doing", help="Really do it.")]


def ensembles(namespace: str, service_type: str = "") -> list[str]:
    """Connection strings of the namespace; ConfigurationException when it has none."""
    conf = load_namespace_conf(namespace, failsafe=True)
    text = conf.get(f"zookeeper.{service_type}") or conf.get("zookeeper") or ""
    found = [one.strip() for one in text.split(";") if one.strip()]
    if not found:
        raise ConfigurationException(
            f"namespace {namespace!r} keeps its leases in a file: there is no `zookeeper` in its configuration"
        )
    return found


@contextmanager
def connected(namespace: str, service_type: str = "", number: int = 0) -> Iterator[KazooClient]:
    """A client of one of the namespace's ensembles; OioException when it cannot be reached."""
    hosts = ensembles(namespace, service_type)[number]
    client = KazooClient(hosts=hosts, timeout=CONNECT_TIMEOUT)
    try:
        client.start(timeout=CONNECT_TIMEOUT)
    except KazooTimeoutError as error:
        client.close()
        raise OioException(f"ZooKeeper at {hosts} cannot be reached within {CONNECT_TIMEOUT:g} s") from error
    try:
        yield client
    finally:
        client.stop()
        client.close()


def folders(namespace: str) -> Iterator[str]:
    """All nodes of a namespace's tree, parents first, as OpenIO SDS lays it out."""
    root = f"/hc/ns/{namespace}"
    yield from ("/hc", "/hc/ns", root, f"{root}/srv", f"{root}/srv/meta0", f"{root}/el")
    yield from (f"{root}/el/{kind}" for kind in TYPES)
    digits = "0123456789ABCDEF"
    yield from (f"{root}/el/meta1/{''.join(one)}" for one in itertools.product(digits, repeat=3))
    for one in itertools.product(digits, repeat=2):
        folder = f"{root}/el/meta2/{''.join(one)}"
        yield folder
        yield from (f"{folder}/{''.join(two)}" for two in itertools.product(digits, repeat=2))


def _each() -> Iterator[KazooClient]:
    namespace = session().namespace
    if not namespace:
        raise ValueError("no namespace: give --ns NAME or set OIO_NS")
    for number in range(len(ensembles(namespace))):
        with connected(namespace, number=number) as client:
            yield client


@app.command()
def bootstrap() -> None:
    """Make the whole tree; what is there stays."""
    for client in _each():
        wanted = list(folders(session().namespace))
        parents = sorted({path.rpartition("/")[0] or "/" for path in wanted})
        there = {
            f"{parent.rstrip('/')}/{name}" for parent, names in _children(client, parents) for name in names
        }
        missing = [path for path in wanted if path not in there]
        for begin in range(0, len(missing), BATCH):
            transaction = client.transaction()
            for path in missing[begin : begin + BATCH]:
                transaction.create(path)
            failed = [result for result in transaction.commit() if isinstance(result, Exception)]
            if failed:
                raise OioException(
                    f"nodes could not be made: {failed[0]!r}; somebody else changes the tree, try again"
                )
        sys.stderr.write(f"{len(missing)} nodes made\n")


def _children(client: KazooClient, folders: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Names below each of these nodes; nothing for one that is not there. Many are asked at once."""
    for begin in range(0, len(folders), BATCH):
        part = folders[begin : begin + BATCH]
        for folder, answer in [(one, client.get_children_async(one)) for one in part]:
            try:
                yield folder, answer.get(timeout=CONNECT_TIMEOUT)
            except NoNodeError:
                continue


def _members(client: KazooClient, namespace: str) -> Iterator[tuple[str, str]]:
    """Type and path of every node of an election."""
    for kind in TYPES:
        waiting = [f"/hc/ns/{namespace}/el/{kind}"]
        while waiting:
            deeper = []
            for folder, names in _children(client, waiting):
                for name in names:
                    # A key of 64 digits, and the number that ZooKeeper put behind it.
                    if len(name) == 75:
                        yield kind, f"{folder}/{name}"
                    else:
                        deeper.append(f"{folder}/{name}")
            waiting = deeper


@app.command()
def reset(sure: Sure = False) -> None:
    """Delete the nodes of all elections; services elect anew."""
    _ask(sure, "the nodes of all elections")
    for client in _each():
        count = 0
        for _, path in list(_members(client, session().namespace)):
            client.delete(path)
            count += 1
        sys.stderr.write(f"{count} nodes deleted\n")


@app.command()
def stat(form: FormatOption = Format.TABLE, column: ColumnOption = None) -> None:
    """Count the nodes of elections by service type."""
    rows: list[Any] = []
    for client in _each():
        counts = dict.fromkeys(TYPES, 0)
        for kind, _ in _members(client, session().namespace):
            counts[kind] += 1
        hosts = ",".join(f"{host}:{port}" for host, port in client.hosts)
        rows += [(hosts, kind, count) for kind, count in counts.items()]
    show_list(("Ensemble", "Type", "Nodes"), rows, form, column)


@app.command()
def smudge(
    count: Annotated[int, typer.Option(min=1, max=10000, help="Nodes to delete.")] = 1,
    sure: Sure = False,
) -> None:
    """Delete some nodes of elections at random, to see that services get over it."""
    _ask(sure, f"{count} nodes of elections")
    for client in _each():
        found = [path for _, path in _members(client, session().namespace)]
        for path in random.sample(found, min(count, len(found))):
            client.delete(path)
            sys.stderr.write(f"deleted {path}\n")


@app.command()
def armageddon(sure: Sure = False) -> None:
    """Delete the namespace's whole tree."""
    _ask(sure, f"everything below /hc/ns/{session().namespace}")
    for client in _each():
        client.delete(f"/hc/ns/{session().namespace}", recursive=True)


def _ask(sure: bool, what: str) -> None:
    if not sure:
        raise ValueError(f"this deletes {what}: add --I-know-what-I-am-doing")
