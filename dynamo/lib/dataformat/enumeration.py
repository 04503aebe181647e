"""Words that are numbers in memory: statuses, types and levels."""

from __future__ import annotations

from typing import Any

from dynamo.dataformat.exceptions import ObjectError


class Enumeration:
    """A fixed list of words, numbered from 1.

    The converters `val` and `name` pass on what they do not know, as scripts expect of them; `check` refuses it.
    """

    __slots__ = ("_names", "_values", "subject")

    def __init__(self, subject: str, *names: str) -> None:
        self.subject = subject
        self._names = names
        self._values = {name.lower(): value for value, name in enumerate(names, 1)}

    @property
    def names(self) -> tuple[str, ...]:
        """All words, in the order of their numbers."""
        return self._names

    def val(self, word: Any) -> Any:
        """Number of a word in any case; everything else comes back unchanged."""
        return self._values.get(word.lower(), word) if isinstance(word, str) else word

    def name(self, number: Any) -> Any:
        """Word of a number, the last one for 0; everything else comes back unchanged."""
        known = type(number) is int and 0 <= number <= len(self._names)
        return self._names[number - 1] if known else number

    def check(self, value: int | str) -> int:
        """Number of a word or a number.  Raises ObjectError for what is neither."""
        number = self.val(value)
        if type(number) is int and 0 < number <= len(self._names):
            return number
        raise ObjectError(f"Unknown {self.subject} {value!r}; known are {', '.join(self._names)}")
