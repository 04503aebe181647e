"""Parameters of RPC methods, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfchain.devchain.rpc.errors import invalid_params


class Arguments:
    """Positional parameters; missing ones are None."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def raw(self, index: int) -> Any:
        return self._values[index] if index < len(self._values) else None

    def text(self, index: int, name: str) -> str:
        value = self.raw(index)
        if not isinstance(value, str):
            raise invalid_params(f"{name} has to be a text, not {value!r:.80}")
        return value

    def data(self, index: int, name: str) -> bytes:
        return as_bytes(self.raw(index), name)

    def optional_data(self, index: int, name: str) -> bytes | None:
        value = self.raw(index)
        return None if value is None else as_bytes(value, name)

    def data_list(self, index: int, name: str, most: int) -> list[bytes]:
        value = self.raw(index)
        if not isinstance(value, list) or len(value) > most:
            raise invalid_params(f"{name} has to be a list of at most {most}")
        return [as_bytes(each, name) for each in value]

    def number(self, index: int, name: str, default: int | None = None) -> int:
        value = self.raw(index)
        if value is None and default is not None:
            return default
        return as_number(value, name)


def as_bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        try:
            return bytes.fromhex(value.removeprefix("0x"))
        except ValueError:
            pass
    raise invalid_params(f"{name} has to be hex text, not {value!r:.80}")


def as_number(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        try:
            return int(value, 16) if value.startswith("0x") else int(value)
        except ValueError:
            pass
    raise invalid_params(f"{name} has to be a number, not {value!r:.80}")


def hex_of(data: bytes | None) -> str | None:
    return None if data is None else "0x" + data.hex()
