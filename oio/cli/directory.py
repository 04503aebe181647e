"""`openio directory`: the mapping of prefixes to meta1 services."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from oio.cli.output import ColumnOption, Format, FormatOption, show_list
from oio.cli.progress import progress
from oio.cli.session import session
from oio.common.exceptions import OioException, OioNetworkException, PreconditionFailed, ServiceBusy
from oio.directory.meta0 import Meta0PrefixMapping, generate_prefixes
from oio.directory.relocation import Entry, Journal, Relocation, planned

app = typer.Typer(no_args_is_help=True, help="Which meta1 services hold which references.")

ATTEMPTS: Final = 7


class Level(StrEnum):
    """Places of which some may be lost."""

    SITE = "site"
    RACK = "rack"
    HOST = "host"
    VOLUME = "volume"


Replicas = Annotated[int, typer.Option(min=1, help="Copies of each base.")]
MinDist = Annotated[int, typer.Option(min=1, max=4, help="Levels between two copies of a base.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would move, and move nothing.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Bases that are moved at once.")]
Rate = Annotated[float, typer.Option(min=0, help="Bases a second; 0: no limit.")]
JournalOption = Annotated[
    Path | None, typer.Option(help="File of the plan; default: one for the namespace in ~/.oio/journal.")
]


@app.command()
def bootstrap(
    replicas: Replicas = 3,
    min_dist: MinDist = 1,
    level: Annotated[Level, typer.Option(help="Places of which the loss is to be borne.")] = Level.VOLUME,
    degradation: Annotated[
        int | None, typer.Option(min=0, help="Places that may be lost; default: a minority of the copies.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Assign anew what is assigned already.")] = False,
    check_only: Annotated[
        bool, typer.Option("--check", help="Compute and check, but write nothing.")
    ] = False,
    meta0_timeout: Annotated[float, typer.Option(min=1, help="Seconds for each request to meta0.")] = 60.0,
) -> None:
    """Assign all prefixes to meta1 services."""
    mapping = session().mapping(replicas, min_dist)
    request = {"read_timeout": meta0_timeout, **session().request}
    if not force:
        mapping.load_meta0(**request)
        if mapping:
            _tell(f"{len(mapping.services_by_base)} bases are assigned already; --force assigns them anew")
            return
    mapping.reset()
    worst = replicas - (replicas // 2 + 1)
    mapping.bootstrap(level.value, worst if degradation is None else degradation)
    _check(mapping)
    if not check_only:
        _upload(lambda: mapping.m0.force(mapping.to_json().strip(), **request))
    _tell(f"{len(mapping.services_by_base)} bases {'can be' if check_only else 'are'} assigned")


@app.command()
def check(replicas: Replicas = 3, form: FormatOption = Format.TABLE, column: ColumnOption = None) -> None:
    """Count the copies of each prefix; exit status 1 when one has too few or none."""
    mapping = _loaded(replicas)
    rows, wrong = [], 0
    for prefix in generate_prefixes(mapping.digits):
        services = mapping.services_by_base.get(prefix[: mapping.digits], [])
        fine = len(services) == replicas
        wrong += len(services) < replicas
        if not fine:
            rows.append((prefix, len(services), " ".join(sorted(service["addr"] for service in services))))
    show_list(("Prefix", "Replicas", "Services"), rows, form, column)
    if wrong:
        raise PreconditionFailed(
            f"{wrong} of {mapping.num_bases()} bases have fewer than {replicas} replicas"
        )


@app.command()
def dump() -> None:
    """Print the mapping as JSON."""
    sys.stdout.write(json.dumps(session().meta0.list(**session().request), sort_keys=True) + "\n")


@app.command()
def restore(
    file: Annotated[str, typer.Argument(help="File of a dump; - reads the standard input.")],
    replicas: Replicas = 3,
    sure: Annotated[
        bool, typer.Option("--I-know-what-I-am-doing", help="Write it; without, it is only checked.")
    ] = False,
) -> None:
    """Write a mapping that was dumped. Bases are not copied: their peers must have them."""
    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    mapping = session().mapping(replicas)
    mapping.load_json(text)
    if not mapping:
        raise ValueError(f"{file} holds no prefix")
    _check(mapping)
    if not sure:
        _tell("The mapping is fine; --I-know-what-I-am-doing writes it")
        return
    _upload(lambda: mapping.m0.force(mapping.to_json(), **session().request))


@app.command()
def rebalance(
    replicas: Replicas = 3,
    min_dist: MinDist = 1,
    dry_run: DryRun = False,
    workers: Workers = 4,
    rate: Rate = 0.0,
    journal: JournalOption = None,
    ignore: Annotated[
        bool, typer.Option("--ignore-replicas-number-errors", help="Go on when bases have too few copies.")
    ] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Even out how many bases each meta1 service has."""

    def plan(mapping: Meta0PrefixMapping) -> set[str]:
        return mapping.rebalance() or set()

    mapping = _move(plan, replicas, min_dist, dry_run, workers, rate, journal, ignore, form, column)
    if mapping.further_runs:
        _tell(f"{mapping.further_runs} further runs would even out more")


@app.command()
def decommission(
    addr: Annotated[str, typer.Argument(help="The service, by address or id.")],
    bases: Annotated[list[str] | None, typer.Argument(help="Only these bases; default: all.")] = None,
    replicas: Replicas = 3,
    min_dist: MinDist = 1,
    dry_run: DryRun = False,
    workers: Workers = 4,
    rate: Rate = 0.0,
    journal: JournalOption = None,
    ignore: Annotated[
        bool, typer.Option("--ignore-replicas-number-errors", help="Go on when bases have too few copies.")
    ] = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Move bases from a meta1 service to others."""

    def plan(mapping: Meta0PrefixMapping) -> set[str]:
        if addr not in mapping.services:
            raise ValueError(f"no meta1 service {addr!r}: `openio cluster list meta1` shows them")
        try:
            return mapping.decommission(addr, bases)
        except KeyError as error:
            raise ValueError(f"no base {error}: a base is called by its first digits") from error

    _move(plan, replicas, min_dist, dry_run, workers, rate, journal, ignore, form, column)


@app.command()
def warmup(
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at once.")] = 16,
    proxy: Annotated[str, typer.Option(help="Address of the proxy to ask.", show_default=False)] = "",
) -> None:
    """Ping every meta1 base, so that each has a master before it is needed."""
    found = session()
    if proxy:
        found.proxy = proxy

    def ping(prefix: str) -> str | None:
        try:
            found.admin.election_ping(service_type="meta1", cid=prefix.ljust(64, "0"), **found.request)
        except OioException as error:
            return f"{prefix}: {error}"
        return None

    prefixes = list(generate_prefixes(found.digits()))
    errors = []
    with ThreadPoolExecutor(concurrency) as pool, progress("warming up", len(prefixes)) as advance:
        for number, error in enumerate(pool.map(ping, prefixes), start=1):
            errors += [error] if error else []
            advance(number, len(prefixes))
    if errors:
        raise OioException(f"{len(errors)} of {len(prefixes)} bases did not answer, first {errors[0]}")


# -- moving


def _loaded(replicas: int, min_dist: int = 1) -> Meta0PrefixMapping:
    mapping = session().mapping(replicas, min_dist)
    mapping.load_meta0(**session().request)
    return mapping


def _check(mapping: Meta0PrefixMapping) -> None:
    if not mapping.check_replicas():
        raise PreconditionFailed(f"bases have fewer than {mapping.replicas} replicas; nothing was changed")


def _move(
    plan: Callable[[Meta0PrefixMapping], set[str]],
    replicas: int,
    min_dist: int,
    dry_run: bool,
    workers: int,
    rate: float,
    journal: Path | None,
    ignore: bool,
    form: Format,
    column: list[str] | None,
) -> Meta0PrefixMapping:
    """Finish what an earlier run left, plan, show, and carry out."""
    path = journal or Path.home() / ".oio" / "journal" / f"{session().namespace}-directory.sqlite"
    with contextlib.ExitStack() as stack:
        if dry_run:
            mapping = _loaded(replicas, min_dist)
        else:
            opened = stack.enter_context(Journal(path))
            _resume(opened, workers, rate)
            mapping = _loaded(replicas, min_dist)
        if not ignore:
            _check(mapping)
        entries = planned(mapping, plan(mapping))
        show_list(("Base", "From", "To"), [_shown(entry) for entry in entries], form, column)
        if not dry_run and entries:
            opened.plan(entries)
            _carry_out(mapping, opened, workers, rate)
    return mapping


def _shown(entry: Entry) -> tuple[str, str, str]:
    leaving = [peer for peer in entry.old if peer not in entry.new]
    joining = [peer for peer in entry.new if peer not in entry.old]
    return entry.base, " ".join(leaving), " ".join(joining)


def _resume(journal: Journal, workers: int, rate: float) -> None:
    left = journal.unfinished()
    if left:
        _tell(f"{len(left)} bases of an earlier plan are finished first")
        _carry_out(_loaded(1), journal, workers, rate)


def _carry_out(mapping: Meta0PrefixMapping, journal: Journal, workers: int, rate: float) -> None:
    with progress("moving bases", len(journal.unfinished())) as advance:
        relocation = Relocation(mapping, journal, workers, rate, advance)
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, lambda *_: relocation.stop())
        try:
            failed = relocation.run(**session().request)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if failed:
        raise OioException(
            f"{len(failed)} bases are not moved yet: {', '.join(failed[:16])}; the same command goes on with them"
        )


def _upload(act: Callable[[], None]) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            act()
            return
        except (ServiceBusy, OioNetworkException) as error:
            if attempt == ATTEMPTS:
                raise
            pause = 0.5 * 2**attempt * random.uniform(0.5, 1.0)
            _tell(f"attempt {attempt} of {ATTEMPTS} failed, the next one follows in {pause:.1f} s: {error}")
            time.sleep(pause)


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
