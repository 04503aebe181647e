"""Keep the reverse index of meta2 volumes complete: every base that lies on a volume is told to its rdir service."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from oio.common.configuration import validate_service_conf
from oio.common.daemon import Daemon
from oio.common.exceptions import OioException
from oio.common.logger import get_logger
from oio.common.rate import Rate
from oio.common.values import float_value, int_value, true_value
from oio.common.volume import check_volume
from oio.directory.client import DirectoryClient
from oio.directory.prefixes import CID_DIGITS
from oio.rdir.client import RdirClient

META2_TYPE: Final = "meta2"
COMPANIONS: Final = ("meta2-journal", "meta2-wal", "meta2-shm")
"""What SQLite keeps beside a base."""
AFTER_ERROR: Final = 5.0
"""Seconds before a crawl that broke off is begun again."""


class Meta2IndexingWorker:
    """Crawls one volume. OioException when the folder is no meta2 volume.

    Settings of `conf`: `interval` between two crawls and `report_interval` in seconds, `scanned_per_second`,
    `try_removing_faulty_indexes`.
    """

    def __init__(self, volume_path: str | Path, conf: Mapping[str, Any], pool_manager: Any = None) -> None:
        self.logger = get_logger(conf)
        self._stop = threading.Event()
        self.volume = str(volume_path)
        self.success_nb = 0
        self.failed_nb = 0
        self.full_scan_nb = 0
        self.last_report_time = 0.0
        self.last_scan_time = 0.0
        self.start_time = 0.0
        self.indexed_since_last_report = 0
        self.scans_interval = int_value(conf.get("interval"), 1800)
        self.report_interval = float_value(conf.get("report_interval"), 300)
        self.max_indexed_per_second = int_value(conf.get("scanned_per_second"), 3000)
        self.namespace, self.volume_id = check_volume(volume_path, META2_TYPE)
        self.attempt_bad_index_removal = true_value(conf.get("try_removing_faulty_indexes", False))
        wanted = {**conf, "namespace": self.namespace}
        self.dir_client = DirectoryClient(wanted, logger=self.logger, pool_manager=pool_manager)
        self.index_client = RdirClient(
            wanted, directory_client=self.dir_client, logger=self.logger, pool_manager=pool_manager
        )

    def report(self, tag: str) -> None:
        """Log what was done since the last report."""
        now = time.time()
        since = (now - self.last_report_time) or 1e-5
        self.logger.info(
            "volume_id=%s %s=%s elapsed=%.02f pass=%d errors=%d containers_indexed=%d %.2f/s",
            self.volume_id,
            tag,
            datetime.fromtimestamp(int(now)).isoformat(),
            now - self.start_time,
            self.full_scan_nb,
            self.failed_nb,
            self.success_nb,
            self.indexed_since_last_report / since,
        )
        self.last_report_time = now
        self.indexed_since_last_report = 0

    def warn(self, msg: str, container_id: str) -> None:
        """Log a warning about a base."""
        self.logger.warning("volume_id=%s container_id=%s %s", self.volume_id, container_id, msg)

    def index_meta2_database(self, db_id: str) -> None:
        """Tell the index of one base, `<cid>` or `<cid>.<seq>`, if the directory says that it belongs here."""
        if len(db_id) < CID_DIGITS:
            self.warn("Not a valid container ID", db_id)
            return
        cid = db_id[:CID_DIGITS]
        try:
            found = self.dir_client.list(cid=db_id)
            url = "/".join((self.namespace, found["account"], found["name"]))
            if any(one["type"] == META2_TYPE and one["host"] == self.volume_id for one in found["srv"]):
                self.index_client.meta2_index_push(
                    self.volume_id, container_url=url, container_id=cid, mtime=int(time.time())
                )
                self.success_nb += 1
                self.indexed_since_last_report += 1
                return
            self.warn("Trying to index a container that isn't handled by this volume", db_id)
            if self.attempt_bad_index_removal:
                self._remove_from_index(db_id, url, cid)
        except OioException as error:
            self.failed_nb += 1
            self.indexed_since_last_report += 1
            self.warn(f"Unable to index container: {error}", db_id)

    def _remove_from_index(self, db_id: str, url: str, cid: str) -> None:
        try:
            self.index_client.meta2_index_delete(self.volume_id, container_path=url, container_id=cid)
        except OioException as error:
            self.warn(f"Unable to remove container from index: {error}", db_id)

    def crawl_volume(self) -> None:
        """Go through the volume once."""
        self.full_scan_nb += 1
        self.success_nb = self.failed_nb = 0
        self.start_time = time.time()
        rate = Rate(self.max_indexed_per_second)
        self.report("starting")
        for path in self._files():
            if self._stop.is_set():
                break
            parts = path.name.split(".")
            if len(parts) == 3 and parts[2] in COMPANIONS:
                continue
            if len(parts) != 3 or parts[2] != META2_TYPE:
                self.warn("Malformed db file name !", str(path))
                continue
            self.index_meta2_database(f"{parts[0]}.{parts[1]}")
            if time.time() - self.last_report_time >= self.report_interval:
                self.report("running")
            if not rate.wait(self._stop):
                break
        self.report("ended")

    def _files(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.volume):
            # What a service keeps for itself begins with a dot.
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith("."):
                    yield Path(folder, name)

    def run(self, *_args: Any, **_kwargs: Any) -> None:
        """Crawl, wait for the interval, and again until `stop`. A crawl that breaks off is begun anew after a pause."""
        while not self._stop.is_set():
            pause: float = self.scans_interval
            try:
                self.crawl_volume()
            except (OioException, OSError) as error:
                self.logger.error("volume_id=%s the crawl broke off: %s", self.volume_id, error)
                pause = min(pause, AFTER_ERROR)
            self._stop.wait(pause)

    def stop(self) -> None:
        """End `run` and the crawl before its next file."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()


class Meta2Indexer(Daemon):
    """Crawls all volumes of `volume_list` (paths separated by commas), each in a thread of its own.

    OioException when there is none, or when one is no meta2 volume.
    """

    def __init__(self, conf: Mapping[str, Any]) -> None:
        super().__init__(conf)
        validate_service_conf(conf)
        volumes = [path.strip() for path in str(conf.get("volume_list") or "").split(",") if path.strip()]
        if not volumes:
            raise OioException("No meta2 volumes provided to index !")
        self.volumes = volumes
        self.volume_workers = [Meta2IndexingWorker(path, conf) for path in volumes]

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Crawl until `stop`."""
        threads = [
            threading.Thread(target=worker.run, name=worker.volume_id) for worker in self.volume_workers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """End all crawls."""
        for worker in self.volume_workers:
            worker.stop()
