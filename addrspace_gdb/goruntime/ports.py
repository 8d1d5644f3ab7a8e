"""What frames look like on each architecture that Go runs on.

Sources: usesLR and unwinder.next in src/runtime/traceback.go; MinFrameSize and StackAlign in
src/internal/goarch/goarch_*.go; framepointer_enabled in src/runtime/runtime2.go; the kernel's signal frames
in arch/*/include/uapi/asm/{sigcontext,ucontext}.h and arch/*/kernel/signal.c, which src/runtime/
defs_linux_*.go repeat.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional


class SignalRegisters(NamedTuple):
    """Where the registers lie that a signal interrupted: bytes above the frame of the function that the
    kernel called (above its return address, where a call pushes one)."""

    pc: int
    sp: int
    fp: int
    link: Optional[int] = None
    info: int = 0  # the siginfo


class Port(NamedTuple):
    """One architecture."""

    link: bool  # a call leaves the return address in a register; functions that call save it at 0(sp)
    injected: int  # bytes that a call made up by a signal handler takes (sigpanic); it saves the link there
    arguments: int  # bytes between the frame of the function called and its arguments (MinFrameSize)
    signal: Optional[SignalRegisters]
    keeps_fp: bool = False  # the word at the top of a frame that is not empty holds a frame pointer
    quantum: int = 4  # bytes of the shortest instruction (minLC in src/cmd/link/internal/*/obj.go)


_PPC64 = SignalRegisters(376 + 32 * 8, 376 + 8, 376 + 31 * 8, 376 + 36 * 8, 1896)

PORTS: Dict[str, Port] = {
    # The return address is followed by the ucontext, whose registers begin after 40 bytes: r8-r15, rdi, rsi,
    # rbp, rbx, rdx, rax, rcx, rsp, rip.
    "amd64": Port(False, 0, 0, SignalRegisters(40 + 16 * 8, 40 + 15 * 8, 40 + 10 * 8, None, 304), True, 1),
    # Arguments (12), siginfo (128), ucontext (20 before its registers: gs fs es ds edi esi ebp esp ebx edx
    # ecx eax trapno err eip).
    "386": Port(False, 0, 0, SignalRegisters(160 + 14 * 4, 160 + 7 * 4, 160 + 6 * 4, None, 12), False, 1),
    # siginfo (128), ucontext (176 with the signal mask and padding), fault address, x0-x30, sp, pc.
    "arm64": Port(True, 16, 8, SignalRegisters(312 + 32 * 8, 312 + 31 * 8, 312 + 29 * 8, 312 + 30 * 8), True),
    # Eight registers that sigtramp saves and its stack table leaves out (32), siginfo (128), ucontext (20),
    # trap, error code, old mask, r0-r10, fp, ip, sp, lr, pc.
    "arm": Port(True, 4, 4, SignalRegisters(192 + 15 * 4, 192 + 13 * 4, 192 + 11 * 4, 192 + 14 * 4, 32)),
    # siginfo (128), ucontext (176), pc, r0-r31.
    "loong64": Port(True, 8, 8, SignalRegisters(304, 312 + 3 * 8, 312 + 22 * 8, 312 + 8)),
    # Arguments (24), siginfo (128), ucontext (40), r0-r31, f0-f31, hi and lo (8), pc.
    "mips64": Port(True, 8, 8, SignalRegisters(192 + 72 * 8, 192 + 29 * 8, 192 + 30 * 8, 192 + 31 * 8, 24)),
    "mips64le": Port(True, 8, 8, SignalRegisters(192 + 72 * 8, 192 + 29 * 8, 192 + 30 * 8, 192 + 31 * 8, 24)),
    "mips": Port(True, 4, 4, None),
    "mipsle": Port(True, 4, 4, None),
    # The caller's part of the frame (144), ucontext (232), r0-r31, pc, msr, r3 as it was, ctr, lr.
    "ppc64": Port(True, 32, 32, _PPC64),
    "ppc64le": Port(True, 32, 32, _PPC64),
    # siginfo (128), ucontext (176), pc, ra, sp, gp, tp, t0-t2, s0.
    "riscv64": Port(True, 8, 8, SignalRegisters(304, 304 + 2 * 8, 304 + 8 * 8, 304 + 8), False, 2),
    # The callee's save area (160), the system call instruction (8), siginfo (128), ucontext (40), status
    # word, pc, r0-r15.
    "s390x": Port(True, 8, 8, SignalRegisters(344, 352 + 15 * 8, 352 + 11 * 8, 352 + 14 * 8, 168), False, 2),
}
