"""A large JSON object read member by member, and the lists in it item by item: never the whole at once."""

from __future__ import annotations

import codecs
import json
import re
import sys
from typing import IO, Any, Iterator, NoReturn, Tuple, Union

MAX_VALUE = 32 << 20  # characters of one item: a million goroutines in one list are 12 MB
_CHUNK = 1 << 20  # bytes that are read at once
_SPACE, _COMMA = re.compile(r"[ \t\n\r]*"), re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_LONGEST_INT = 4300  # digits; as Python itself has it since 3.11 (and in later 3.9 and 3.10)


class NotAnObjectError(Exception):
    """The text is JSON, but no object."""


class Items:
    """A list, to be gone through once, before anything else of the object is asked for."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return self._items


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")


def _int(digits: str) -> int:
    if len(digits) > _LONGEST_INT:  # the time goes with the square
        raise ValueError("a number of too many digits")
    return int(digits)


class JsonStream:
    """Raises ValueError (or RecursionError) where the text is not JSON, and OSError."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text, self._at, self._before, self._ended = "", 0, 0, False
        own = None if hasattr(sys, "get_int_max_str_digits") else _int
        self._decoder = json.JSONDecoder(parse_constant=_refuse, parse_int=own)

    def members(self) -> Iterator[Tuple[str, Union[Any, Items]]]:
        """Each key and its value; a list comes as Items. NotAnObjectError if there are none to come."""
        if self._next() != "{":
            self._value()
            raise NotAnObjectError
        for _ in self._each("}"):
            key = self._value()
            if not isinstance(key, str):
                self._wrong("a key is no text")
            if self._next() != ":":
                self._wrong("no colon behind a key")
            self._at += 1
            if self._next() == "[":
                items = self._items()
                yield key, Items(items)
                for _ in items:
                    pass
            else:
                yield key, self._value()
        if self._next():
            self._wrong("more follows behind the object")

    def _items(self) -> Iterator[Any]:
        for _ in self._each("]"):
            yield self._value()
            while True:  # millions of items: the usual, without a call for each sign
                comma = _COMMA.match(self._text, self._at)
                if comma is None or comma.end() == len(self._text):
                    break
                self._at = comma.end()
                yield self._scan()

    def _each(self, end: str) -> Iterator[None]:
        """Stops before each item of what begins here, and behind `end`."""
        self._at += 1
        if self._next() == end:
            self._at += 1
            return
        while True:
            yield
            found = self._next()
            if found not in (",", end):
                self._wrong(f"neither a comma nor {end}")
            self._at += 1
            if found == end:
                return

    def _next(self) -> str:
        """The next character that is no blank, which stays; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def _value(self) -> Any:
        self._next()
        return self._scan()

    def _scan(self) -> Any:
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if end + 2 < len(self._text) or self._ended:  # else a number may go on: 1e+
                    self._at = end
                    return value
            except json.JSONDecodeError as error:
                if self._ended:
                    raise ValueError(f"{error.msg} (character {self._before + error.pos:,})") from None
            if len(self._text) - self._at > MAX_VALUE:
                self._wrong(f"a value of more than {MAX_VALUE >> 20} MiB")
            self._more()

    def _more(self) -> None:
        """Read on, twice as far each time if nothing of it could be used."""
        rest = self._text[self._at :]
        self._before += self._at
        data = self._file.read(max(_CHUNK, len(rest)))
        self._ended = not data
        self._text, self._at = rest + self._decode(data, final=self._ended), 0

    def _wrong(self, reason: str) -> NoReturn:
        raise ValueError(f"{reason} (character {self._before + self._at:,})")
