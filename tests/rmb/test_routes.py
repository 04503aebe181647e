from __future__ import annotations

import pytest

from rmb import Request, Routes


async def answer(request: Request) -> None:
    return None


async def first(request: Request) -> None:
    return None


async def second(request: Request) -> None:
    return None


def test_the_whole_remaining_name_comes_before_the_way_down() -> None:
    routes = Routes()
    zos = routes.subroute("zos")
    zos.handle("system.version", answer)
    zos.subroute("system").handle("version", first)
    zos.subroute("system").handle("dmi", second)
    assert routes.resolve("zos.system.version").handler is answer
    assert routes.resolve("zos.system.dmi").handler is second


def test_middlewares_are_collected_on_the_way_also_when_nobody_answers() -> None:
    routes = Routes()
    routes.use(first)
    routes.subroute("zos").use(second)
    for command in ("zos.a", "zos.a.b", "zos."):
        route = routes.resolve(command)
        assert (route.middlewares, route.handler) == ((first, second), None)
    for command in ("", "zos", "other.a"):
        assert routes.resolve(command).middlewares == (first,)


def test_a_subroute_is_one_level_and_the_same_each_time() -> None:
    routes = Routes()
    assert routes.subroute("zos") is routes.subroute("zos")
    for name in ("", "a.b"):
        with pytest.raises(ValueError, match="one name segment"):
            routes.subroute(name)


def test_a_command_is_registered_once() -> None:
    routes = Routes()
    routes.handle("a", answer)
    with pytest.raises(ValueError, match="has a handler already"):
        routes.handle("a", answer)
    with pytest.raises(ValueError, match="has a name"):
        routes.handle("", answer)


def test_all_commands_are_listed_by_their_full_names() -> None:
    routes = Routes()
    routes.handle("ping", answer)
    routes.subroute("zos").handle("system.version", answer)
    routes.subroute("zos").subroute("admin").handle("interfaces", answer)
    assert sorted(routes.commands()) == ["ping", "zos.admin.interfaces", "zos.system.version"]
