"""Commands for the tests of object slots, sourced inside gdb.

slot-states LIST OUT    what this project says of each address in LIST, lines of "state address size"
slot-facts OUT          of the runtime itself, through gdb's types: heapMarked, and objects with finalizers
"""

from __future__ import annotations

import json
from typing import Dict, List

import gdb

_IN_USE = 1


class SlotStates(gdb.Command):
    """slot-states LIST OUT"""

    def __init__(self) -> None:
        super().__init__("slot-states", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        from addrspace_gdb.common.problems import ProblemError
        from addrspace_gdb.debugger.gdb.target import GdbTarget
        from addrspace_gdb.space.heap.spans import SpanReader
        from addrspace_gdb.space.reading.whole import read

        source, out = argument.split()
        target = GdbTarget()
        spans = SpanReader(read(target), target)
        found: List[Dict[str, object]] = []
        with open(source, encoding="ascii") as listed:
            lines = listed.readlines()
        for line in lines:
            state, address, size = line.split()
            row: Dict[str, object] = {"was": state, "address": int(address, 16), "size": int(size)}
            try:
                card = spans.card(int(address, 16))
                row["kind"], row["element"] = card.span.kind, card.span.row.element
                row.update(card.slot._asdict() if card.slot is not None else {"state": None})
            except ProblemError as error:
                row["problem"] = str(error)
            found.append(row)
        with open(out, "w", encoding="ascii") as file:
            json.dump(found, file)


class SlotFacts(gdb.Command):
    """slot-facts OUT"""

    def __init__(self) -> None:
        super().__init__("slot-facts", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        value = gdb.parse_and_eval
        finalizer = int(value("'runtime._KindSpecialFinalizer'"))
        spans = value("'runtime.mheap_'.allspans")
        scanned = 0
        for index in range(int(spans["len"])):
            span = spans["array"][index].dereference()
            state = span["state"]["s"]
            if state.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:  # since Go 1.21
                state = state["value"]
            if int(state) != _IN_USE or int(span["spanclass"]) & 1:
                continue
            at = span["specials"]
            offsets = set()
            while int(at):
                if int(at["kind"]) == finalizer:
                    offsets.add(int(at["offset"]) // int(span["elemsize"]))
                at = at["next"]
            scanned += len(offsets) * int(span["elemsize"])
        facts = {
            "heapMarked": int(value("'runtime.gcController'.heapMarked")),
            "finalizers": scanned,
            "phase": int(value("'runtime.gcphase'")),
        }
        with open(argument.strip(), "w", encoding="ascii") as file:
            json.dump(facts, file)


SlotStates()
SlotFacts()
