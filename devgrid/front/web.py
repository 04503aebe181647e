"""The front's HTTP side: which request is for which service, by host name and path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from devgrid.front import entities, names
from devgrid.front.graphql import Service
from devgrid.front.proxy import Answers, BadQuery
from devgrid.front.snapshot import View
from gridtypes import ContractId
from tfchain import ChainUnavailable
from tfchain.codec.address import AddressError, decode_address

LARGEST_REQUEST = 256 << 10
ACTIVATION_S = 30.0
OPEN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Expose-Headers": "count",
}
"""Dashboards are pages of another origin; there is nothing to protect: all that is told is on the chain."""


class Front:
    """Answers for every service that is not passed on as it comes."""

    def __init__(self, view: View, features: Sequence[str], activation_url: str, version: str) -> None:
        self._view = view
        self._features = features
        self._activation_url = activation_url
        self._version = version
        self._graphql = Service(self._rows)

    def application(self) -> web.Application:
        made = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[_answer_errors])
        made.router.add_route("*", "/{path:.*}", self._route)
        return made

    async def _route(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(headers=OPEN)
        host = request.host.partition(":")[0].lower()
        path = "/" + request.match_info["path"].strip("/")
        match (host, request.method, path):
            case (names.GRAPHQL, "POST", "/graphql" | "/"):
                return _json(await self._graphql.answer(await _body(request)))
            case (names.ACTIVATION, "POST", "/activation/activate"):
                return await self._activate(await _body(request))
            case (names.KYC, "GET", "/api/v1/status"):
                return self._kyc(request.query)
            case (names.PROXY, "GET", _):
                return await self._proxy(path, request.query)
        return _json({"error": f"{request.method} https://{host}{path} is not served here"}, status=404)

    async def _proxy(self, path: str, query: Mapping[str, str]) -> web.Response:
        answers = Answers(await self._view.now(), self._features)
        words = path.strip("/").split("/")
        lists = {
            "nodes": answers.nodes,
            "gateways": answers.nodes,
            "farms": answers.farms,
            "twins": answers.twins,
            "contracts": answers.contracts,
        }
        match words:
            case ["version"]:
                return _json({"version": self._version})
            case ["ping"]:
                return _json({"ping": "pong"})
            case ["stats"]:
                return _json(answers.stats())
            case [word] if word in lists:
                found, count = lists[word](query)
                return _json(found, headers={"count": str(count)})
            case ["nodes" | "gateways", number, *rest] if number.isdecimal() and len(number) <= 10:
                node = answers.node(int(number))
                if rest == ["status"] and node is not None:
                    return _json({"status": node["status"]})
                return _one(node, f"node {number}") if not rest else _missing(path)
            case ["contracts", number] if number.isdecimal() and len(number) <= 20:
                return _one(answers.contract(int(number)), f"contract {number}")
        return _missing(path)

    def _kyc(self, query: Mapping[str, str]) -> web.Response:
        """On a test grid, everybody is verified who has an account."""
        try:
            decode_address(query.get("client_id", ""))
        except AddressError as problem:
            return _json({"error": f"client_id: {problem}"}, status=400)
        return _json({"result": {"status": "VERIFIED"}})

    async def _activate(self, body: Any) -> web.Response:
        """Pass an activation on to the chain."""
        timeout = aiohttp.ClientTimeout(total=ACTIVATION_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{self._activation_url}/activate", json=body) as answer,
        ):
            return web.Response(
                body=await answer.read(),
                status=answer.status,
                content_type=answer.content_type,
                headers=OPEN,
            )

    async def _rows(self, entity: str, where: Mapping[str, Any]) -> Sequence[entities.Row]:
        if entity != "ContractBillReport":
            return entities.rows(entity, await self._view.now())
        number = where.get("contractID_eq")
        bill = None if number is None else await self._view.last_bill(ContractId(number))
        if bill is None:
            return []
        return [
            {
                "id": f"bill-{number}-{bill.block}",
                "contractID": number,
                "discountReceived": bill.discount,
                "amountBilled": bill.amount,
                "timestamp": bill.timestamp,
            }
        ]


@web.middleware
async def _answer_errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except BadQuery as problem:
        return _json({"error": str(problem)}, status=400)
    except (ChainUnavailable, aiohttp.ClientError, TimeoutError) as problem:
        return _json({"error": f"the chain does not answer: {problem}"}, status=503)


async def _body(request: web.Request) -> Any:
    """Raises BadQuery."""
    try:
        return json.loads(await request.text())
    except (ValueError, RecursionError):
        raise BadQuery("the request's body is no JSON") from None


def _one(found: Any, what: str) -> web.Response:
    return _json(found) if found is not None else _json({"error": f"{what} does not exist"}, status=404)


def _missing(path: str) -> web.Response:
    return _json({"error": f"{path} is not served here"}, status=404)


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(value, status=status, headers={**OPEN, **(headers or {})})


async def serve(front: Front, path: Path) -> web.AppRunner:
    """Listen on a unix socket; the TLS side leads there."""
    runner = web.AppRunner(front.application(), access_log=None)
    await runner.setup()
    path.unlink(missing_ok=True)
    await web.UnixSite(runner, str(path)).start()
    return runner
