"""A sender who changed or cleared its key for encryption is understood at once."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gridtypes import TwinId
from rmb.gen2.encryption import EncryptionKey
from rmb.gen2.envelope import Cipher, Plain, Request
from rmb.gen2.envelope import Envelope as Sealed
from rmb.gen2.postman import Distrusted, Postman
from rmb.gen2.session import Session
from rmb.gen2.twin_cards import TwinCards
from tfchain.keys import Identity
from tfchain.models import Twin

NODE, USER = Session(1), Session(2, "tool")
NODE_KEY, USER_KEY = Identity.from_seed(bytes([1]) * 32), Identity.from_seed(bytes([2]) * 32)
NODE_PK, FIRST_PK, SECOND_PK = (EncryptionKey(bytes([number]) * 32) for number in (7, 8, 9))


class FakeChain:
    """Two twins; the second one changes its key."""

    def __init__(self) -> None:
        self.pk: bytes | None = FIRST_PK.public_key
        self.asked = 0

    async def twin(self, twin_id: TwinId) -> Twin | None:
        self.asked += 1
        if twin_id == 1:
            return Twin(TwinId(1), NODE_KEY.public_key, "relay.example.org", NODE_PK.public_key)
        return Twin(TwinId(2), USER_KEY.public_key, "relay.example.org", self.pk)


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chain = FakeChain()
        self.cards = TwinCards(self.chain)
        self.node = Postman(NODE, NODE_KEY, self.cards, NODE_PK)
        self.offset = 0.0
        real = time.monotonic
        monkeypatch.setattr("rmb.gen2.twin_cards.time.monotonic", lambda: real() + self.offset)

    async def hear(self, own: EncryptionKey | None) -> bytes:
        """The node opens a request that the user wrote with this key."""
        user = Postman(USER, USER_KEY, TwinCards(self.chain), own)
        raw = await user.seal("uid", NODE, Request("zos.test"), b"hello")
        return (await self.node.open(Sealed.decode(raw))).payload

    async def answers_with(self) -> type:
        raw = await self.node.seal("uid", USER, Request("zos.test"), b"answer")
        return type(Sealed.decode(raw).payload)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_a_cleared_key_is_noticed_with_the_first_plain_request(world: World) -> None:
    assert await world.hear(FIRST_PK) == b"hello"
    assert await world.answers_with() is Cipher
    world.chain.pk = None
    world.offset = 1.0
    assert await world.hear(None) == b"hello"
    assert await world.answers_with() is Plain


async def test_another_key_is_noticed_with_the_first_request(world: World) -> None:
    assert await world.hear(FIRST_PK) == b"hello"
    world.chain.pk = SECOND_PK.public_key
    world.offset = 1.0
    assert await world.hear(SECOND_PK) == b"hello"


async def test_a_first_key_is_noticed_with_the_first_request(world: World) -> None:
    world.chain.pk = None
    assert await world.hear(None) == b"hello"
    world.chain.pk = FIRST_PK.public_key
    world.offset = 1.0
    assert await world.hear(FIRST_PK) == b"hello"


async def test_what_does_not_fit_asks_the_chain_no_more_than_now_and_then(world: World) -> None:
    await world.hear(FIRST_PK)
    user = Postman(USER, USER_KEY, TwinCards(FakeChain()), None)
    raw = await user.seal("uid", NODE, Request("zos.test"), b"plain")
    before = world.chain.asked
    for _ in range(100):
        await world.node.open(Sealed.decode(raw))
    assert world.chain.asked - before <= 1
    forged = replace(Sealed.decode(raw), payload=Cipher(bytes(40))).signed(USER_KEY)
    for _ in range(100):
        with pytest.raises(Distrusted, match="e2e error"):
            await world.node.open(forged)
    assert world.chain.asked - before <= 3
