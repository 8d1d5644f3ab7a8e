"""addrspace-gdb: where every byte of a Go process lives, from the shell, in gdb and in lldb.

The rooms, each importing only from those below it: ``worker`` (a process of its own, which has the graph of
the heap), ``debugger`` (the adapters, the only rooms that talk to a debugger), ``shell`` (the shell command
addrspace-gdb), ``commands`` (arguments in, a view out), ``views`` (what a person or a script sees), ``space``
(the join of both worlds), ``goruntime`` (the Go runtime's view), ``process`` (the operating system's view),
``target`` (what a debugger must answer, and the layouts) and ``common``. tests/unit/test_house.py holds them
to it.
"""

__version__ = "0.1.0"
