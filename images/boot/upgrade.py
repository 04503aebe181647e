"""Unit `upgrade`: judge a new image that is on trial, and fetch a newer one when there is one.

A new image is taken into a slot only whole and signed, is entered at the next boot, and counts as good after it was
registered for the health window.  One that does not get there restarts the machine; after three tries the image
before it runs again.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from images import manifest
from images.boot import given, stage_file
from images.boot.approval import Approved, parse, why_not
from images.boot.configure import with_remote
from images.boot.console import daemon_facts, workloads
from images.boot.control import ControlError, ask
from images.boot.settings import BootSettings
from images.boot.slot_store import NEEDED, PART, SlotStore
from images.boot.slots import SLOTS, answer, healthy, install, switch
from images.boot.sources import Source

PERIOD_S = 3600.0
JITTER_S = 540.0
AGAIN_S = 60.0
"""Until the next look when somebody did not answer: at boot the network has just begun."""
LOOK_EVERY_S = 2.0
SHORTEST_TRIAL_S = 600.0
FETCH_LIMIT_S = 60
"""Seconds without a byte."""
MOST_BYTES = 1 << 30
NOTICE_S = 5.0
"""Before a restart, so that the screen can say why."""
CHUNK = 1 << 20
ASK_LIMIT_S = 180.0
STAGE = Path("/usr/lib/zos/stage")
LIGHT = "v3light"
JOURNAL = Path("/var/cache/zos/state/journal.db")


class UpgradeError(Exception):
    """A newer image cannot be had now; the message says why."""


class NotReached(UpgradeError):
    """Whoever has to be asked does not answer; asked again soon."""


def main() -> None:
    """Watch for ever."""
    settings = given.settings()
    store = SlotStore()
    own = Path("/usr/lib/zos/version").read_text().strip()
    if settings.image in SLOTS:
        _trial(store, settings)
    waiting = False
    while True:
        if settings.remote:
            refresh(settings.remote)
            settings = given.settings()
        wait = pause(settings.health_window)
        if settings.upgrade and settings.image != "rescue":
            try:
                text = look(store, settings, own)
                if text:
                    waiting = True
                    stage_file.write("image", {"text": text})
                    print(text, flush=True)
                stage_file.write("upgrade", {"text": ""})
            except (UpgradeError, manifest.ManifestError, OSError) as problem:
                print(f"upgrade: {problem}", flush=True)
                stage_file.write("upgrade", {"text": str(problem)})
                if isinstance(problem, NotReached):
                    wait = min(wait, AGAIN_S)
            if waiting and workloads(JOURNAL) == 0:
                print("restarting into the new image", flush=True)
                time.sleep(NOTICE_S)
                ask({"do": "reboot"})
        time.sleep(wait)


def refresh(url: str) -> None:
    """Look at the remote configuration again; when it says something new, daemon and bus take it over."""
    before = given.kept().get(Source.REMOTE)
    _, problem = with_remote(url)
    if problem:
        print(problem, flush=True)
    if given.kept().get(Source.REMOTE) != before:
        print("the remote configuration has changed", flush=True)
        for unit in ("configure", "zosd", "bus"):
            try:
                ask({"do": "restart", "unit": unit})
                time.sleep(NOTICE_S)
            except ControlError as trouble:
                print(trouble, flush=True)


def pause(window: float) -> float:
    """Seconds until the next look: an hour and some minutes; shorter where tests shorten the health window."""
    return min(PERIOD_S, window * 6) + random.uniform(0, min(JITTER_S, window))


def trial_limit(window: float) -> float:
    """Seconds that a new image has to become healthy."""
    return max(SHORTEST_TRIAL_S, 3 * window)


def _trial(store: SlotStore, settings: BootSettings) -> None:
    state, _ = store.read()
    if state.good or state.current != settings.image:
        return
    started, well_since = time.monotonic(), None
    while True:
        time.sleep(LOOK_EVERY_S)
        now = time.monotonic()
        if registered():
            well_since = well_since or now
            if now - well_since >= settings.health_window:
                store.write(healthy(state, settings.image))
                print(f"the image in slot {settings.image} is good", flush=True)
                stage_file.write("image", {"text": f"slot {settings.image}, good"})
                return
        else:
            well_since = None
        if now - started > trial_limit(settings.health_window) and well_since is None:
            print("the new image did not become healthy: restarting", flush=True)
            ask({"do": "reboot"})
            time.sleep(600)


def registered() -> bool:
    """Whether the daemon runs and has registered the node."""
    try:
        running = ask({"do": "status", "unit": "zosd"})["unit"]["state"] == "running"
        return running and "node" in daemon_facts(
            ask({"do": "log", "unit": "zosd", "lines": 1000})["log"], {}
        )
    except (ControlError, KeyError):
        return False


def look(
    store: SlotStore, settings: BootSettings, own: str, ask_chain: Callable[[], Approved] | None = None
) -> str:
    """Fetch the offered image when it is another than ours; a sentence when it waits for a restart, else "".

    Raises UpgradeError, ManifestError, OSError.
    """
    state, _ = store.read()
    part = store.folder / f"new{PART}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o700)
    try:
        for name in (manifest.NAME, manifest.SIGNATURE):
            fetch(f"{settings.upgrade}/{name}", part / name, manifest.MOST_BYTES)
        offered = manifest.read_signed(part, store.trusted())
        held = answer(state, own, offered.version)
        if held is None:
            return ""
        refusal = why_not(
            offered.version,
            (ask_chain or approved)(),
            mode=settings.mode,
            farm=settings.farm,
            light=settings.version == LIGHT,
            test_farms=settings.test_farms,
        )
        if refusal:
            raise UpgradeError(refusal)
        if held and store.intact(held):
            store.write(switch(state, held))
            return f"{offered.version} is in slot {held} and runs after the next restart"
        wanted = [offered.find(name) for name in NEEDED]
        size = sum(each.size for each in wanted if each)
        if shutil.disk_usage(store.folder).free < size * 2:
            raise UpgradeError(f"no room for an image of {size} bytes")
        print(f"fetching image {offered.version}", flush=True)
        for each in wanted:
            if each is None:
                raise UpgradeError(f"image {offered.version} has no {' and '.join(NEEDED)}")
            fetch(f"{settings.upgrade}/{each.name}", part / each.name, each.size)
        manifest.verify(part, store.trusted(), NEEDED)
        slot, after = install(state, offered.version)
        store.adopt(part, slot)
        store.write(after)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return f"{offered.version} is in slot {slot} and runs after the next restart"


def approved() -> Approved:
    """What the chain approves.  Raises UpgradeError when it cannot be asked: then nothing is taken."""
    try:
        done = subprocess.run(
            [str(STAGE), "approved_version"], capture_output=True, text=True, timeout=ASK_LIMIT_S, check=False
        )
        if done.returncode == 0:
            return parse(str(json.loads(done.stdout)))
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        reason = f"the chain cannot be asked for the approved release: {problem}"
    raise NotReached(reason)


def fetch(url: str, target: Path, most: int) -> None:
    """Download a file of at most `most` bytes.  Raises UpgradeError."""
    try:
        with urllib.request.urlopen(url, timeout=FETCH_LIMIT_S) as answer, target.open("wb") as file:
            taken = 0
            while piece := answer.read(CHUNK):
                taken += len(piece)
                if taken > min(most, MOST_BYTES):
                    raise UpgradeError(f"{url} is longer than the {most} bytes that were announced")
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except (urllib.error.URLError, TimeoutError, ConnectionError) as problem:
        raise NotReached(f"{url} cannot be fetched: {problem}") from problem


if __name__ == "__main__":
    main()
