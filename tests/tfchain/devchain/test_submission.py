"""What is refused at submission, what waits, and what a block makes of a failing call."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tfchain.devchain.driver import Driver, person
from tfchain.codec.extrinsic import Era, extrinsic_hash
from tfchain.devchain.execution import next_root
from tfchain.devchain.validity import Refused
from tfchain.keys import Identity

ALICE = person("//Alice")
TERMS = {"document_link": "https://x/y", "document_hash": "1a2b"}


@pytest.mark.parametrize("kind", ["ed25519", "sr25519"])
def test_both_kinds_of_key_can_sign(driver: Driver, kind: Any) -> None:
    user = Identity.generate(kind)
    driver.call(ALICE, "Balances.transfer", dest=user.address, value=10_000_000)
    assert driver.make_twin(user) == 1


def test_a_wrong_signature_is_refused(driver: Driver) -> None:
    encoded = driver.sign(ALICE, driver.encode_call("TfgridModule.user_accept_tc", TERMS))
    broken = encoded[:50] + bytes((encoded[50] ^ 1,)) + encoded[51:]
    with pytest.raises(Refused, match="bad signature") as refusal:
        driver.chain.submit(broken)
    assert refusal.value.code == 1010


def test_a_signature_for_another_chain_or_version_is_refused(driver: Driver) -> None:
    call = driver.encode_call("TfgridModule.user_accept_tc", TERMS)
    for other in ({"genesis": bytes(32)}, {"spec_version": 148}):
        with pytest.raises(Refused, match="bad signature"):
            driver.chain.submit(driver.sign(ALICE, call, **other))


def test_an_old_nonce_is_refused(driver: Driver) -> None:
    call = driver.encode_call("TfgridModule.user_accept_tc", TERMS)
    driver.submit(driver.sign(ALICE, call))
    with pytest.raises(Refused, match="outdated") as refusal:
        driver.chain.submit(driver.sign(ALICE, call, nonce=0, tip=1))
    assert refusal.value.code == 1010


def test_an_account_without_funds_is_refused(driver: Driver) -> None:
    poor = Identity.generate()
    with pytest.raises(Refused, match="Inability to pay") as refusal:
        driver.call(poor, "TfgridModule.user_accept_tc", **TERMS)
    assert refusal.value.code == 1010


def test_bytes_that_are_no_extrinsic_are_refused(driver: Driver) -> None:
    for junk in (b"", b"\0", bytes(64), b"\x04" + bytes(200)):
        with pytest.raises(Refused) as refusal:
            driver.chain.submit(junk)
        assert refusal.value.code in (1001, 1011)


def test_a_future_nonce_waits_until_the_gap_is_closed(driver: Driver) -> None:
    call = driver.encode_call("TfgridModule.user_accept_tc", TERMS)
    statuses: list[Any] = []
    later = driver.sign(ALICE, call, nonce=1)
    driver.chain.submit(later, statuses.append)
    assert statuses == ["future"]
    assert len(driver.chain.seal().body) == 1
    driver.chain.submit(driver.sign(ALICE, call, nonce=0))
    built = driver.chain.seal()
    assert built.body[2] == later
    assert statuses[1] == {"inBlock": "0x" + built.hash.hex()}


def test_the_same_extrinsic_twice_is_refused(driver: Driver) -> None:
    encoded = driver.sign(ALICE, driver.encode_call("TfgridModule.user_accept_tc", TERMS))
    driver.chain.submit(encoded)
    with pytest.raises(Refused) as refusal:
        driver.chain.submit(encoded)
    assert refusal.value.code == 1013


def test_a_taken_nonce_goes_to_the_higher_tip(driver: Driver) -> None:
    call = driver.encode_call("TfgridModule.user_accept_tc", TERMS)
    statuses: list[Any] = []
    driver.chain.submit(driver.sign(ALICE, call, nonce=0), statuses.append)
    with pytest.raises(Refused) as refusal:
        driver.chain.submit(driver.sign(ALICE, driver.encode_call("System.remark", {"remark": "r"}), nonce=0))
    assert refusal.value.code == 1014
    better = driver.sign(ALICE, call, nonce=0, tip=5)
    driver.chain.submit(better)
    assert statuses[-1] == {"usurped": "0x" + extrinsic_hash(better).hex()}


def test_a_mortal_extrinsic_is_taken_in_its_time_only(driver: Driver) -> None:
    call = driver.encode_call("TfgridModule.user_accept_tc", TERMS)
    encoded = driver.sign(ALICE, call, era=Era.mortal(4, driver.chain.head.header.number))
    assert driver.submit(encoded).ok
    late = driver.sign(ALICE, call, era=Era.mortal(4, driver.chain.head.header.number))
    for _ in range(5):
        driver.chain.seal()
    with pytest.raises(Refused):
        driver.chain.submit(late)


def test_a_failing_call_changes_nothing_but_nonce_and_fee(driver: Driver) -> None:
    before = dict(driver.chain.state.values)
    outcome = driver.call(ALICE, "TfgridModule.create_twin", relay=None, pk=None)
    assert outcome.error == "UserDidNotSignTermsAndConditions"
    changed = {key for key, value in driver.chain.state.values.items() if before.get(key) != value}
    system = driver.key("System.Number")[:16], driver.key("Timestamp.Now")[:16]
    accounts = {driver.key("System.Account", ALICE.address)}
    assert all(key in accounts or key[:16] in system for key in changed)
    assert not outcome.of("TfgridModule")


def test_a_failing_batch_all_leaves_nothing_of_its_first_calls(driver: Driver) -> None:
    calls = _calls(
        driver, ("TfgridModule.user_accept_tc", TERMS), ("TfgridModule.delete_node", {"node_id": 9})
    )
    outcome = driver.submit(driver.sign(ALICE, _batch(driver, "batch_all", calls)))
    assert outcome.error == "NodeNotExists"
    assert driver.read("TfgridModule.UsersTermsAndConditions", ALICE.address) is None


def test_a_batch_keeps_what_was_done_and_succeeds(driver: Driver) -> None:
    calls = _calls(
        driver,
        ("TfgridModule.user_accept_tc", TERMS),
        ("TfgridModule.delete_node", {"node_id": 9}),
        ("TfgridModule.create_twin", {"relay": None, "pk": None}),
    )
    outcome = driver.submit(driver.sign(ALICE, _batch(driver, "batch", calls)))
    assert outcome.ok
    names = [name for name, _ in outcome.of("Utility")]
    assert names == ["Utility.ItemCompleted", "Utility.BatchInterrupted"]
    assert outcome.of("Utility")[1][1]["index"] == 1
    assert driver.read("TfgridModule.TwinIdByAccountID", ALICE.address) is None
    outcome = driver.submit(driver.sign(ALICE, _batch(driver, "force_batch", calls)))
    names = [name for name, _ in outcome.of("Utility")]
    assert names == [
        "Utility.ItemCompleted",
        "Utility.ItemFailed",
        "Utility.ItemCompleted",
        "Utility.BatchCompletedWithErrors",
    ]
    assert driver.read("TfgridModule.TwinIdByAccountID", ALICE.address) == 1


def test_a_declared_call_that_is_not_implemented_is_filtered(driver: Driver) -> None:
    assert driver.call(ALICE, "System.set_heap_pages", pages=1).error == "CallFiltered"


def test_events_of_an_extrinsic_stand_in_the_order_of_the_real_chain(grid: Driver) -> None:
    paid = grid.call(person("//Charlie"), "TfgridModule.update_twin", relay=None, pk=None)
    assert [name for name, _ in paid.events] == [
        "Balances.Withdraw",
        "TfgridModule.TwinUpdated",
        "Balances.Deposit",
        "TransactionPayment.TransactionFeePaid",
        "System.ExtrinsicSuccess",
    ]
    bob = person("//Bob")
    before = grid.balance(bob)
    free = grid.call(bob, "TfgridModule.report_uptime", uptime=5)
    assert free.fee == 0
    assert grid.balance(bob) == before
    assert free.events[-1][1]["dispatch_info"]["pays_fee"] == "No"


def test_the_state_root_depends_on_the_state_alone(driver: Driver) -> None:
    from tfchain.devchain.state import Snapshot

    empty = Snapshot({})
    one = next_root(bytes(32), empty, {b"a": b"1", b"b": b"2"})
    two = next_root(next_root(bytes(32), empty, {b"b": b"2"}), Snapshot({b"b": b"2"}), {b"a": b"1"})
    assert one == two
    assert next_root(one, Snapshot({b"a": b"1", b"b": b"2"}), {b"a": None, b"b": None}) == bytes(32)


def _calls(driver: Driver, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    return [
        driver.plain.codec.decode(driver.interface.call_type, driver.encode_call(name, arguments))
        for name, arguments in calls
    ]


def _batch(driver: Driver, kind: str, calls: list[Any]) -> bytes:
    return driver.plain.codec.encode(driver.interface.call_type, {"Utility": {kind: {"calls": calls}}})
