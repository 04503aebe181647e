"""Container ids and statuses, against what the real services answered."""

from __future__ import annotations

from oio.naming import BaseName, cid_of, meta1_base, meta2_base
from oio.service.status import POLICY_UNSATISFIABLE, http_status
from tests.shared import report_count, vectors


def test_container_ids_are_the_recorded_ones() -> None:
    cases = vectors("directory")["sections"]["cid"]["cases"]
    for case in cases:
        assert cid_of(**case["input"]) == case["output"]
    report_count("directory cid (services)", len(cases))


def test_every_recorded_error_has_the_recorded_http_status() -> None:
    compared = 0
    for section in vectors("directory")["sections"].values():
        for case in section["cases"]:
            for exchange in case.get("exchanges", ()):
                answer, path = exchange["response"], exchange["request"]["path"]
                body = answer["body"]
                if answer["status"] < 400 or not isinstance(body, dict) or "status" not in body:
                    continue
                # The link routes answer 403 here; that is theirs to say, not the table's.
                if body["status"] == POLICY_UNSATISFIABLE and path.endswith(("/link", "/renew")):
                    continue
                assert http_status(body["status"]) == answer["status"], case["name"]
                compared += 1
    report_count("directory error statuses", compared)


def test_files_and_elections_of_bases_are_named_as_recorded() -> None:
    cid = "945F5D58D40403548A262708D131AF2D2994801634CDC30B22980AD09D0F8A43"
    assert meta1_base(cid, 2).file() == "94/9400.meta1"
    assert meta2_base(cid, 1).file("snap") == f"945/{cid}.1.meta2.snap"
    assert BaseName("meta0", "OPENIO").file() == "OPENIO.meta0"
    key = "AA7886E92CE330256AFE12EC82904BEA1ABDB605F58B677937D03AA1A7A0585A"
    assert meta2_base(cid, 1).election_key == key
