"""What a TAB offers is what the command's parser takes."""

from __future__ import annotations

from typing import Any, List

import pytest

from addrspace_gdb.commands import arenas, heap, memstats, profile, regions, spans, whereis
from addrspace_gdb.commands.command import Command
from addrspace_gdb.debugger.shared.completing import offers

SESSION: Any = None  # those commands ask it for nothing


def offered(command: Command, *before: str) -> List[str]:
    return offers(command, SESSION, before)


@pytest.mark.parametrize("command", [arenas.COMMAND, heap.COMMAND, spans.COMMAND, regions.COMMAND])
def test_every_option_is_offered_that_help_tells_of(command: Command) -> None:
    told = {word.strip(",") for word in command.help.split() if word.startswith("--")}
    found = offered(command, "--")
    assert len(found) > 5
    assert told >= set(found) >= {word for word in told if f"  {word}" in command.help} - {"--help"}


def test_words_are_offered_where_they_are_arguments() -> None:
    assert "heap" in offered(profile.COMMAND, "h")
    assert offered(regions.COMMAND, "goroutine-s") == ["goroutine-stacks"]
    assert offered(memstats.COMMAND, "HeapAl") == ["HeapAlloc"]
    assert offered(whereis.COMMAND, "gor") == ["goroutine:"]


def test_what_only_follows_an_option_is_offered_there() -> None:
    assert offered(spans.COMMAND, "unsw") == []
    assert offered(spans.COMMAND, "--state", "unsw") == ["unswept"]
    assert offered(arenas.COMMAND, "obj") == []
    assert offered(arenas.COMMAND, "--use", "obj") == ["objects"]
