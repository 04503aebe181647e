"""An extrinsic gets into a block once, whatever happens to the connection, the chain and the nonce on its way."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.tfchain.client.conftest import ALICE, BOB
from tests.tfchain.client.proxy import PASS, Proxy
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain, ChainUnavailable, Identity, OutcomeUnknown, access, submit
from tfchain.errors import RpcError
from tfchain.submit import Verdict, judge, read_status

SUBMIT = "author_submitAndWatchExtrinsic"
UNIT = 1000
TIMEOUT = 30.0


def pay(chain: Chain, to: Identity, timeout: float = TIMEOUT, key: Identity = ALICE) -> asyncio.Task[object]:
    arguments = {"dest": {"Id": to.public_key}, "value": UNIT}
    return asyncio.create_task(chain.submit(key, "Balances", "transfer", arguments, timeout=timeout))


async def test_writes_of_one_account_do_not_collide(chain: Chain) -> None:
    to = Identity.generate()
    await asyncio.gather(*(pay(chain, to) for _ in range(30)))
    assert await chain.balance(to.public_key) == 30 * UNIT
    assert await chain.nonce(ALICE.public_key) == 30


async def test_two_programs_with_one_account_both_get_through(process: ChainProcess) -> None:
    to = Identity.generate()
    async with Chain([process.url]) as one, Chain([process.url]) as other:
        await asyncio.gather(*(pay(chain, to) for chain in (one, other) for _ in range(8)))
        assert await one.balance(to.public_key) == 16 * UNIT
        assert await one.nonce(ALICE.public_key) == 16


@pytest.mark.parametrize("had_arrived", [True, False])
async def test_a_connection_that_breaks_at_submission(
    proxies: tuple[Proxy, Proxy], had_arrived: bool
) -> None:
    """Either the extrinsic had arrived, then it is found, or it had not, then it is sent again."""
    proxy, _ = proxies
    to = Identity.generate()
    (proxy.drop_after if had_arrived else proxy.drop_on).add(SUBMIT)
    async with Chain([proxy.url]) as chain:
        task = pay(chain, to)
        while not proxy.seen[SUBMIT]:
            await asyncio.sleep(0.01)
        proxy.drop_after.clear()
        proxy.drop_on.clear()
        await task
        assert await chain.balance(to.public_key) == UNIT
        assert await chain.nonce(ALICE.public_key) == 1
    assert proxy.seen[SUBMIT] == (1 if had_arrived else 2)


async def test_a_chain_killed_before_the_block_gets_the_extrinsic_again(process: ChainProcess) -> None:
    to = Identity.generate()
    process.rpc("dev_setBlockBuildMode", "Manual")
    async with Chain([process.url]) as chain:
        task = pay(chain, to)
        while not process.rpc("author_pendingExtrinsics"):
            await asyncio.sleep(0.02)
        process.kill()
        await asyncio.sleep(0.3)
        assert not task.done()
        process.start()
        await task
        assert await chain.balance(to.public_key) == UNIT
        assert await chain.nonce(ALICE.public_key) == 1


async def test_kills_at_any_moment_neither_lose_nor_double_a_payment(process: ChainProcess) -> None:
    """Payments run while the chain dies five times; at the end exactly those that succeeded have happened."""
    chosen = random.Random(20261125)
    to = Identity.generate()
    is_over = False

    async def payer(chain: Chain, key: Identity) -> int:
        done = 0
        while not is_over:
            await pay(chain, to, key=key)
            done += 1
        return done

    async with Chain([process.url]) as chain:
        payers = [asyncio.create_task(payer(chain, key)) for key in (ALICE, BOB)]
        for _ in range(5):
            await asyncio.sleep(chosen.uniform(0.05, 0.6))
            process.kill()
            await asyncio.to_thread(process.start)
        await asyncio.sleep(0.2)
        is_over = True
        paid = sum(await asyncio.gather(*payers))
        assert paid > 5
        assert await chain.balance(to.public_key) == paid * UNIT
        nonces = await chain.nonce(ALICE.public_key), await chain.nonce(BOB.public_key)
        assert sum(nonces) == paid


async def test_without_a_chain_nothing_is_sent_and_the_endpoints_are_named(process: ChainProcess) -> None:
    process.stop()
    async with Chain([process.url]) as chain:
        with pytest.raises(ChainUnavailable, match=str(process.port)) as caught:
            async with asyncio.timeout(60):
                await pay(chain, BOB, timeout=1.0)
        assert not isinstance(caught.value, OutcomeUnknown)
        assert "was not sent" in str(caught.value)


async def test_a_fate_that_cannot_be_learnt_is_told_as_such(process: ChainProcess) -> None:
    process.rpc("dev_setBlockBuildMode", "Manual")
    async with Chain([process.url]) as chain:
        head = await chain.head()
        with pytest.raises(OutcomeUnknown, match="may come up to block") as caught:
            await pay(chain, BOB, timeout=1.0)
        (pending,) = process.rpc("author_pendingExtrinsics")
        assert caught.value.extrinsic_hash == submit.extrinsic_hash(bytes.fromhex(pending[2:]))
        assert head.number < caught.value.valid_until <= head.number + submit.ERA_PERIOD


async def test_a_signature_for_a_runtime_that_was_replaced_is_made_anew(proxies: tuple[Proxy, Proxy]) -> None:
    proxy, _ = proxies
    old = {"specName": "substrate-threefold", "specVersion": 148, "transactionVersion": 2}
    proxy.answers["state_getRuntimeVersion"] = lambda _: PASS if proxy.seen[SUBMIT] else old
    to = Identity.generate()
    async with Chain([proxy.url]) as chain:
        assert (await chain.runtime_version()).spec == 148
        await pay(chain, to)
        assert await chain.balance(to.public_key) == UNIT
        assert (await chain.runtime_version()).spec == 149


async def test_an_extrinsic_whose_era_is_over_is_signed_anew(
    process: ChainProcess, proxies: tuple[Proxy, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "WATCH_TIMEOUT", 0.5)
    proxy, _ = proxies
    proxy.silent.add(SUBMIT)
    to = Identity.generate()
    async with Chain([proxy.url]) as chain:
        task = pay(chain, to)
        while not proxy.seen[SUBMIT]:
            await asyncio.sleep(0.01)
        process.rpc("dev_newBlock", {"count": submit.ERA_PERIOD + 10})
        proxy.silent.clear()
        await task
        assert await chain.balance(to.public_key) == UNIT


async def test_finality_far_behind_does_not_make_extrinsics_stillborn(
    chain: Chain, process: ChainProcess
) -> None:
    process.rpc("dev_setFinalityDelay", 60_000)
    process.rpc("dev_newBlock", {"count": 3 * submit.ERA_PERIOD})
    await pay(chain, BOB)


async def test_a_queue_that_is_too_long_is_told(process: ChainProcess) -> None:
    process.rpc("dev_setBlockBuildMode", "Manual")
    async with Chain([process.url]) as chain:
        first, second = pay(chain, BOB, timeout=3.0), pay(chain, BOB, timeout=0.5)
        with pytest.raises(ChainUnavailable, match="earlier calls"):
            await second
        process.rpc("dev_newBlock")
        await first


async def test_a_cancelled_write_leaves_the_account_usable(process: ChainProcess) -> None:
    process.rpc("dev_setBlockBuildMode", "Manual")
    async with Chain([process.url]) as chain:
        task = pay(chain, BOB)
        while not process.rpc("author_pendingExtrinsics"):
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        process.rpc("dev_setBlockBuildMode", "Instant")
        await pay(chain, BOB)
        assert await chain.nonce(ALICE.public_key) == 2


@pytest.mark.parametrize(
    ("code", "message", "data", "verdict"),
    [
        (1010, "Invalid Transaction", "Transaction is outdated", Verdict.SEARCH),
        (1010, "Invalid Transaction", "Transaction has a bad signature", Verdict.SIGN_ANEW),
        (1010, "Invalid Transaction", "Transaction has an ancient birth block", Verdict.SIGN_ANEW),
        (1010, "Invalid Transaction", "Inability to pay some fees", Verdict.REFUSED),
        (1010, "Invalid Transaction", "Transaction would exhaust the block limits", Verdict.WAIT),
        (1001, "Extrinsic has invalid format", "", Verdict.REFUSED),
        (1011, "Unknown Transaction Validity", "", Verdict.WAIT),
        (1012, "Transaction is temporarily banned", "", Verdict.WAIT),
        (1013, "Transaction Already Imported", "", Verdict.SEARCH),
        (1014, "Priority is too low: (1 vs 1)", "", Verdict.SEARCH),
        (1016, "Immediately Dropped", "", Verdict.WAIT),
        (-32601, "Method not found", "", Verdict.REFUSED),
    ],
)
def test_answers_to_a_submission_are_understood(code: int, message: str, data: str, verdict: Verdict) -> None:
    assert judge(RpcError(code, message, data)) is verdict


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("ready", (False, None)),
        ("future", (False, None)),
        ({"broadcast": ["x"]}, (False, None)),
        ({"inBlock": "0x" + "ab" * 32}, (True, b"\xab" * 32)),
        ({"finalized": "0x" + "ab" * 32}, (True, b"\xab" * 32)),
        ({"retracted": "0x" + "ab" * 32}, (False, None)),
        ({"usurped": "0x" + "ab" * 32}, (True, None)),
        ({"finalityTimeout": "0x" + "ab" * 32}, (True, None)),
        ("dropped", (True, None)),
        ("invalid", (True, None)),
        (None, (False, None)),
        ({"inBlock": 7}, (False, None)),
    ],
)
def test_statuses_that_other_clients_wait_on_for_ever_end_the_watch(status: object, meaning: object) -> None:
    assert read_status(status) == meaning


def test_versions_are_believed_shorter_than_a_watch_lasts() -> None:
    assert access.VERSION_AGE < submit.WATCH_TIMEOUT
