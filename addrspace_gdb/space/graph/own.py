"""The runtime's own objects, which lists lead to that say what they are."""

from __future__ import annotations

from addrspace_gdb.goruntime.own_objects import DEFERS, ENDED, GS, SUDOGS, TABLES, Own
from addrspace_gdb.goruntime.shape import MANY, ONE
from addrspace_gdb.goruntime.structshapes import StructShapes
from addrspace_gdb.space.graph.statics import Said

_STRUCTS = {ENDED: "runtime.g", GS: "runtime.g", SUDOGS: "runtime.sudog", DEFERS: "runtime._defer"}
_OF_TABLES = ("runtime.g", "runtime.p")  # what those of allgs and allp point to, which are listed first


def say_own(own: Own, structs: StructShapes, said: Said) -> None:
    """What they are."""
    for kind, name in _STRUCTS.items():
        number = structs.of(name)
        for address in own.of(kind):
            said.put(address, ONE, number)
    threads = own.threads
    for name, addresses in (("runtime.m", threads[0]), ("runtime.p", threads[1])):
        for address in addresses:
            said.put(address, ONE, structs.of(name))
    tables = own.listed.get(TABLES, ())
    for name, address in zip(_OF_TABLES, tables):
        said.put(address, MANY, structs.pointer_to(name))
    if own.itabs:
        said.put(own.itabs, ONE, structs.without_pointers("runtime.itabTableType"))
