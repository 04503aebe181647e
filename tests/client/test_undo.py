"""What was made is taken back, last thing first."""

from __future__ import annotations

from client.undo import NothingToUndo, Undo, UndoStep


def _undo(log: list[str], problems: dict[str, Exception]) -> Undo:
    undo = Undo()
    for name in ("first", "second", "third"):

        async def act(name: str = name) -> None:
            log.append(name)
            if name in problems:
                raise problems[name]

        undo.note(UndoStep(name, f"do {name} by hand", act))
    return undo


async def test_steps_are_undone_in_reverse() -> None:
    log: list[str] = []
    assert await _undo(log, {}).run() == (["third", "second", "first"], [])
    assert log == ["third", "second", "first"]


async def test_one_that_fails_does_not_keep_the_others() -> None:
    undone, left = await _undo([], {"second": OSError("no way")}).run()
    assert undone == ["third", "first"]
    assert left == ["second (no way): do second by hand"]


async def test_a_failure_without_text_is_named_by_its_kind() -> None:
    _, left = await _undo([], {"second": TimeoutError()}).run()
    assert left == ["second (TimeoutError): do second by hand"]


async def test_what_was_never_made_is_not_mentioned() -> None:
    assert await _undo([], {"third": NothingToUndo()}).run() == (["second", "first"], [])


async def test_nothing_is_undone_twice() -> None:
    log: list[str] = []
    undo = _undo(log, {})
    await undo.run()
    assert await undo.run() == ([], [])
    assert len(log) == 3
