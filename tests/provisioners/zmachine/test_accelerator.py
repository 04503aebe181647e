"""KVM only when a guest really boots under it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from provisioners.system import accelerator
from provisioners.system.accelerator import Verdict, boots, cpu_flags, quick_refusal, read_verdict
from provisioners.system.qemu_arguments import Accelerator


def test_without_the_processor_or_the_device_nothing_is_booted(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    assert "neither vmx nor svm" in (quick_refusal({"sse2"}, device) or "")
    assert "there is no" in (quick_refusal({"vmx"}, device) or "")
    device.touch()
    assert quick_refusal({"svm"}, device) is None


def test_flags_are_those_of_the_first_processor() -> None:
    assert cpu_flags("processor\t: 0\nflags\t\t: fpu vmx\n\nprocessor: 1\nflags: svm\n") == {"fpu", "vmx"}
    assert cpu_flags("") == set()


async def test_a_guest_that_hangs_is_ended_at_the_deadline() -> None:
    async with asyncio.timeout(60):
        assert not await boots(["sh", "-c", "echo alive; sleep 600"], "alive", 0.3)


async def test_a_guest_has_to_say_the_word_and_to_end() -> None:
    assert await boots([sys.executable, "-c", "print('x alive-1 y')"], "alive-1", 20)
    assert not await boots(["true"], "alive-1", 20)


def test_a_verdict_holds_under_the_same_conditions_only(tmp_path: Path) -> None:
    cache = tmp_path / "verdict"
    assert read_verdict(cache, "key") is None
    cache.write_text(json.dumps({"key": "key", "accelerator": "kvm", "reason": "booted"}))
    assert read_verdict(cache, "key") == Verdict(Accelerator.KVM, "booted")
    assert read_verdict(cache, "other boot") is None
    cache.write_text("{")
    assert read_verdict(cache, "key") is None


async def test_a_hanging_kvm_means_emulation_and_is_remembered(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    kernel = tmp_path / "vmlinuz"
    kernel.touch()
    (device := tmp_path / "kvm").touch()
    monkeypatch.setattr(accelerator, "cpu_flags", lambda text: {"svm"})
    monkeypatch.setattr(accelerator, "DEADLINE_S", 0.2)
    monkeypatch.setattr(accelerator, "probe_command", lambda *parts: ["sleep", "60"])
    first = await accelerator.choose(kernel, kernel, tmp_path / "verdict", device=device)
    assert first.accelerator is Accelerator.TCG
    monkeypatch.setattr(accelerator, "probe_command", lambda *parts: ["false", "is not run"])
    assert await accelerator.choose(kernel, kernel, tmp_path / "verdict", device=device) == first
