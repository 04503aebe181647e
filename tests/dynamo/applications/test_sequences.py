"""Sequences on a real server."""

from __future__ import annotations

import json
import socketserver
import threading
from pathlib import Path

from tests.dynamo.single_server import SingleServer, wait_for


def test_w16_a_sequence_runs_its_steps_ends_and_runs_again(server: SingleServer) -> None:
    adder = server.script(
        "import sys\nfrom dynamo.core.executable import inventory\nfrom dynamo.dataformat import Site\n"
        "n = sum(name.startswith('Q') for name in inventory.sites.keys())\ninventory.update(Site(f'Q{n}'))\n",
        "adder.py",
    )
    definition = server.folder / "sequence.def"
    definition.write_text(
        f"<adder> = {adder}\n[SEQUENCE adding] restart\n& <adder> x\nWAIT 1\n| <adder> y\nTERMINATE\n"
    )
    refused = server.dynamo("-a", str(definition))
    assert "authorise it with dynamo-exec-auth first" in refused.stderr
    server.run("exec_auth", "-x", adder, "-t", "adder")
    added = server.dynamo("-a", str(definition), "--json")
    assert json.loads(added.stdout) == {"sequence": ["adding"]}, added.stderr
    for wanted in (2, 4):
        assert json.loads(server.dynamo("-q", "adding", "--json").stdout) == {"sequences": ["adding"]}
        wait_for(
            lambda wanted=wanted: sum(name.startswith("Q") for name in server.inventory().sites) == wanted,
            f"{wanted} sites made by the sequence",
        )


def test_a_stop_ends_the_running_step_and_only_the_owner_may(server: SingleServer) -> None:
    long = server.script("import time\ntime.sleep(600)\n", "endless.py")
    definition = server.folder / "endless.def"
    definition.write_text(f"{{endless}} = {long}\n[SEQUENCE endless]\n| {{endless}}\n")
    server.dynamo("-a", str(definition))
    server.dynamo("-q", "endless")

    def state() -> str:
        rows = [json.loads(line) for line in server.dynamo("-l", "--json").stdout.splitlines()]
        return next((row["status"] for row in rows if row["title"] == "endless"), "")

    wait_for(lambda: state() == "run", "Start of the step")
    assert "You have no sequence other" in server.dynamo("-o", "other").stderr
    assert server.dynamo("-o", "endless").returncode == 0
    wait_for(lambda: state() == "killed", "End of the step")
    assert server.dynamo("-e", "endless").returncode == 0


class _Smtp(socketserver.StreamRequestHandler):
    received: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            if line.strip() == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while not body.endswith(b"\r\n.\r\n"):
                    body += self.rfile.readline()
                self.received.append(body.decode())
            self.wfile.write(b"250 fine\r\n")


def test_the_owner_of_a_sequence_hears_of_a_failure_by_mail_once(tmp_path: Path) -> None:
    received: list[str] = []
    handler = type("Smtp", (_Smtp,), {"received": received})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as smtp:
        threading.Thread(target=smtp.serve_forever, daemon=True).start()
        own = SingleServer(tmp_path, mail={"host": "127.0.0.1", "port": smtp.server_address[1]})
        own.start()
        try:
            failing = own.script("import sys\nprint('to and fro')\nsys.exit('it broke')\n", "failing.py")
            definition = own.folder / "failing.def"
            definition.write_text(f"{{failing}} = {failing}\n[SEQUENCE sad]\n& {{failing}} x y\n")
            own.dynamo("-a", str(definition))
            own.dynamo("-q", "sad")

            def runs() -> int:
                rows = [json.loads(line) for line in own.dynamo("-l", "--json").stdout.splitlines()]
                return sum(1 for row in rows if row["title"] == "failing" and row["status"] == "failed")

            wait_for(lambda: runs() >= 2 and received, "Failures, and a mail")
            own.dynamo("-o", "sad")
        finally:
            own.stop()
            smtp.shutdown()
    (mail,) = received
    assert "To: ops@site.example" in mail
    assert "Subject: Sequence sad: failing failed" in mail
    for words in ("line 1: failing x y", "ended failed on single, exit code 1", "it broke", "to and fro"):
        assert words in mail
