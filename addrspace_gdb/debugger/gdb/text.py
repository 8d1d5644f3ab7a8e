"""gdb's own texts as Python's: they have names from files and from the process, which need not be UTF-8."""

from __future__ import annotations

from typing import Callable

import gdb


def text_of(get: Callable[[], str]) -> str:
    """What `get`, one call of gdb's, returns. gdb (12 to 18) decodes its texts as UTF-8 or by the locale, and
    where it cannot there is an exception that has the bytes: others come as surrogates (surrogateescape)."""
    try:
        return get()
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "surrogateescape")


def output_of(command: str) -> str:
    """What a command of gdb prints, see `text_of`. Raises gdb.error."""
    return text_of(lambda: gdb.execute(command, to_string=True))
