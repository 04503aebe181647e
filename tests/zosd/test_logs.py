"""Every line that is about a deployment says which one."""

from __future__ import annotations

from pathlib import Path

from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from gridtypes import WorkloadType
from provisioners.protocol import WorkloadError
from tests.zosd.parts import daemon, full


async def test_deployment_workload_and_twin_stand_in_every_line(tmp_path: Path) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with daemon(tmp_path) as node:
            disks = node.scripts[WorkloadType.ZMOUNT]
            disks.fail["provision"] = KeyError("ours")
            key = await node.deploy_with_contract(full())
            await node.until(lambda: len(disks.calls) >= 2)
            disks.fail["provision"] = WorkloadError("pool is full")
            await node.until(lambda: node.message(key, "disk1") == "pool is full")
            disks.fail.clear()
            await node.settled()
            await node.orders.leave(key, "over")
            await node.until(lambda: not len(node.journal.ledger))
    about = [line for line in lines if line["event"] in ("act failed by our own fault", "step failed")]
    assert {line["event"] for line in about} == {"act failed by our own fault", "step failed"}
    for line in about:
        assert (line["deployment"], line["twin"], line["workload"]) == (str(key), 26, f"{key}-disk1")
    (gone,) = [line for line in lines if line["event"] == "deployment is gone"]
    assert (gone["deployment"], gone["twin"]) == (str(key), 26)
