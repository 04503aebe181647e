"""What is asked of the web module of requests, from the options of a command line.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo.client.trees import WrongForm

Fields = list[tuple[str, str | int]]
Texts = Sequence[str] | None


def copy(items: Texts, sites: Texts, n: int | None = None, group: str | None = None) -> Fields:
    """Ask for `n` copies of datasets and blocks at sites.  Raises WrongForm without an item."""
    fields = delete(items, sites)
    return fields + [(name, value) for name, value in (("n", n), ("group", group)) if value is not None]


def delete(items: Texts, sites: Texts) -> Fields:
    """Ask for deletions of datasets and blocks at sites.  Raises WrongForm without an item."""
    if not items:
        raise WrongForm("Missing --dataset or --block.")
    return _lists(item=items, site=sites)


def pollcopy(
    number: int | None,
    items: Texts = None,
    sites: Texts = None,
    statuses: Texts = None,
    users: Texts = None,
) -> Fields:
    """Look at the request of a number, or at those that lists choose.  Raises WrongForm without any of both."""
    numbered: Fields = [("request_id", number)] if number else []
    fields = numbered + _lists(item=items, site=sites, status=statuses, user=users)
    if not fields:
        raise WrongForm("No selection specified")
    return fields


polldelete = pollcopy


def cancelcopy(number: int) -> dict[str, int]:
    """Take a request back."""
    return {"request_id": number}


def _lists(**lists: Texts) -> Fields:
    return [(f"{name}[]", text) for name, texts in lists.items() for text in texts or ()]
