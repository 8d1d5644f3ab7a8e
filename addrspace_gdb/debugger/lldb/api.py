"""lldb's objects in the few ways in which they are asked here; what lldb does not have is None."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Sequence

import lldb

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.lldb.made_up import FIRST

_PATIENCE = 2.0  # seconds that lldb may take to handle an event
# lldb's names of registers that the kernel's layouts call otherwise.
_NAMES = {"eflags": "rflags"}


def version() -> int:
    """lldb's major version; 0 where it does not say."""
    words = str(lldb.SBDebugger.GetVersionString()).split()
    number = words[2].partition(".")[0] if len(words) > 2 and words[:2] == ["lldb", "version"] else ""
    return int(number) if number.isdecimal() else 0


def answer_of(command: str, debugger: Any, thread: Any = None) -> str:
    """What a command of lldb answers, in the innermost frame of `thread` if one is given; it is not kept as
    one that was typed. ProblemError if it fails."""
    answer = lldb.SBCommandReturnObject()
    where = () if thread is None else (lldb.SBExecutionContext(thread.GetFrameAtIndex(0)),)
    debugger.GetCommandInterpreter().HandleCommand(command, *where, answer, False)
    if not answer.Succeeded():
        raise ProblemError(f"lldb says: {printable(_one_line(answer.GetError()))}")
    return str(answer.GetOutput() or "")


def _one_line(text: Any) -> str:
    return " ".join(str(text or "").removeprefix("error: ").split())


def drop_thread_events(debugger: Any) -> None:
    """Take what was told of threads off what lldb is about to handle."""
    listener, event = debugger.GetListener(), lldb.SBEvent()
    while listener.PeekAtNextEvent(event) and lldb.SBThread.EventIsThreadEvent(event):
        if listener.GetNextEvent(event) and not lldb.SBThread.EventIsThreadEvent(event):
            listener.AddEvent(event)  # lldb was quicker: this one came behind
            break


def handled(debugger: Any) -> None:
    """Wait until lldb has handled what was told it, so that what it prints of that comes first."""
    listener, event = debugger.GetListener(), lldb.SBEvent()
    listener.AddEvent(lldb.SBEvent(0, ""))  # nobody's: once it is gone, all before it are done
    until = time.monotonic() + _PATIENCE
    while listener.PeekAtNextEvent(event) and time.monotonic() < until:
        time.sleep(0.005)


def path_of(file: Any) -> Optional[str]:
    """The path that an SBFileSpec has."""
    found = file.fullpath if file is not None and file.IsValid() else None
    return str(found) if found else None


def is_stopped(process: Any) -> bool:
    """Whether there is a process, or a core, that stands still."""
    return bool(process.IsValid()) and process.GetState() in (
        lldb.eStateStopped,
        lldb.eStateCrashed,
        lldb.eStateSuspended,
    )


def is_running(process: Any) -> bool:
    """Whether there is a process that does not stand still."""
    return bool(process.IsValid()) and process.GetState() in (lldb.eStateRunning, lldb.eStateStepping)


def registers_of(thread: Any, names: Sequence[str]) -> Dict[str, int]:
    """Those of `names` that the innermost frame of a thread has."""
    frame = thread.GetFrameAtIndex(0)
    found: Dict[str, int] = {}
    if not frame.IsValid():
        return found
    for name in filter(None, names):
        value = frame.FindRegister(_NAMES.get(name, name))
        if value.IsValid() and value.GetError().Success():
            found[name] = int(value.GetValueAsUnsigned())
    return found


def siginfo_of(thread: Any) -> Optional[bytes]:
    """The bytes of siginfo_t of the signal that a thread stopped for."""
    if thread.GetStopReason() != lldb.eStopReasonSignal or not hasattr(thread, "GetSiginfo"):
        return None
    data, error = thread.GetSiginfo().GetData(), lldb.SBError()
    size = data.GetByteSize() if data.IsValid() else 0
    read = data.ReadRawData(error, 0, size) if size else None
    return bytes(read) if read is not None and error.Success() else None


def instruction_at(target: Any, pc: int) -> Optional[str]:
    """One instruction as text, in AT&T's form on x86."""
    found = target.ReadInstructions(lldb.SBAddress(pc, target), 1, "att").GetInstructionAtIndex(0)
    if not found.IsValid():
        return None
    words = (found.GetMnemonic(target), found.GetOperands(target))
    return " ".join(" ".join(str(word).split()) for word in words if word) or None


def threads_of(process: Any) -> List[Any]:
    """Every thread of the process itself, by lldb's numbers: none that a plug-in has made up."""
    real = [process.GetThreadAtIndex(at) for at in range(process.GetNumThreads())]
    return sorted((one for one in real if one.GetThreadID() < FIRST), key=lambda one: one.GetIndexID())
