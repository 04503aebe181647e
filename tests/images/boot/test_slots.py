"""Two image slots, three tries, and the one that worked."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from images import manifest
from images.boot import upgrade
from images.boot.approval import Approved
from images.boot.settings import BootSettings
from images.boot.slot_store import NEEDED, SlotStore
from images.boot.slots import (
    MEDIUM,
    MOST_TRIES,
    SlotError,
    SlotState,
    answer,
    enter,
    healthy,
    install,
    parse,
    switch,
)

BOTH = {"A": True, "B": True}


def test_without_slots_the_medium_runs() -> None:
    assert enter(SlotState(), "", {}).slot == MEDIUM


def test_a_new_image_is_entered_and_counted_and_becomes_good() -> None:
    slot, state = install(SlotState(), "2.0")
    assert slot == "A"
    entry = enter(state, "", BOTH)
    assert (entry.slot, entry.state.tries) == ("A", 1)
    good = healthy(entry.state, "A")
    assert (good.good, good.tries) == (True, 0)
    assert enter(good, "", BOTH).state == good


def test_three_failed_tries_fall_back_to_the_one_that_worked() -> None:
    _, first = install(SlotState(), "1.0")
    first = healthy(first, "A")
    slot, state = install(first, "2.0")
    assert slot == "B"
    for _ in range(MOST_TRIES):
        entry = enter(state, "", BOTH)
        assert entry.slot == "B"
        state = entry.state
    entry = enter(state, "", BOTH)
    assert entry.slot == "A"
    assert "2.0 in slot B" in entry.message
    assert "1.0 in slot A" in entry.message
    assert entry.state.good
    # The image that runs then says it, until a newer one is taken.
    kept = parse(entry.state.to_json())
    assert enter(kept, "A", BOTH).message == enter(kept, "rescue", BOTH).message == entry.message
    assert install(kept, "3.0")[1].note == ""


def test_when_both_fail_the_medium_runs() -> None:
    _, state = install(SlotState(), "1.0")
    state = replace(state, tries=MOST_TRIES)
    entry = enter(state, "", BOTH)
    assert entry.slot == MEDIUM
    assert "medium" in entry.message
    assert enter(entry.state, "", BOTH).slot == MEDIUM


def test_a_damaged_slot_is_never_entered() -> None:
    _, state = install(healthy(install(SlotState(), "1.0")[1], "A"), "2.0")
    assert enter(state, "", {"A": True, "B": False}).slot == "A"
    assert enter(state, "", {"A": False, "B": False}).slot == MEDIUM
    assert enter(state, "", {}).slot == MEDIUM


def test_rescue_and_a_running_slot_do_not_jump_again() -> None:
    _, state = install(SlotState(), "1.0")
    for running in ("A", "B", "rescue"):
        entry = enter(state, running, BOTH)
        assert (entry.slot, entry.state) == (MEDIUM, state)


def test_an_image_on_trial_is_replaced_without_losing_the_good_one() -> None:
    good = healthy(install(SlotState(), "1.0")[1], "A")
    _, trial = install(good, "2.0")
    slot, state = install(trial, "3.0")
    assert (slot, state.previous) == ("B", "A")
    assert state.versions == {"A": "1.0", "B": "3.0"}


def test_state_survives_and_rubbish_is_refused() -> None:
    _, state = install(SlotState(), "1.0")
    assert parse(state.to_json()) == state
    for content in (
        b"",
        b"{}",
        b"[]",
        b'{"current": "C", "previous": "", "tries": 0, "good": true, "versions": {}}',
    ):
        with pytest.raises(SlotError):
            parse(content)


def signed(folder: Path, version: str, key: Ed25519PrivateKey) -> None:
    folder.mkdir(parents=True)
    for name in NEEDED:
        (folder / name).write_bytes(f"{name} of {version}".encode())
    manifest.sign(folder, manifest.describe(folder, NEEDED, version, 1), key)


@pytest.fixture
def store(tmp_path: Path) -> SlotStore:
    (tmp_path / "keys").mkdir()
    key = manifest.load_or_make_key(tmp_path / "release.key")
    (tmp_path / "keys/release.pub").write_text(key.public_key().public_bytes_raw().hex())
    return SlotStore(tmp_path / "images", tmp_path / "keys")


def test_a_slot_is_intact_only_as_it_was_signed(store: SlotStore, tmp_path: Path) -> None:
    assert not store.intact("A")
    signed(store.folder / "A", "1.0", manifest.load_or_make_key(tmp_path / "release.key"))
    signed(store.folder / "B", "1.0", manifest.load_or_make_key(tmp_path / "other.key"))
    assert store.intact("A")
    assert not store.intact("B")
    (store.folder / "A/initrd").write_bytes(b"changed")
    assert not store.intact("A")


def test_state_is_kept_and_rubbish_means_the_medium(store: SlotStore) -> None:
    assert store.read() == (SlotState(), "")
    _, state = install(SlotState(), "1.0")
    store.write(state)
    assert store.read() == (state, "")
    (store.folder / "state").write_bytes(b"rubbish")
    found, problem = store.read()
    assert found == SlotState()
    assert "cannot be read" in problem


def test_what_an_interrupted_download_left_is_swept(store: SlotStore) -> None:
    for name in ("new.part", "A", "B"):
        (store.folder / name).mkdir(parents=True)
    store.write(SlotState(current="A", good=True, versions={"A": "1.0"}))
    store.sweep()
    assert sorted(entry.name for entry in store.folder.iterdir()) == ["A", "state"]


def test_an_offered_image_is_fetched_whole_and_signed_or_not_at_all(store: SlotStore, tmp_path: Path) -> None:
    offered = tmp_path / "offered"
    signed(offered, "2.0", manifest.load_or_make_key(tmp_path / "release.key"))
    handler = partial(SimpleHTTPRequestHandler, directory=str(offered))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        settings = BootSettings(upgrade=f"http://127.0.0.1:{server.server_port}")
        agreed = partial(Approved, "2.0")
        assert not upgrade.look(store, settings, "2.0")  # not even asked: it runs
        for other in (partial(Approved, "1.9"), partial(Approved, "2.0", safe=False)):
            with pytest.raises(upgrade.UpgradeError, match=r"2\.0 is offered"):
                upgrade.look(store, settings, "1.0", other)
        (offered / "initrd").write_bytes(b"something else !")
        with pytest.raises((upgrade.UpgradeError, manifest.ManifestError)):
            upgrade.look(store, settings, "1.0", agreed)
        assert [entry.name for entry in store.folder.iterdir()] == []
        (offered / "initrd").write_bytes(b"initrd of 2.0")
        assert upgrade.look(store, settings, "1.0", agreed)
        state, _ = store.read()
        assert (state.current, state.good, state.versions) == ("A", False, {"A": "2.0"})
        assert store.intact("A")
        assert not upgrade.look(store, settings, "1.0", agreed)
    finally:
        server.shutdown()
        serving.join(30)
        server.server_close()


def test_a_version_that_was_left_is_not_taken_again_and_the_one_before_is() -> None:
    good = healthy(install(healthy(install(SlotState(), "1.0")[1], "A"), "2.0")[1], "B")
    assert answer(good, "2.0", "2.0") is None
    assert answer(good, "2.0", "3.0") == ""
    assert answer(good, "2.0", "1.0") == "A"
    back = switch(good, "A")
    assert (back.current, back.previous, back.good) == ("A", "B", False)
    trial = install(healthy(install(SlotState(), "1.0")[1], "A"), "2.0")[1]
    assert answer(trial, "1.0", "2.0") is None
    left = enter(replace(trial, tries=MOST_TRIES), "", BOTH).state
    assert answer(left, "1.0", "2.0") is None
    torn = enter(trial, "", {"A": True, "B": False}).state
    assert answer(torn, "1.0", "2.0") == ""


def test_times_of_a_trial() -> None:
    assert upgrade.trial_limit(600) == 1800
    assert upgrade.trial_limit(20) == upgrade.SHORTEST_TRIAL_S
    assert 120 <= upgrade.pause(20) <= 140
    assert 3600 <= upgrade.pause(600) <= 3600 + upgrade.JITTER_S
