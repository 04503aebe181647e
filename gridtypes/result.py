"""What became of a workload on its node."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Final

from gridtypes.kinds import RAW, TEXT, TIMESTAMP, Word
from gridtypes.record import Record, member, record

OK_STATES: Final = ("ok", "paused")


class ResultState(StrEnum):
    """State of a workload.  A result may carry a word that nobody knows; see `of`."""

    UNSET = ""
    """Never processed; only in what clients send."""
    INIT = "init"
    """Stored, not processed yet."""
    OK = "ok"
    ERROR = "error"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    """An update was refused without harm; only in the list of changes."""
    PAUSED = "paused"

    @classmethod
    def of(cls, text: str) -> ResultState:
        """The state with this text; for an unknown text a stand-in that equals no other."""
        try:
            return cls(text)
        except ValueError:
            stranger = str.__new__(cls, text)
            stranger._name_ = stranger._value_ = text
            return stranger


@record
class Result(Record):
    """State of a workload, set by the node; never hashed."""

    created: int = member(TIMESTAMP)
    """Unix seconds at which the state was reached."""
    state: ResultState = member(Word(ResultState.of))
    message: str = member(TEXT)
    """Why, when the state is `error` or `unchanged`."""
    data: bytes = member(RAW)
    """JSON of the result data of the type, see `results`; empty or `null` when there are none."""

    @property
    def is_nil(self) -> bool:
        """Never set.  The message is not looked at."""
        return self.state == "" and self.created == 0 and self.data in (b"", b"null")

    @property
    def is_okay(self) -> bool:
        return self.state in OK_STATES

    def check(self) -> None:
        """Raises ValueError with the text that every node gives."""
        if self.created == 0:
            raise ValueError("created time must be set")
        if self.state == "" or self.state not in ResultState._value2member_map_:
            raise ValueError("invalid result state")

    def as_bytes(self) -> bytes:
        """State, message and data one after another, as `Result.Bytes` of the Go package."""
        return self.state.encode() + self.message.encode() + self.data

    def failed(self, message: str) -> Result:
        """A copy in state `error`; time and data stay."""
        return replace(self, state=ResultState.ERROR, message=message)
