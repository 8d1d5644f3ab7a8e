"""The lldb implementation of `Target`: what the direct one reads, of a process or a core that lldb holds.

lldb gives registers, the selected thread, the signal and instructions. Memory is read from /proc/PID/mem or
the core's file, symbols and layouts come from the program's file and the tables: reading through lldb's API
takes 5 to 25 times as long, its list of regions lacks those without permissions, and it has no types of Go.
"""

from __future__ import annotations

import os
import struct
import sys
from functools import cached_property
from typing import Any, Dict, List, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.direct.base import DirectTarget, Stopped
from addrspace_gdb.debugger.direct.core_file import CoreTarget
from addrspace_gdb.debugger.direct.objects import Objects
from addrspace_gdb.debugger.direct.of_process import ProcessTarget
from addrspace_gdb.debugger.lldb.api import (
    instruction_at,
    is_running,
    is_stopped,
    path_of,
    registers_of,
    siginfo_of,
    threads_of,
)
from addrspace_gdb.debugger.lldb.hints import LLDB
from addrspace_gdb.debugger.lldb.made_up import FIRST, STATE
from addrspace_gdb.process.corenotes import siginfo
from addrspace_gdb.process.elf import elf_type
from addrspace_gdb.process.kept_memory import KeptMemory
from addrspace_gdb.process.process_memory import ProcessMemory
from addrspace_gdb.process.registers import RegisterSet
from addrspace_gdb.shell.vetting import recorded_program
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.protocol import StopSignal, Thread

_NO_PROCESS = (
    "no process: `process launch` or `process attach` to one, or open a core file "
    "(`target create --core FILE`; for a compressed one, in the shell: addrspace-gdb dump FILE)"
)
_ELF_CORE = 4  # ET_CORE


class _Asked(Stopped):
    """A thread whose registers lldb is asked for when somebody wants them."""

    def __init__(self, thread: Any, names: Optional[RegisterSet]) -> None:
        super().__init__(int(thread.GetThreadID()), b"", None, names, "little")
        self._thread = thread

    @cached_property
    def registers(self) -> Dict[str, int]:
        """By the kernel's names of them."""
        return registers_of(self._thread, self._names.names if self._names is not None else ())


class _Held(DirectTarget):
    """What a process and a core have in common here: the threads are lldb's, by its numbers."""

    _sb: Any  # the SBProcess

    @cached_property
    def _listed(self) -> Dict[int, int]:
        """lldb's number of each thread by its id, rising."""
        return {int(one.GetThreadID()): int(one.GetIndexID()) for one in threads_of(self._sb)}

    @cached_property
    def _chosen(self) -> int:
        """The id of the selected thread; 0 if there is none."""
        thread = self._sb.GetSelectedThread()
        return int(thread.GetThreadID()) if thread.IsValid() else 0

    def _load_objects(self) -> Objects:
        return _with_symbols(super()._load_objects(), self._sb.GetTarget())

    def threads(self) -> List[Thread]:
        """Every thread that can be read, under lldb's number of it."""
        if self._threads is None:
            at = {one.tid: one for one in self.stopped}
            known = [(number, at[tid]) for tid, number in self._listed.items() if tid in at]
            self._threads = [self.thread(number, one) for number, one in known]
        return self._threads

    @property
    def selected(self) -> Optional[Stopped]:
        """lldb's selected thread."""
        found = next((one for one in self.stopped if one.tid == self._chosen), None)
        return found or next(iter(self.stopped), None)

    def register(self, name: str) -> Optional[int]:
        """A register of what is selected."""
        return self._shown_register(name) if self._chosen >= FIRST else super().register(name)

    def _shown_register(self, name: str) -> Optional[int]:
        """One of the goroutine that is selected as a thread; None if it is not known."""
        shown = STATE.shown.get(self._chosen)
        if shown is None:
            return None
        pc, sp = shown.pcs[0], shown.sp
        known = {"pc": pc, "sp": sp, "rip": pc, "rsp": sp, "rbp": shown.bp or None}
        return known.get(name)

    def instruction(self, pc: int) -> Optional[str]:
        """One instruction."""
        return instruction_at(self._sb.GetTarget(), pc)


class LldbProcess(_Held, ProcessTarget):
    """A process of this machine that lldb holds."""

    def __init__(self, process: Any, keep: bool, hints: Hints) -> None:
        """`keep`: it is let go before all is worked out of what was read. ProblemError."""
        pid = int(process.GetProcessID())
        _check_is_here(pid)
        self._sb = process
        super().__init__(pid, _other_program(process.GetTarget(), pid), hints)
        self._process = ProcessMemory(pid, self._memory, keep)

    @property
    def kept(self) -> Optional[KeptMemory]:
        """What is kept of a process that is to be let go."""
        return self._process.kept

    def let_go(self) -> None:
        """It is about to run on; registers that nobody asked for are not known any more."""
        self._process.let_go()

    def _read_threads(self) -> List[Stopped]:
        self._process.check_held("a thread")
        return [_Asked(one, self.set) for one in threads_of(self._sb)]

    def signal(self) -> Optional[StopSignal]:
        """What the selected thread stopped for."""
        self._process.check_held("a signal")
        info = siginfo_of(self._sb.GetSelectedThread())
        if info is None:
            return None
        try:
            mips = self.arch.startswith("mips")
            return StopSignal(*siginfo(info, struct.calcsize("P"), sys.byteorder, mips))
        except struct.error:
            return None

    def instruction(self, pc: int) -> Optional[str]:
        """One instruction."""
        self._process.check_held("an instruction")
        return super().instruction(pc)


class LldbCore(_Held, CoreTarget):
    """A core file that lldb has open."""

    def __init__(
        self, process: Any, core: str, shown: Optional[str], program: Optional[str], hints: Hints
    ) -> None:
        """ProblemError if it is not a usable one."""
        self._sb = process
        super().__init__(core, program, "", shown, hints)


class Given:
    """What whoever started lldb knows of its one target: lldb may have the core by another name."""

    def __init__(
        self, core: Optional[str], shown: Optional[str], program: Optional[str], hints: Hints
    ) -> None:
        self.core, self.shown, self.program, self.hints = core, shown, program, hints


def open_target(process: Any, given: Optional[Given] = None, keep: bool = False) -> DirectTarget:
    """What lldb holds in `process`, which must stand still. ProblemError says in one line what is wrong."""
    if is_running(process):
        raise ProblemError("the process is running: stop it first (Ctrl-C or `process interrupt`)")
    if not is_stopped(process):
        raise ProblemError(_NO_PROCESS)
    hints = given.hints if given is not None else LLDB
    plugin = str(process.GetPluginName() or "")
    if "core" in plugin:
        return _opened_core(process, given, hints)
    if plugin != "gdb-remote":
        raise ProblemError(
            f"lldb's {printable(plugin)} is neither a process of this machine nor an ELF core file"
        )
    return LldbProcess(process, keep, hints)


def _opened_core(process: Any, given: Optional[Given], hints: Hints) -> LldbCore:
    if given is not None and given.core is not None:
        return LldbCore(process, given.core, given.shown, given.program, hints)
    core = core_of(process)
    if core is None:
        raise ProblemError(f"the debugger does not say which core file it has open; {hints.open_again}")
    program = path_of(process.GetTarget().GetExecutable())
    if program is None or _type(program) is None:
        program = recorded_program(core)
    return LldbCore(process, core, None, program, hints)


def core_of(process: Any) -> Optional[str]:
    """The path of the core file that is open; None if lldb does not say, and has not exactly one open."""
    told = path_of(process.GetCoreFile()) if hasattr(process, "GetCoreFile") else None
    if told is not None:
        return os.path.abspath(told)
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        names = {line.split(None, 5)[5].rstrip("\n") for line in file if len(line.split(None, 5)) == 6}
    cores = [name for name in names if name.startswith("/") and _type(name) == _ELF_CORE]
    return cores[0] if len(cores) == 1 else None


def _check_is_here(pid: int) -> None:
    """ProblemError if the process is another machine's: of ours the kernel says that it is traced."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            traced = any(
                line.split() != ["TracerPid:", "0"] for line in file if line.startswith("TracerPid:")
            )
    except OSError:
        traced = False
    if not traced:
        raise ProblemError(
            f"process {pid} is not one of this machine: run lldb where it is, or `process save-core` there"
        )


def _other_program(target: Any, pid: int) -> Optional[str]:
    """The program that lldb was given, if that is another file than the one that runs."""
    program = path_of(target.GetExecutable())
    try:
        if program is None or os.path.samefile(program, f"/proc/{pid}/exe"):
            return None
    except OSError:
        return None
    return program if _type(program) is not None else None


def _type(path: str) -> Optional[int]:
    """The type of an ELF file; None for anything else."""
    try:
        return elf_type(path)
    except ProblemError:
        return None


def _with_symbols(objects: Objects, target: Any) -> Objects:
    """The loaded files, the program's with the symbols that lldb was given for it (`target symbols add`)."""
    if objects.files:
        symbols = path_of(target.GetModuleAtIndex(0).GetSymbolFileSpec())
        if symbols is not None and not _same(symbols, objects.files[0].path):
            objects.files[0].take_symbols(symbols)
    return objects


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
