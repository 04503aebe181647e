"""What the doctor says, and how it looks."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provisioners.system.disk_errors import errors
from zosd.capacity import GIB, DiskLeftAlone, Media, PoolSpace
from zosd.doctor import disk_probe, facts, judgement
from zosd.doctor.bus import bus_problem
from zosd.doctor.disk_probe import DiskLook, DiskProbe
from zosd.doctor.doctor import FRESH, REPORT, read_report
from zosd.doctor.judgement import Finding

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("finding", "ok", "words"),
    [
        (judgement.clock(3.0), True, "ahead of"),
        (judgement.clock(-90.0), False, "90 s behind the chain"),
        (judgement.clock(None), True, "not compared"),
        (judgement.chain(True, 100, 6.0, 0, ""), True, "block 100"),
        (judgement.chain(True, 100, 300.0, 4, ""), False, "300 s old"),
        (judgement.chain(True, None, None, None, "connection refused"), False, "connection refused"),
        (judgement.chain(False, None, None, None, ""), False, "no chain"),
        (judgement.registration(0, "no funds"), False, "no funds"),
        (judgement.registration(7, ""), True, "node 7"),
        (judgement.relay("r.example", "name not found"), False, "relay not reachable: name not found"),
        (judgement.relay("r.example", ""), True, "can be reached"),
        (judgement.certificate("h", NOW + 90 * 86400, "", NOW), True, "good"),
        (judgement.certificate("h", NOW + 86400, "", NOW), False, "ends on"),
        (judgement.certificate("h", None, "certificate has expired", NOW), False, "has expired"),
        (judgement.journal(DiskLook(GIB, 0.01)), True, "1024 MiB left"),
        (judgement.journal(DiskLook(GIB, None, "Read-only file system")), False, "Read-only file system"),
        (judgement.journal(DiskLook(1 << 20, 0.01)), False, "1 MiB left"),
        (judgement.journal(DiskLook(GIB, 4.0)), False, "a write takes 4.0 s"),
        (judgement.disk("/dev/x", {}, DiskLook(GIB, 0.01)), True, "without trouble"),
        (judgement.disk("/dev/x", {}, DiskLook(GIB, 3.0)), False, "slow: a write takes 3.0 s"),
        (judgement.disk("/dev/x", {}, DiskLook(0, None, "a write hangs since 10 s")), False, "hangs since"),
        (judgement.disk("/dev/x", {"read_errs": 3}, DiskLook(GIB, 0.01)), False, "damaged: errors of 3 read"),
        (judgement.jobs(0.0, 0, 1800), True, "nothing"),
        (judgement.jobs(4000.0, 2, 1800), False, "the oldest since 4000 s"),
        (judgement.accelerator(("tcg",)), False, "emulated"),
        (judgement.accelerator(("kvm",)), True, "kvm"),
        (judgement.bus("connection refused"), False, "does not answer"),
    ],
)
def test_in_plain_words(finding: Finding, ok: bool, words: str) -> None:
    assert finding.ok is ok
    assert words in finding.text
    assert ok or finding.remedy


def test_disks() -> None:
    good = PoolSpace("a", Media.SSD, 100 * GIB, 0, 90 * GIB)
    full = PoolSpace("b", Media.SSD, 100 * GIB, 0, 0)
    assert [one.ok for one in judgement.disks([good], [], 1)] == [True]
    (left,) = judgement.disks([good], [DiskLeftAlone("/dev/x", "carries an ext4")], 2)
    assert "carries an ext4" in left.text
    (missing,) = judgement.disks([good], [], 3)
    assert "2 of 3 disks" in missing.text
    (crowded,) = judgement.disks([full], [], 1)
    assert crowded.subject == "pool b"


async def test_a_name_that_nobody_knows_and_a_port_that_nobody_serves(unused_tcp_port: int) -> None:
    assert await facts.reach("relay.invalid", 443) in ("name not found", "no DNS server answers")
    assert await facts.reach("127.0.0.1", unused_tcp_port) != ""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        assert await facts.reach("127.0.0.1", server.sockets[0].getsockname()[1]) == ""


@pytest.fixture
async def tls(tmp_path: Path) -> AsyncIterator[tuple[int, ssl.SSLContext, datetime.datetime]]:
    """A server with a certificate of its own making: port, a context that trusts it, and its last day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    end = now + datetime.timedelta(days=3)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(end)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    trusting = ssl.create_default_context(cafile=str(file))
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=serving)
    async with server:
        yield server.sockets[0].getsockname()[1], trusting, end


async def test_a_certificate_has_a_last_day_and_a_doubt(
    tls: tuple[int, ssl.SSLContext, datetime.datetime],
) -> None:
    port, trusting, end = tls
    assert await facts.certificate("127.0.0.1", port, trusting) == (end.timestamp(), "")
    expires, problem = await facts.certificate("127.0.0.1", port)
    assert expires is None
    assert "self" in problem


async def test_a_disk_that_can_be_written_and_one_that_cannot(tmp_path: Path) -> None:
    found = await DiskProbe(tmp_path).look()
    assert found.free > 0
    assert found.sync_s is not None
    assert found.problem == ""
    assert list(tmp_path.iterdir()) == []
    assert (await DiskProbe(tmp_path / "gone").look()).problem == "No such file or directory"


async def test_a_disk_that_hangs_holds_one_thread_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comes_back, writers = threading.Event(), []

    def hanging(folder: Path) -> DiskLook:
        writers.append(folder)
        comes_back.wait(60)
        return DiskLook(GIB, 30.0)

    monkeypatch.setattr(disk_probe, "written", hanging)
    probe = DiskProbe(tmp_path, limit=0.02)
    for _ in range(3):
        assert "a write hangs since" in (await probe.look()).problem
    assert len(writers) == 1
    comes_back.set()
    async with asyncio.timeout(60):
        while (found := await probe.look()).problem:
            pass
    assert found == DiskLook(GIB, 30.0)


async def test_a_pool_is_written_to_now_and_then_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = []

    def writing(folder: Path) -> DiskLook:
        writers.append(folder)
        return DiskLook(GIB, 0.01, "Read-only file system" if len(writers) == 1 else "")

    monkeypatch.setattr(disk_probe, "written", writing)
    probe = DiskProbe(tmp_path, every=3600)
    for _ in range(4):
        await probe.look()
    assert len(writers) == 2  # trouble is looked at anew


def test_errors_that_the_file_system_has_counted(tmp_path: Path) -> None:
    for device, text in (
        ("1", "write_errs 0\nread_errs 2\n"),
        ("2", "read_errs 1\ncorruption_errs 5\nodd\n"),
    ):
        folder = tmp_path / "uuid" / "devinfo" / device
        folder.mkdir(parents=True)
        (folder / "error_stats").write_text(text)
    assert errors("uuid", tmp_path) == {"read_errs": 3, "corruption_errs": 5}
    assert errors("other", tmp_path) == {}


async def test_a_bus_that_is_not_there(tmp_path: Path) -> None:
    assert await bus_problem(f"unix://{tmp_path}/none.sock") != ""


def test_the_report_on_the_nodes_own_screen(tmp_path: Path) -> None:
    (alone,) = read_report(tmp_path, NOW)
    assert "zosd does not run" in alone.text
    (tmp_path / REPORT).write_text(
        f'{{"time": {NOW}, "findings": [{{"subject": "bus", "ok": true, "text": "x"}}]}}'
    )
    assert [one.subject for one in read_report(tmp_path, NOW + 1)] == ["bus"]
    late = read_report(tmp_path, NOW + FRESH + 1)
    assert [one.subject for one in late] == ["daemon", "bus"]
    (tmp_path / REPORT).write_text("{")
    assert not read_report(tmp_path, NOW)[0].ok


def test_the_command_on_the_node(tmp_path: Path) -> None:
    """It needs neither bus nor daemon."""
    file = tmp_path / "zosd.toml"
    file.write_text(f'[node]\nnull = true\n[paths]\nstate = "{tmp_path}/state"\nrun = "{tmp_path}"\n')

    def doctor() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "zosd.cli", "doctor", "--config", str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    down = doctor()
    assert down.returncode == 1
    assert down.stdout.startswith("BAD  daemon: there is no report: zosd does not run\n     start zosd")
    (tmp_path / REPORT).write_text(
        f'{{"time": {time.time()}, "findings": [{{"subject": "bus", "ok": true, "text": "answers"}}]}}'
    )
    up = doctor()
    assert (up.returncode, up.stdout) == (0, "ok   bus: answers\n")
