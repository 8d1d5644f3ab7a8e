"""For the tests of `goroutine` and `goroutine-apply`: runs gdb, and reads what these print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from harness.build import Binary
from harness.debuggers import Gdb
from harness.dumps import Frame, Goroutine
from harness.gdbrun import Result, Scene, run_gdb
from harness.scenes import launch_to_breakpoint

_HEADER = re.compile(r"Goroutine (\d+) \[(.*?)\](?: \(thread (\d+), LWP \d+\))?:")
FRAME = re.compile(r"#(\d+) +(?:0x[0-9a-f]+ in )?(.+?) \(.*\)(?: at (.+):(\d+))?(?: from .+)?")
RUNNING = ("running", "syscall", "runnable")


class Shown(NamedTuple):
    """A frame as gdb prints it."""

    level: int
    function: str
    file: str
    line: int


class Section(NamedTuple):
    """What stands under one goroutine's header."""

    state: str
    thread: Optional[int]
    frames: List[Shown]


ALL = "goroutine-apply all bt -frame-arguments none"

# Selects the goroutine that has the function on its stack.
FIND = "python gdb.set_convenience_variable('it', int(re.search(r'Goroutine (\\d+)', gdb.execute(\
'goroutine-apply function:{} bt 1', to_string=True)).group(1)))"


def sections(text: str) -> Dict[int, Section]:
    """The output of `goroutine-apply ... bt` by goid."""
    found: Dict[int, Section] = {}
    current: Optional[Section] = None
    for line in text.splitlines():
        header, frame = _HEADER.fullmatch(line), FRAME.fullmatch(line)
        if header:
            goid, state, thread = header.groups()
            assert int(goid) not in found, "a goroutine twice"
            current = found[int(goid)] = Section(state, int(thread) if thread else None, [])
        elif frame and current is not None:
            level, function, file, number = frame.groups()
            current.frames.append(Shown(int(level), function, file or "", int(number or 0)))
    return found


def between(text: str, mark: str) -> str:
    """What one of the `marked` commands printed."""
    return text.split(f"<{mark}>\n", 1)[1].split("\n<>", 1)[0].rstrip("\n")


def marked(**commands: str) -> List[str]:
    """Commands with a mark before and after each."""
    return [
        line
        for name, command in commands.items()
        for line in (f"echo \\n<{name}>\\n", command, "echo \\n<>\\n")
    ]


def common(function: str) -> str:
    """A function's name in the one form that Go's dump and DWARF can both be brought to."""
    function = "runtime.gopanic" if function == "panic" else function
    # gdb falls back on the ELF symbol below an asynchronous preemption, and demangles it like this.
    function = re.sub(r"^main\[(\w+)\]$", r"main.\1", function)
    return re.sub(r"\[.*\]", "[...]", function)


def missing(dumped: Sequence[Frame], shown: Sequence[Shown]) -> Optional[Frame]:
    """The first frame of the dump that does not follow in gdb's list; None if it holds all, in this order."""
    rest = iter([(common(f.function), f.file, f.line) for f in shown])
    for frame in dumped:
        if (common(frame.function), frame.file, frame.line) not in rest:
            return frame
    return None


def compare(text: str, dump: List[Goroutine]) -> int:
    """Assert that every parked goroutine of the dump has the dump's frames; how many frames those were."""
    found, frames = sections(text), 0
    for goroutine in dump:
        section = found[goroutine.goid]
        if goroutine.status in RUNNING:
            continue
        lost = missing(goroutine.frames, section.frames)
        assert lost is None, (goroutine.goid, lost, section.frames)
        assert section.state.replace(" (scan)", "") == goroutine.status
        assert section.thread is None
        assert [f.level for f in section.frames] == list(range(1, len(section.frames) + 1))
        frames += len(goroutine.frames)
    return frames


def stopped(binary: Binary, folder: Path) -> Scene:
    """The program `shapes` at its breakpoint, the goid of a parked goroutine in $it."""
    scene = launch_to_breakpoint(binary, folder / "oracle", "quiet")
    return scene._replace(enter=[*scene.enter, *find("runtime.forcegchelper")])


def look(gdb: Gdb, scene: Scene, *commands: str, env: Optional[Dict[str, str]] = None) -> Result:
    """Run with this project loaded; no command may end in a Python traceback."""
    run = run_gdb(gdb, commands, scene, load=True, env=env)
    assert "Traceback" not in run.stdout + run.stderr, run.stdout + run.stderr
    assert "Error occurred in Python" not in run.stderr, run.stderr
    assert "Couldn't restore" not in run.stdout + run.stderr, run.stdout + run.stderr
    return run


def find(function: str) -> List[str]:
    """Commands that put the goid of the goroutine with this function on its stack into $it."""
    return ["python import re", FIND.format(function.replace(".", "[.]").replace("(", "[(]") + "$")]
