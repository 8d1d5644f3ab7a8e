"""Progress of a long reading: silent for the first second, then one line that is rewritten in place."""

from __future__ import annotations

import time
from typing import Callable, Optional

_QUIET = 1.0  # seconds
_EVERY = 0.2


class Progress:
    """Tells `show` what is being done; an empty text clears the line. Without `show` it is silent."""

    def __init__(self, show: Optional[Callable[[str], None]] = None) -> None:
        self._show = show
        self._next = time.monotonic() + _QUIET
        self._shown = False

    def step(self, what: str, done: int = 0, of: int = 0) -> None:
        """`what` is being read: `done` of `of` items, where these are known."""
        if self._show is None:
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY
        self._shown = True
        self._show(f"reading {what}" + (f" {100 * done // of}%" if of else "") + " ...")

    def finish(self) -> None:
        """Take the line away."""
        if self._shown and self._show is not None:
            self._show("")
        self._shown = False
