"""What `help goroutine` and `help goroutine-apply` say in lldb."""

from __future__ import annotations

HELP = """\
Select a goroutine and show its frames, or show the selected one.

usage: goroutine
       goroutine GOID
       goroutine --off
       goroutine GOID|all CMD

The innermost 40 frames of a goroutine are printed. Of one that runs on a
thread, or is in a system call on one, the thread is selected. One that is
parked becomes a thread of lldb's (22 and newer, on amd64), in a core too: `bt`,
`up`, `frame select` work there, without inlined calls, by the printed numbers;
no register is written. It is gone when the process has run, and is for looking
only: a step there lets the process run. After `addrspace set threads off`, and
where lldb can make no thread, the text is all. For the first one lldb also
prints one of its threads, by itself. `goroutine --off` and `thread select N`
return to the threads. The last form is that of `goroutine-apply`.
"""
APPLY_HELP = """\
Run a command of lldb for goroutines.

usage: goroutine-apply GOID|FIRST-LAST|all|FILTER... [-q] [-c | -s] CMD

A FILTER is one of
  waiting, running, syscall, runnable, preempted   the goroutine's status
  function:REGEX   a function on its stack, inlined ones too
  reason:REGEX     what it waits for, in Go's words: "chan receive" ...
Numbers and ranges are alternatives, statuses too; everything that is given must
hold. Quote a REGEX with blanks.

  -q   no line that names the goroutine before the output
  -c   print errors and go on; numbers that no goroutine has are always skipped
  -s   skip errors, and goroutines for which CMD prints nothing

`bt` and `bt N` are for all goroutines. Any other command is run with the thread
selected that a goroutine runs on, or that it becomes; where lldb makes none of
it, it is an error. Without -c and -s the first error ends it.

  goroutine-apply all bt 3
  goroutine-apply waiting function:^main\\. -q bt
  goroutine-apply 17 20-30 frame select 2
"""
