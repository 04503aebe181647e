"""Volumes belong to one service."""

from __future__ import annotations

from pathlib import Path

import pytest

from oio.common.exceptions import OioException
from oio.common.volume import check_volume, claim_volume, read_volume
from oio.service.meta import MetaService
from tests.oio.service.directory_in_process import HOST, directory, leases_of


def test_a_volume_is_claimed_once(tmp_path: Path) -> None:
    claim_volume(tmp_path, "NS", "a:1", "meta2")
    claim_volume(tmp_path, "NS", "a:1", "meta2")
    assert check_volume(tmp_path, "meta2") == ("NS", "a:1")
    for other in (("OTHER", "a:1", "meta2"), ("NS", "b:1", "meta2"), ("NS", "a:1", "meta1")):
        with pytest.raises(ValueError, match="belongs to"):
            claim_volume(tmp_path, *other)
    assert read_volume(tmp_path) == {"ns": "NS", "id": "a:1", "type": "meta2"}
    with pytest.raises(OioException, match="No such file"):
        check_volume(tmp_path / "none", "meta2")


async def test_a_service_refuses_the_volume_of_another(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        (meta,) = running.metas["meta1"]
        assert check_volume(meta.volume, "meta1") == ("OPENIO", meta.node.name)
        stranger = MetaService("meta1", "OPENIO", meta.volume, leases_of(tmp_path))
        with pytest.raises(ValueError, match="give the service a folder of its own"):
            await stranger.start(HOST, 0)
