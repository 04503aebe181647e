"""The hook for verification of people, against a real HTTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from gridtypes import TwinId
from zosd.accept import kyc
from zosd.accept.kyc import KycService, NoKyc
from zosd.accept.refusal import Refusal

TWIN = TwinId(26)


class Service:
    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[str] = []
        self.url = ""

    async def status(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["twin_id"])
        status, body = self.answers.pop(0)
        return web.json_response(body, status=status)


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(kyc, "RETRY_PAUSE", 0.0)
    found = Service()
    app = web.Application()
    app.router.add_get("/api/v1/status", found.status)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


def verified(word: str) -> tuple[int, Any]:
    return 200, {"result": {"status": word}}


async def test_a_verified_twin_is_asked_for_once(service: Service) -> None:
    service.answers = [verified("VERIFIED")]
    check = KycService(service.url)
    await check.check(TWIN)
    await check.check(TWIN)
    assert service.asked == ["26"]


async def test_a_definite_no_is_not_asked_for_again(service: Service) -> None:
    service.answers = [verified("PENDING"), verified("VERIFIED")]
    check = KycService(service.url)
    with pytest.raises(Refusal, match="user with twin id 26 is not verified"):
        await check.check(TWIN)
    assert len(service.asked) == 1
    await check.check(TWIN)


async def test_an_answer_that_is_none(service: Service) -> None:
    service.answers = [(404, {})]
    with pytest.raises(Refusal, match=r"^failed to get twin verification status$"):
        await KycService(service.url).check(TWIN)


async def test_trouble_is_tried_again(service: Service) -> None:
    service.answers = [(503, {}), verified("VERIFIED")]
    await KycService(service.url).check(TWIN)
    service.answers = [(503, {})] * 3
    with pytest.raises(Refusal, match="failed to get twin verification status: status 503"):
        await KycService(service.url).check(TwinId(27))


async def test_nobody_is_asked_where_nothing_is_configured() -> None:
    await NoKyc().check(TWIN)
