"""The programs `oio-meta2-indexer`, `oio-meta2-rebuilder` and `oio-meta2-mover`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from oio.common.configuration import read_conf
from oio.common.exceptions import OioException
from oio.directory.indexer import Meta2Indexer
from oio.directory.meta2 import Meta2Database
from oio.directory.meta2_rebuilder import Meta2Rebuilder


def _guarded(act: Callable[[], int]) -> None:
    try:
        sys.exit(act())
    except (OioException, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def _log(verbose: bool) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")


def indexer() -> None:
    """Run the indexer of a configuration file (section `meta2-indexer`)."""
    parser = argparse.ArgumentParser(description="Keep the reverse index of meta2 volumes complete.")
    parser.add_argument("configuration", type=Path, help="file with a section [meta2-indexer]")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="log reports to the standard error stream"
    )
    options = parser.parse_args()
    _log(options.verbose)

    def act() -> int:
        Meta2Indexer(read_conf(options.configuration, "meta2-indexer")).start()
        return 0

    _guarded(act)


def rebuilder() -> None:
    """Rebuild bases from a list or from the reverse index of a service."""
    parser = argparse.ArgumentParser(description="Rebuild meta2 bases.")
    parser.add_argument("namespace")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input-file", type=Path, help="container ids, one a line")
    source.add_argument("--volume", "--service-id", dest="service", help="service whose volume was lost")
    parser.add_argument("--from-directory", action="store_true", help="ask meta1, not the reverse index")
    parser.add_argument("--workers", type=int, default=1, help="bases at once (default: 1)")
    parser.add_argument("--items-per-second", type=int, default=30, help="0: no limit (default: 30)")
    parser.add_argument("--report-interval", type=int, default=3600, help="seconds (default: 3600)")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="log reports to the standard error stream"
    )
    options = parser.parse_args()
    _log(options.verbose)

    def act() -> int:
        conf = {
            "namespace": options.namespace,
            "concurrency": options.workers,
            "items_per_second": options.items_per_second,
            "report_interval": options.report_interval,
        }
        tool = Meta2Rebuilder(
            conf, options.input_file, options.service, from_directory=options.from_directory
        )
        tool.prepare_local_dispatcher()
        for _ in tool.run():
            pass
        return 0 if tool.is_success() else 1

    _guarded(act)


def mover() -> None:
    """Move one base."""
    parser = argparse.ArgumentParser(description="Move a meta2 base to another service.")
    parser.add_argument("namespace")
    parser.add_argument("base", help="container id, with .SEQUENCE for one of several")
    parser.add_argument("src", help="service that has it")
    parser.add_argument("dst", nargs="?", help="service to get it; default: chosen")
    parser.add_argument("-v", "--verbose", action="store_true", help="log each step")
    options = parser.parse_args()
    _log(options.verbose)

    def act() -> int:
        database = Meta2Database({"namespace": options.namespace})
        failed = 0
        for result in database.move(options.base, options.src, options.dst, request_attempts=3):
            print(f"{result['base']} {result['src']} {result['dst']} {result['err'] or 'OK'}")
            failed += result["err"] is not None
        return 1 if failed else 0

    _guarded(act)
