"""addrspace-gdb: where every byte of a Go process lives, shown inside gdb.

The rooms, each importing only from those below it: ``commands`` (arguments in, a view out),
``views`` (what a person or a script sees), ``space`` (the join of both worlds), ``goruntime`` (the Go
runtime's view), ``process`` (the operating system's view), ``debugger`` (the one room that talks to gdb).
"""

__version__ = "0.1.0"
