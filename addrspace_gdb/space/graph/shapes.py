"""What the worker is told of types: where their pointers are, and what those lead to."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from addrspace_gdb.common.messages import Column
from addrspace_gdb.goruntime.moduledata import Module
from addrspace_gdb.goruntime.mspan import PAGE
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.goruntime.shape import NOTHING, Shape
from addrspace_gdb.goruntime.sizeclasses import class_sizes
from addrspace_gdb.goruntime.slots import SlotReader
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.space.graph.statics import Said

_NEAR = 1 << 18  # bytes between itabs that are looked at together
_HEADER = 8  # bytes, mallocHeaderSize
_MAX_SMALL = 32768
_HIGHEST = 1 << 63


class Sizes:
    """How large the slot is that a value is allocated in (mallocgc in src/runtime/malloc.go)."""

    def __init__(self, runtime: Runtime, reader: SlotReader) -> None:
        """UnreadableError, KeyError."""
        self._classes = sorted(size for size in class_sizes(runtime) if size)
        self._header = _HEADER if reader.headers else 0
        self._in_span = reader.heap_bits

    def slot(self, size: int, pointers: bool) -> int:
        """Bytes of the slot."""
        if size > _MAX_SMALL - self._header:
            return -(-size // PAGE) * PAGE
        if pointers and self._header and size > self._in_span:
            size += self._header
        at = bisect_left(self._classes, size)
        if at == len(self._classes):  # the table is damaged
            return -(-size // PAGE) * PAGE
        return self._classes[at] if size else 0


def ranges(modules: Sequence[Module], types: Types) -> List[Tuple[int, int]]:
    """Where type descriptors and itabs lie."""
    found = [
        (module["types"], module["etypes"]) for module in modules if module["types"] < (module["etypes"] or 0)
    ]
    itabs = [one for one in types.itab_addresses() if not any(low <= one < high for low, high in found)]
    itabs = [one for one in itabs if one < _HIGHEST]  # what is damaged may say anything
    for address in itabs:
        if len(found) and found[-1][0] <= address < found[-1][1] + _NEAR:
            found[-1] = (found[-1][0], max(found[-1][1], address + 8))
        else:
            found.append((address, address + 8))
    return found


def code_range(modules: Sequence[Module]) -> Tuple[int, int]:
    """From the first function to behind the last."""
    starts, ends = [one["text"] for one in modules], [one["etext"] for one in modules]
    return min(starts, default=0), max(ends, default=0)


class Seeds(NamedTuple):
    """What the worker met: types in front of objects, and words beside pointers."""

    types: Sequence[int]
    words: Sequence[int]


def tell_shapes(
    shapes: Shapes, sizes: Sizes, seeds: Seeds, word: int, more: Callable[[], None], said: Said
) -> Dict[str, Column]:
    """All that those lead to; `more` makes others, and says in `said` what roots say."""
    of_types = array("q", [NOTHING])  # 0 is no type
    of_types.extend(shapes.of_type(one) for one in seeds.types)
    direct = [shapes.of_word(one) for one in seeds.words]
    shapes.finish()
    more()
    of_types = array("q", [-one if one in shapes.vague else one for one in of_types])
    merged = shapes.merged()
    columns = _columns(shapes.all, sizes, word, merged)
    columns["type_shapes"] = of_types
    columns["word_hows"] = array("q", [one.how for one in direct])
    columns["word_targets"] = array("q", [one.target for one in direct])
    columns.update(said.told(merged))
    return columns


def _columns(all_: Sequence[Shape], sizes: Sizes, word: int, merged: Sequence[int]) -> Dict[str, Column]:
    begin = array("q", [0])
    for shape in all_:
        begin.append(begin[-1] + len(shape.pointers))
    pointers = [one for shape in all_ for one in shape.pointers]
    return {
        "sizes": array("q", [shape.size for shape in all_]),
        "periods": array("q", [shape.period // word for shape in all_]),
        "slots": array("q", [sizes.slot(shape.size, bool(shape.pointers)) for shape in all_]),
        "open": array("q", [shape.open for shape in all_]),
        "firsts": array("q", [merged[shape.first] for shape in all_]),
        "begin": begin,
        "offsets": array("q", [one.offset // word for one in pointers]),
        "hows": array("q", [one.how for one in pointers]),
        "targets": array("q", [merged[one.target] for one in pointers]),
        "others": array("q", [merged[one.other] for one in pointers]),
    }
