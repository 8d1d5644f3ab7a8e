"""A target whose program has no symbols or no DWARF, made to answer as if it had both.

`with_runtime` wraps what the debugger offers. Where that knows the runtime's variables and types nothing
changes. Otherwise types come from the tables of `layouts`, and variables from `roots`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.buildinfo import read_string, version_of
from addrspace_gdb.goruntime.layouts import Layouts, known_minors, layouts_of
from addrspace_gdb.goruntime.mappers import MAPPERS, POINTED
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.stripped.checks import Shapes
from addrspace_gdb.goruntime.stripped.data_search import Scan
from addrspace_gdb.goruntime.stripped.mappers import find_mapper
from addrspace_gdb.goruntime.stripped.variables import PREFIX, Code, GoImage, Roots, find_go_images
from addrspace_gdb.process.mapping_list import list_mappings, open_core
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import (
    Auxiliary,
    DebugFiles,
    Expressions,
    Facts,
    FileMemory,
    FrameVariable,
    Kept,
    MapsFiles,
    Named,
    Names,
    ProcFiles,
    Stops,
    StopSignal,
    Symbol,
    Target,
    Thread,
    Value,
    kept_of,
)

_OURS = (PREFIX, "internal/runtime/", "internal/abi.", "internal/synctest.")
_MODULE = PREFIX + "firstmoduledata"
_VERSION = PREFIX + "buildVersion"
# Variables to which one function leads that refers to nothing else; only programs built with -race, and those
# up to Go 1.19 that can write a mutex profile, have it.
_ONLY = {
    PREFIX + "racedatastart": "raceinit",  # what it refers to first
    PREFIX + "mutexprofilerate": "runtime/pprof.scaleMutexProfile",
}
_BUBBLES = "internal/synctest.Run"  # only in programs under test
_MAPPERS = {POINTED.format(package): package for package in MAPPERS}
_SAME = 128  # bytes of the module data by which it is known again


@dataclass
class SettledCore:
    """Of a core, which does not change: what was looked for, also where nothing was found."""

    files: Tuple[object, ...] = ()  # the core and its program, as they were then
    nothing: bool = False  # there is no runtime in it
    version: Optional[str] = None  # by the code, where there is no build information
    layouts: Optional[str] = None  # the version by whose layouts the addresses were looked for
    addresses: Dict[str, Optional[int]] = field(default_factory=dict)


@dataclass
class Findings:
    """What was found in one inferior. Who makes targets keeps it, so that the next need not search."""

    pid: Optional[int] = None
    image: Optional[GoImage] = None
    begins: bytes = b""  # of the module data
    addresses: Dict[str, int] = field(default_factory=dict)
    settled: SettledCore = field(default_factory=SettledCore)

    def unsettle(self) -> None:
        """What the debugger knows of the program is no longer the same: look for everything again."""
        self.settled = SettledCore()


def with_runtime(base: Target, findings: Optional[Findings] = None) -> Target:
    """`base` itself if the debugger has the program's symbols and DWARF, else a target that does without."""
    has_symbols = base.symbol("runtime.mheap_") is not None
    if has_symbols and base.type("runtime.mspan") is not None:
        return base
    return StrippedTarget(base, has_symbols, findings or Findings())


class StrippedTarget:
    """The target `base`, with what the runtime's own tables say in place of symbols and DWARF."""

    def __init__(self, base: Target, has_symbols: bool, findings: Findings) -> None:
        self._base, self._has_symbols, self._findings = base, has_symbols, findings
        self.kind, self.pid, self.executable = base.kind, base.pid, base.executable
        self.core_file, self.arch = base.core_file, base.arch
        self.hints = base.hints
        self.pointer_size, self.byte_order = base.pointer_size, base.byte_order
        self.layouts: Optional[Layouts] = None
        self._guessed = False
        self._build_version: Optional[str] = None
        self._is_go = has_symbols
        self._opened = False
        self._image: Optional[GoImage] = None
        self._version = ""  # by which the layouts were chosen
        self._roots: Optional[Roots] = None
        self._symbols: Dict[str, Optional[Symbol]] = {}

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes at `address`."""
        return self._base.read(address, size)

    def threads(self) -> List[Thread]:
        """Every thread."""
        return self._base.threads()

    @property
    def facts(self) -> Facts:
        """The debugger's, with what was found in memory."""
        return self._base.facts._replace(
            is_go=self._is_go, build_version=self._build_version, guessed=self._guessed
        )

    def proc_files(self) -> Optional[ProcFiles]:
        """/proc/PID of the target where it can be had."""
        return self._base.proc_files()

    def file_backed(self) -> Optional[FileMemory]:
        """What it has mapped of files, where that can be read from them."""
        return self._base.file_backed() if isinstance(self._base, MapsFiles) else None

    @property
    def kept(self) -> Optional[Kept]:
        """What is kept of a process that is to be let go."""
        return kept_of(self._base)

    def evaluate(self, expression: str) -> int:
        """An address from an expression in the debugger's own syntax."""
        return self._base.evaluate(expression)

    def values(self, expression: str) -> List[Value]:
        """Every address that `expression` comes to."""
        if isinstance(self._base, Expressions):
            return self._base.values(expression)
        return [Value(expression, self._base.evaluate(expression))]

    def names_at(self, addresses: Sequence[int]) -> List[Optional[Named]]:
        """The symbol that holds each address, as far as there are any."""
        return self._base.names_at(addresses) if isinstance(self._base, Names) else [None] * len(addresses)

    def frame_variables(self, pc: int) -> List[FrameVariable]:
        """Variables in the frame of the function at `pc`: C's may have debug information."""
        return self._base.frame_variables(pc) if isinstance(self._base, Names) else []

    def debug_file(self, address: int) -> Optional[str]:
        """Where the debug information is of what lies at an address."""
        return self._base.debug_file(address) if isinstance(self._base, DebugFiles) else None

    def signal(self) -> Optional[StopSignal]:
        """The signal of the selected thread."""
        return self._base.signal() if isinstance(self._base, Stops) else None

    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector."""
        return self._base.auxv() if isinstance(self._base, Auxiliary) else {}

    def instruction(self, pc: int) -> Optional[str]:
        """The instruction at `pc`."""
        return self._base.instruction(pc) if isinstance(self._base, Stops) else None

    def register(self, name: str) -> Optional[int]:
        """A register of the selected thread's innermost frame."""
        return self._base.register(name) if isinstance(self._base, Stops) else None

    def type(self, name: str) -> Optional[Type]:
        """A type of the runtime from its version's table; others as the debugger knows them."""
        if not name.startswith(_OURS):
            return self._base.type(name)
        self._open()
        return self.layouts.type(name) if self.layouts is not None else None

    def symbol(self, name: str) -> Optional[Symbol]:
        """A variable of the runtime with its layout; others as the debugger knows them."""
        if not name.startswith(_OURS) and name not in _MAPPERS:
            return self._base.symbol(name)
        if name not in self._symbols:
            self._symbols[name] = None
            self._symbols[name] = self._find(name)
        return self._symbols[name]

    def prepare(self) -> None:
        """Look up everything that does not change, before the process is made to stand still."""
        self._open()
        if self.layouts is None:
            return
        self.layouts.load()
        if self._has_symbols:
            for name in self.layouts.names[1]:
                self.symbol(name)

    def _find(self, name: str) -> Optional[Symbol]:
        self._open()
        type_ = self.layouts.variable(name) if self.layouts is not None else None
        if name in _MAPPERS:
            address = self._mapper(_MAPPERS[name])
        elif self._has_symbols:
            known = self._base.symbol(name)
            address = known.address if known is not None else None
        elif name == _MODULE:
            address = self._image.module if self._image is not None else None
        elif name == _VERSION and self._build_version is not None:
            return None  # the build information has said it
        elif name == _BUBBLES:
            self._address("mheap_")
            address = self._roots.entry(_BUBBLES) if self._roots is not None else None
        elif name in _ONLY:
            address = self._only(_ONLY[name])
        else:
            address = self._address(name[len(PREFIX) :]) if name.startswith(PREFIX) else None
        if address is None:
            return None
        return Symbol(name, address, type_.size if type_ is not None else 0, type_)

    def _open(self) -> None:
        """Find the runtime's image, its version and so the layouts."""
        if self._opened:
            return
        self._opened = True
        if self._has_symbols:
            self._use(version_of(self._base))
            return
        files = self._files()
        if not files or self._findings.settled.files != files:
            self._findings.settled = SettledCore(files)
        if self._findings.settled.nothing:
            return
        self._image = self._known_image() or next(iter(find_go_images(self._base, self._mappings())), None)
        if self._image is None:
            self._findings.settled.nothing = bool(files)
            return
        self._is_go = True
        info = self._image.info
        if info is not None:
            self._build_version = info.version
            self._use(info.version)
        else:
            self._use_code_for_version()
        self._remember(self._image)

    def _files(self) -> Tuple[object, ...]:
        """What tells a core and its program from others; empty for a process, which may change."""
        if self.kind != "core" or self.core_file is None:
            return ()
        known: List[object] = [self.core_file, self.executable]
        for path in (self.core_file, self.executable):
            try:
                status = os.stat(path or "")
            except (OSError, ValueError):
                continue
            known.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(known)

    def _use(self, version: Optional[str]) -> None:
        self._version = version or ""
        self.layouts, self._guessed = layouts_of(self._version, self.arch)
        self._roots, self._symbols = None, {}

    def _use_code_for_version(self) -> None:
        """No build information (some build tools leave it out): what runtime.buildVersion says, to which one
        release's module data or another's leads."""
        if self._findings.settled.version is not None:
            self._build_version = self._findings.settled.version
            self._use(self._build_version)
            return
        for minor in reversed(known_minors()):
            self._use(f"go1.{minor}")
            address = self._address(_VERSION[len(PREFIX) :])
            version = read_string(self._base, address) if address is not None else None
            if version is not None:
                self._build_version = version
                if self._findings.settled.files:
                    self._findings.settled.version = version
                self._use(version)
                return
        self.layouts = None

    def _mappings(self) -> List[Mapping]:
        core = open_core(self)
        try:
            return list_mappings(self, core).mappings
        except ProblemError:
            return []

    def _known_image(self) -> Optional[GoImage]:
        """The image that was found before, if it is still there."""
        kept = self._findings
        if kept.image is None or kept.pid != self.pid:
            return None
        return kept.image if self._begins(kept.image) == kept.begins else None

    def _begins(self, image: GoImage) -> bytes:
        try:
            return self.read(image.module, _SAME)
        except UnreadableError:
            return b""

    def _remember(self, image: GoImage) -> None:
        kept = self._findings
        if kept.image != image or kept.pid != self.pid:
            kept.addresses = {}
        kept.pid, kept.image, kept.begins = self.pid, image, self._begins(image)

    def _settled(self) -> Dict[str, Optional[int]]:
        """Addresses that were looked for in this very core, None where one was not found."""
        settled = self._findings.settled
        if not settled.files:
            return {}
        if settled.layouts != self._version:
            settled.layouts, settled.addresses = self._version, {}
        return settled.addresses

    def _only(self, function: str) -> Optional[int]:
        """What the one function refers to first."""
        self._address("mheap_")
        referred = self._roots.refers(function) if self._roots is not None else []
        return referred[0] if referred else None

    def _mapper(self, package: str) -> Optional[int]:
        if not self._has_symbols:
            self._address("mheap_")
        return find_mapper(self, self._roots, package) if self._roots is not None else None

    def _address(self, name: str) -> Optional[int]:
        if self._roots is None:
            problems = Problems()
            found = modules(self, problems)
            if not found or self.layouts is None:
                return None
            runtime, layouts = Runtime(self, problems), self.layouts
            shapes = Shapes(runtime, self._address, lambda n: layouts.variable(PREFIX + n))
            code, before = Code(self._base, found[0]), self._findings.addresses
            scan = Scan(runtime, found[0], layouts, self._address).candidates if not code.readable else None
            self._roots = Roots(code, layouts, shapes.verify, before, scan, self._settled())
        return self._roots.address(name)
