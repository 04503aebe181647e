"""The package against real services as processes: references, a node that is emptied, a volume that is lost."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oio.common.exceptions import (
    Forbidden,
    NotFound,
    OioException,
    PreconditionFailed,
    ServiceBusy,
    VolumeException,
)
from oio.directory.client import DirectoryClient
from oio.directory.indexer import Meta2Indexer
from oio.directory.linked_references import linked_references
from oio.directory.meta2 import Meta2Database
from oio.directory.meta2_rebuilder import Meta2Rebuilder
from oio.directory.relocation import Journal, Relocation, planned
from tests.oio.directory.on_services import ACCOUNT, Package, package
from tests.oio.directory.services_in_memory import by_base
from tests.oio.service.cluster import eventually

PATIENT = {"request_attempts": 6}
"""Masters may change at any time on a busy machine."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Package]:
    with package(tmp_path_factory.mktemp("package")) as found:
        yield found


def test_a_reference_lives_and_dies(live: Package) -> None:
    directory = live.directory
    assert directory.create(ACCOUNT, "r1", properties={"a": "1"})
    assert not directory.create(ACCOUNT, "r1")
    assert directory.has(ACCOUNT, "r1")
    assert not directory.has(ACCOUNT, "r2")
    directory.link(ACCOUNT, "r1", "meta2")
    shown = directory.list(ACCOUNT, "r1")
    assert [service["type"] for service in shown["srv"]] == ["meta2"] * 3
    assert directory.list(cid=shown["cid"])["name"] == "r1"
    directory.set_properties(ACCOUNT, "r1", {"b": "2"}, clear=True)
    assert directory.get_properties(ACCOUNT, "r1")["properties"] == {"b": "2"}
    with pytest.raises(Forbidden):
        directory.delete(ACCOUNT, "r1")
    directory.unlink(ACCOUNT, "r1", "meta2")
    directory.del_properties(ACCOUNT, "r1")
    directory.delete(ACCOUNT, "r1")
    with pytest.raises(NotFound):
        directory.list(ACCOUNT, "r1")


def test_many_threads_share_one_client(live: Package) -> None:
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            for step in range(2):
                name = f"t{number}-{step}"
                assert live.directory.create(ACCOUNT, name)
                assert live.directory.has(ACCOUNT, name)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_volume_without_an_index_is_named(live: Package) -> None:
    with pytest.raises(VolumeException, match="No rdir assigned to volume 127"):
        live.rdir.meta2_index_fetch("127.0.0.1:1")


def test_an_indexer_finds_new_containers_by_itself(live: Package) -> None:
    live.index()
    volumes = ",".join(str(live.volume(f"meta2-{number}")) for number in range(1, 5))
    indexer = Meta2Indexer({**live.conf, "volume_list": volumes, "interval": 1})
    thread = threading.Thread(target=indexer.run)
    thread.start()
    try:
        live.write("indexed", "x")
        peers = [one["host"] for one in live.directory.list(ACCOUNT, "indexed")["srv"]]

        def is_known() -> bool:
            urls = [{one["container_url"] for one in live.rdir.meta2_index_fetch_all(peer)} for peer in peers]
            return all(f"OPENIO/{ACCOUNT}/indexed" in one for one in urls)

        eventually(is_known)
    finally:
        indexer.stop()
        thread.join(60)
    assert not thread.is_alive()


def test_a_meta2_node_is_emptied_and_loses_nothing(live: Package) -> None:
    for number in range(3):
        live.write(f"emptied-{number}", str(number))
    live.index()
    source = live.address("meta2-1")
    database = Meta2Database(live.conf)
    for record in list(live.rdir.meta2_index_fetch_all(source)):
        for result in database.move(record["container_id"], source, **PATIENT):
            assert result["err"] is None
            assert result["dst"] != source
    assert list(live.rdir.meta2_index_fetch_all(source)) == []
    assert live.files("meta2-1", "meta2") == []
    for name in live.written:
        peers = [one["host"] for one in live.directory.list(ACCOUNT, name)["srv"] if one["type"] == "meta2"]
        assert len(set(peers)) == 3
        assert source not in peers
    live.check()


def test_a_base_is_moved_back_and_its_errors_are_results(live: Package) -> None:
    live.write("back", "and forth")
    found = live.directory.list(ACCOUNT, "back")
    peers = [one["host"] for one in found["srv"]]
    (other,) = {live.address(f"meta2-{number}") for number in range(1, 5)} - set(peers)
    database = Meta2Database(live.conf)
    (moved,) = database.move(found["cid"], peers[0], other, **PATIENT)
    assert (moved["dst"], moved["err"]) == (other, None)
    (again,) = database.move(found["cid"], peers[0], other)
    assert "Source service isn't used" in str(again["err"])
    (back,) = database.move(found["cid"], other, peers[0], **PATIENT)
    assert back["err"] is None
    (unknown,) = database.move("0" * 64, peers[0])
    assert isinstance(unknown["err"], NotFound)
    live.check()


def test_a_lost_volume_is_rebuilt(live: Package) -> None:
    for number in range(2):
        live.write(f"lost-{number}", str(number))
    live.settled(list(live.written))
    live.index()
    name = "meta2-2"
    before = live.files(name, "meta2")
    assert before
    live.cluster.kill(name)
    shutil.rmtree(live.volume(name))
    live.cluster.start(name)
    conf = {**live.conf, "items_per_second": 0, "concurrency": 4}
    rebuilder = Meta2Rebuilder(conf, service_id=live.address(name))
    rebuilder.prepare_local_dispatcher()
    results = list(rebuilder.run())
    assert [error for _, _, error in results if error] == []
    assert rebuilder.is_success()
    assert live.files(name, "meta2") == before
    live.check()


def test_b7_a_lost_volume_is_rebuilt_without_any_reverse_index(live: Package) -> None:
    for number in range(2):
        live.write(f"unindexed-{number}", str(number))
    live.settled(list(live.written))
    name = "meta2-4"
    before = live.files(name, "meta2")
    assert before
    live.cluster.kill(name)
    shutil.rmtree(live.volume(name))
    live.cluster.start(name)
    conf = {**live.conf, "items_per_second": 0, "concurrency": 4, "meta1_digits": 1}
    rebuilder = Meta2Rebuilder(conf, service_id=live.address(name), from_directory=True)
    rebuilder.prepare_local_dispatcher()
    assert [error for _, _, error in rebuilder.run() if error] == []
    assert rebuilder.is_success()
    assert live.files(name, "meta2") == before
    live.check()


def test_b7_what_a_silent_meta1_knows_is_named_as_missing(live: Package) -> None:
    real = live.directory.linked

    def linked(service_type: str, host: str, cid: str, **kwargs: Any) -> dict[str, Any]:
        if cid.startswith("3"):
            raise ServiceBusy(message="nobody there")
        return real(service_type, host, cid=cid, **kwargs)

    directory = DirectoryClient(live.conf)
    directory.linked = linked  # type: ignore[method-assign]  # one base that does not answer
    found: list[str] = []
    with pytest.raises(OioException, match=r"1 meta1 bases did not answer.*3000: nobody there"):
        found.extend(linked_references(directory, "meta2", live.address("meta2-2"), 1))
    everything = list(linked_references(live.directory, "meta2", live.address("meta2-2"), 1))
    assert found == [cid for cid in everything if cid[0] != "3"]
    page = real("meta2", live.address("meta2-2"), cid=everything[0], limit=1)
    assert page["references"][0]["cid"][0] == everything[0][0]


def test_bases_leave_a_meta1_node_several_at_once_and_come_back(live: Package, tmp_path: Path) -> None:
    references = [f"kept-{number}" for number in range(24)]
    for name in references:
        live.directory.create(ACCOUNT, name, properties={"n": name})
    mapping, source = live.mapping(), live.address("meta1-1")
    chosen = sorted(mapping.services[source]["bases"])[:4]
    moved = mapping.decommission(source, chosen)
    assert sorted(moved) == chosen
    seen: list[tuple[int, int]] = []
    with Journal(tmp_path / "journal") as journal:
        with pytest.raises(PreconditionFailed, match="another process"):
            Journal(tmp_path / "journal")
        journal.plan(planned(mapping, moved))
        with pytest.raises(PreconditionFailed, match="not finished"):
            journal.plan([])
        relocation = Relocation(mapping, journal, rate=100.0, progress=lambda *numbers: seen.append(numbers))
        assert relocation.run() == []
        assert journal.unfinished() == []
    assert seen[-1] == (4, 4)
    assert by_base(live.mapping()) == by_base(mapping)
    gone = {f"{base}000.meta1" for base in chosen}
    eventually(lambda: not gone.intersection(live.files("meta1-1", "meta1")))
    mapping = live.mapping()
    back = mapping.rebalance(max_loops=2)
    assert back is not None
    assert len(back) == 2
    assert sorted(mapping.apply(back, **PATIENT)) == sorted(back)
    assert by_base(live.mapping()) == by_base(mapping)
    for name in references:
        assert live.directory.get_properties(ACCOUNT, name)["properties"] == {"n": name}


def test_administration_of_one_base(live: Package) -> None:
    live.write("administered", "x")
    where = {"service_type": "meta2", "account": ACCOUNT, "reference": "administered"}
    live.settled(["administered"])
    eventually(lambda: len(live.admin.election_status(**where).get("slaves", ())) == 2)
    status = live.admin.election_status(**where)
    assert len(status["slaves"]) == 2
    live.admin.set_properties(system={"custom": "1"}, **where)
    assert live.admin.get_properties(**where)["system"]["sys.custom"] == "1"
    live.admin.copy_base_local(svc_from=status["slaves"][0], suffix="snap", **where)
    removed = live.admin.remove_base(service_id=status["slaves"][0], suffix="snap", **where)
    assert [answer["status"]["status"] for answer in removed.values()] == [200]
    live.admin.vacuum_base(**where)
    assert live.admin.service_get_info(status["master"])
    live.check()
