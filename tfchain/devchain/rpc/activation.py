"""The activation service: gives an account that holds nothing its first token (`tfchain.md` §8.3)."""

from __future__ import annotations

import json

from aiohttp import web

from tfchain.codec.address import AddressError, decode_address
from tfchain.devchain.chain import DevChain
from tfchain.devchain.context import BlockInfo, Context
from tfchain.devchain.dispatch import Root
from tfchain.devchain.pallets import funds
from tfchain.devchain.state import Layer, Reading

ACTIVATION_UNITS = 10_000_000
"""One token."""
ACTIVE_ABOVE = 10_000
"""An account with more units than this is active already."""


class Activation:
    """Answers `POST {"substrateAccountID": "<ss58>"}`: 200 when the account got its token, 409 when it is active."""

    def __init__(self, chain: DevChain) -> None:
        self.chain = chain

    async def handle(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.text())
            account = decode_address(str(body["substrateAccountID"]))
        except (ValueError, RecursionError, KeyError, TypeError, AddressError):
            return web.json_response(
                {"error": 'give {"substrateAccountID": "<address>"} with an address of format 42'}, status=400
            )
        if funds.ACCOUNTS.get(Reading(self.chain.state), account).data.free > ACTIVE_ABOVE:
            return web.json_response({"error": "account is active already"}, status=409)
        self.endow(account)
        return web.json_response({"substrateAccountID": body["substrateAccountID"]})

    def endow(self, account: bytes) -> None:
        """Mint the first token in a block of its own."""
        layer = Layer(self.chain.state)
        block = BlockInfo(self.chain.head.header.number + 1, self.chain.now_ms(), account)
        funds.endow(Context(self.chain.interface, block, layer, Root(), {}), account, ACTIVATION_UNITS)
        self.chain.seal(writes=layer.changes)
