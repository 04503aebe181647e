"""What became of applications in the recorded run of a fleet becomes of them here."""

from __future__ import annotations

import json
from typing import Any

from tests.dynamo.single_server import SingleServer, wait_for
from tests.shared import report_count, vectors

HEAD = "import sys, time\nfrom dynamo.core.executable import inventory\nfrom dynamo.dataformat import Site\n"
STEPS = {
    "read-only": ("", "inventory.update(Site('T1'))\n"),
    "write-unauthorised": ("-W", "inventory.update(Site('T2'))\n"),
    "write-authorised": ("-W", "inventory.update(Site('T3'))\n"),
    "exit1": ("-W", "inventory.update(Site('T4'))\nsys.exit(1)\n"),
    "exit0": ("-W", "inventory.update(Site('T5'))\nsys.exit(0)\n"),
    "raise": ("-W", "inventory.update(Site('T6'))\nraise RuntimeError\n"),
    "exitnone": ("-W", "inventory.update(Site('T7'))\nsys.exit()\n"),
    "changed-checksum": ("-W", "inventory.update(Site('T8'))\n"),
    "asynch-kill": ("", "time.sleep(600)\n"),
}
NOT_AUTHORIZED = ("write-unauthorised", "changed-checksum")
OURS = {"exitnone": {"status": "done", "exit_code": 0}, "asynch-kill": {"status": "killed", "exit_code": 2}}
"""Ends that are failures in the original by mistake, and the last of several rows."""


def _recorded() -> dict[str, dict[str, Any]]:
    found = {}
    for step in vectors("inventory")["cluster_trace"]["steps"]:
        rows = [
            row for event in step["events"] if event["table"] == "applications" for row in event["rows"] or ()
        ]
        if step["step"] in STEPS and rows:
            last = rows[-1]
            found[step["step"]] = {"status": last["status"], "exit_code": last["exit_code"]}
    return found


def test_applications_end_as_in_the_recorded_run(server: SingleServer) -> None:
    recorded = {**_recorded(), **OURS}
    for step, wanted in recorded.items():
        option, body = STEPS[step]
        path = server.script(HEAD + body, f"{step}.py")
        if option and step not in NOT_AUTHORIZED:
            assert server.run("exec_auth", "-x", path, "-t", step).returncode == 0
        if step == "changed-checksum":
            assert server.run("exec_auth", "-x", path, "-t", step).returncode == 0
            server.script(HEAD + body + "\n", f"{step}.py")
        options = [*filter(None, [option]), "-A", "--json", "-t", step]
        number = json.loads(server.dynamo(*options, path).stdout)["appid"]
        if step == "asynch-kill":
            wait_for(lambda number=number: _row(server, number)["status"] == "run", "Start of a program")
            server.dynamo("-x", str(number))

        def ended(number: int = number) -> dict[str, Any] | None:
            row = _row(server, number)
            return None if row["status"] in ("new", "assigned", "run") else row

        row = wait_for(ended, f"End of {step}")
        assert {name: row[name] for name in wanted} == wanted, step
    sites = {name for name in server.inventory().sites if name.startswith("T")}
    assert sites == {"T3", "T5", "T7"}
    report_count("steps of the recorded fleet", len(recorded))


def _row(server: SingleServer, number: int) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(server.dynamo("-p", str(number), "--json").stdout)
    return row
