"""Log entries, batches and facts as MessagePack values between peers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oio.naming import BaseName
from oio.service import status
from oio.service.replica import Entry, Facts, Prepare, Promise
from oio.service.rpc import Arguments
from oio.service.status import ServiceError


def base_name(args: Arguments) -> BaseName:
    """The base that a call is about; ServiceError 400 when its name could leave the volume."""
    try:
        return BaseName(args.text("type"), args.text("name")).checked()
    except ValueError as error:
        raise ServiceError(status.BAD_REQUEST, str(error)) from error


def pack_entries(entries: tuple[Entry, ...] | list[Entry]) -> list[list[Any]]:
    """Entries as lists."""
    return [[e.seq, e.epoch, e.change, None if e.peers is None else sorted(e.peers)] for e in entries]


def unpack_entries(rows: Any) -> tuple[Entry, ...]:
    """Entries from lists; ServiceError 400 when they are malformed."""
    try:
        return tuple(
            Entry(int(seq), int(epoch), bytes(change), None if peers is None else frozenset(map(str, peers)))
            for seq, epoch, change, peers in rows
        )
    except (TypeError, ValueError) as error:
        raise ServiceError(status.BAD_REQUEST, f"Invalid entries: {error}") from error


def pack_prepare(message: Prepare) -> dict[str, Any]:
    """A batch as a map."""
    return {
        "token": message.token,
        "prev_seq": message.prev_seq,
        "prev_epoch": message.prev_epoch,
        "entries": pack_entries(message.entries),
        "committed": message.committed,
    }


def unpack_prepare(args: Arguments) -> Prepare:
    """A batch from a map."""
    return Prepare(
        args.number("token"),
        args.number("prev_seq"),
        args.number("prev_epoch"),
        unpack_entries(args.raw("entries")),
        args.number("committed"),
    )


def pack_facts(facts: Facts) -> list[int]:
    """Facts as a list."""
    return [facts.promised, facts.committed, facts.last_seq, facts.last_epoch]


def unpack_facts(row: Any) -> Facts:
    """Facts from a list; ServiceError 500 when a peer answers something else."""
    try:
        promised, committed, last_seq, last_epoch = map(int, row)
    except (TypeError, ValueError) as error:
        raise ServiceError(500, f"a peer answered {row!r} instead of its facts") from error
    return Facts(promised, committed, last_seq, last_epoch)


def pack_promise(promise: Promise) -> dict[str, Any]:
    """A promise as a map."""
    return {"facts": pack_facts(promise.facts), "configs": [sorted(peers) for peers in promise.configs]}


def unpack_promise(answer: Mapping[str, Any]) -> Promise:
    """A promise from a map."""
    return Promise(
        unpack_facts(answer["facts"]), tuple(frozenset(map(str, peers)) for peers in answer["configs"])
    )
