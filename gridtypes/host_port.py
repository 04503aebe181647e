"""Go's `net.SplitHostPort`."""

from __future__ import annotations


def split_host_port(text: str) -> tuple[str, str]:
    """`host:port` or `[host]:port`.  Raises ValueError with Go's text."""
    try:
        return _split(text)
    except ValueError as error:
        raise ValueError(f"address {text}: {error}" if text else str(error)) from None


def _split(text: str) -> tuple[str, str]:
    last_colon = text.rfind(":")
    if last_colon < 0:
        raise ValueError("missing port in address")
    opening_from = closing_from = 0
    if text.startswith("["):
        closing = text.find("]")
        if closing < 0:
            raise ValueError("missing ']' in address")
        if closing + 1 == len(text):
            raise ValueError("missing port in address")
        if closing + 1 != last_colon:
            if text[closing + 1] == ":":
                raise ValueError("too many colons in address")
            raise ValueError("missing port in address")
        host = text[1:closing]
        opening_from, closing_from = 1, closing + 1
    else:
        host = text[:last_colon]
        if ":" in host:
            raise ValueError("too many colons in address")
    if "[" in text[opening_from:]:
        raise ValueError("unexpected '[' in address")
    if "]" in text[closing_from:]:
        raise ValueError("unexpected ']' in address")
    return host, text[last_colon + 1 :]
