"""Every view of a real program fits the width it is given, from 72 columns up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

import pytest
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain

from addrspace_gdb.views.kit.text import cells

EACH_ONCE = True  # not every combination: tests/conftest.py
WIDTHS = (72, 80, 100)
SHOWN = [
    *("addrspace", "addrspace --classic", "addrspace --check", "addrspace regions", "addrspace regions free"),
    *(
        "addrspace regions --summary",
        "addrspace rss",
        "addrspace rss --reconcile",
        "addrspace rss --by-class",
    ),
    *("addrspace memstats", "addrspace memstats BySize PauseNs", "addrspace gc", "addrspace heap"),
    *("addrspace heap --sizes", "addrspace heap --large", "addrspace heap --free", "addrspace heap --map"),
    *("addrspace arenas", "addrspace spans --limit 30", "addrspace spans runtime.allgptr"),
    *("addrspace types", "addrspace types --by package", "addrspace types --by kind", "addrspace retained"),
    *("addrspace retained --depth 3", "addrspace whereis $pc $sp &main.Oracle 0x28 goroutine:1"),
    *("addrspace whereis *(void**)$sp@40", "addrspace fault", "addrspace profile heap"),
    *(
        "addrspace profile stacks",
        "addrspace profile goroutine",
        "goroutine-stacks",
        "goroutine-stacks --dead",
    ),
    *(
        "goroutine-stacks --status waiting",
        "goroutine-stacks --system",
        "goroutine-stacks --leaked",
        "goroutine-stacks --frames 4",
    ),
    *(
        "goroutine-stacks --group stack",
        "goroutine-stacks --group function",
        "goroutine-stacks --group status",
    ),
    *("goroutine-stacks --group created-by", "goroutine-stacks --by-frame", "goroutine-stacks --threads"),
    *("addrspace holders runtime.allgptr", "addrspace whereis --graph goroutine:1"),
    *("addrspace snapshot one", "addrspace snapshot", "addrspace diff one", "addrspace compare 1 1"),
]
# What a program may have nothing of: an error, or no line.
SILENT = ("addrspace fault", "addrspace heap --large", "goroutine-stacks --status waiting")


@pytest.mark.parametrize("name", ["shapes", "foreign"])
def test_every_view_at_every_width(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, oracle_file: Path, name: str
) -> None:
    scene = launch_to_breakpoint(build_program(name, newest_go), oracle_file)
    asked = [f"{shown} --width {width}" for width in WIDTHS for shown in SHOWN]
    lines: List[str] = [line for one in asked for line in (f"echo @@@ {one}\\n", one)]
    run = run_gdb(gdb_exe, lines, scene, load=True)
    parts = re.split(r"^@@@ (.*)$", run.stdout, flags=re.MULTILINE)[1:]
    answers = dict(zip(parts[::2], parts[1::2]))
    assert list(answers) == asked
    wide = [
        (command, cells(line), line)
        for command, text in answers.items()
        for line in text.splitlines()
        if cells(line) > int(command.rpartition(" ")[2])
    ]
    assert wide == [], "\n".join(map(str, wide[:70]))
    empty = [command for command, text in answers.items() if not text.strip()]
    assert all(command.startswith(SILENT) for command in empty), (empty, run.stderr)
