"""What is at an address, in words: one line for a table, or a few facts, each with its name."""

from __future__ import annotations

import os
from functools import partial
from typing import Iterator, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.graph.holding import Held
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.where.answers import FrameHit, Gap, InCode, InSymbol, InType, Object, OnStack, Where
from addrspace_gdb.views.holders import nothing_words, path_words

Fact = Tuple[str, str]

_CALLERS = 4  # frames that are shown of where an object was allocated

STATES = {
    "live": "allocated; survived the last GC",
    "since": "allocated since the last GC",
    "dead": "dead, not swept yet",
    "free": "free",
}


def what(where: Where) -> str:
    """The one thing to know about the address."""
    if where.heap is not None:
        return _object_line(where.heap, where.said)
    if where.stack is not None:
        return _stack_line(where.stack)
    if where.code is not None:
        return _code_line(where.code)
    if where.type is not None:
        return type_line(where.type)
    if where.symbol is not None:
        return _symbol_line(where.symbol)
    if where.runtime is not None:
        return "; ".join(text for text in (where.runtime.owner, where.runtime.detail) if text)
    if where.gap is not None:
        return where.gap.hint or _gap_line(where.address, where.gap)
    words = region_words(where.region)
    return f"{where.said}, in {words}" if where.said else words


def region_words(region: Region) -> str:
    """Kind, label and file of a region."""
    file = os.path.basename(region.file) if region.file and region.area == areas.MAPPED_FILES else ""
    return " ".join(text for text in (region.words, file) if text)


def _object_line(found: Object, said: Optional[str]) -> str:
    if found.base is None or found.size is None:
        return "; ".join(text for text in (found.holds, found.what, found.problem) if text)
    name = (found.type or said or "") + (found.field or "")
    if found.state in ("free", "dead"):
        name = ""
    scan = "noscan" if found.noscan else "scan"
    slot = f"{found.size:,}-byte slot" + (f" + {found.offset:,}" if found.offset else "")
    words = [name, slot, scan, _SHORT_STATES[found.state or "live"]]
    return ", ".join(text for text in words if text) + (f"; {found.what}" if found.what else "")


_SHORT_STATES = {"live": "allocated", "since": "allocated", "dead": "dead", "free": "free"}


def _owner(found: OnStack) -> str:
    if found.goid is not None:
        return f"goroutine {found.goid}" + (" (dead)" if found.kind == "dead goroutine" else "")
    return f"{found.kind} of m{found.m}" if found.m is not None else found.kind


_USES = {
    "below sp": "free, below its sp",
    "above the frames": "above its outermost frame",
    "stale": "stale (stack was freed)",
    "not walked": "",
    "guard": "no access: a stack that overflows stops here",
}


def _stack_line(found: OnStack) -> str:
    if found.frame is None:
        return ", ".join(text for text in (_owner(found), _USES.get(found.use, ""), found.problem) if text)
    return f"{_owner(found)}, {frame_words(found.frame)}"


def frame_words(frame: FrameHit) -> str:
    """ "main.worker main.go:27, n + 8"."""
    file = f" {os.path.basename(frame.file)}:{frame.line}" if frame.line else ""
    part = frame.part if frame.variable is None else variable_words(frame)
    return f"{frame.function or 'code that is not Go'}{file}, {part}"


def variable_words(frame: FrameHit) -> str:
    """A variable, and where in it."""
    return f"{frame.variable}" + (f" + {frame.within}" if frame.within else "")


def _code_line(found: InCode) -> str:
    text = f"{found.function}" + (f" + {found.offset:#x}" if found.offset else "")
    if found.chain:
        name, file, line = found.chain[0]
        text += f", {os.path.basename(file)}:{line}"
        text += f" (inlined {name})" if len(found.chain) > 1 else ""
    return text


def type_line(found: InType) -> str:
    """ "type descriptor of main.Node + 8", "itab of *os.File for io.Writer"."""
    text = f"{found.sort} of {found.name or '?'}"
    text += f" for {found.interface or '?'}" if found.sort == "itab" else ""
    return text + (f" + {found.offset}" if found.offset else "")


def _symbol_line(found: InSymbol) -> str:
    text = found.name + (f" + {found.offset:,}" if found.offset else "")
    if found.text is not None:
        return f"string literal {found.text!r}" + ("" if found.whole else "...")
    if found.seen:
        return f"{found.seen}; {text}"
    if found.type is not None:
        return f"{found.name}{found.field}, of {found.type}" if found.field else f"{text}, {found.type}"
    return text


def _gap_line(address: int, gap: Gap) -> str:
    below, above = _distances(address, gap)
    return (
        f"nothing is mapped; {' and '.join(text for text in (below, above) if text)}"
        if below or above
        else ""
    )


def _distances(address: int, gap: Gap) -> Tuple[str, str]:
    below = above = ""
    if gap.below is not None:
        below = f"{sizes.size(address - gap.below.end)} above {gap.below.area} ({region_words(gap.below)})"
    if gap.above is not None:
        above = f"{sizes.size(gap.above.start - address)} below {gap.above.area} ({region_words(gap.above)})"
    return below, above


def facts(where: Where, pointer_size: int, unicode: bool = False) -> Iterator[Fact]:
    """Everything, from the outside in."""
    region = where.region
    ends = f"{sizes.address(region.start, pointer_size)}-{sizes.address(region.end, pointer_size)}"
    kind = region_words(region)
    kind = f", {kind}" if kind and kind != region.area else ""
    yield "area", f"{region.area}{kind}"
    yield "region", f"{ends}, {sizes.size(region.size)}"
    yield from _mapping(where, pointer_size)
    if where.value.note:
        yield "value", f"the expression is {where.value.note}"
    if where.held is not None:
        at = sizes.address(where.held.address, pointer_size)
        yield "pointer", f"{at}: {where.held.region.area}, {what(where.held)}"
    if where.heap is not None:
        yield from _object(where.heap, where.said, pointer_size, where.holding is None)
        if where.holding is not None:
            yield "held by", _holding(where.holding, pointer_size, unicode)
    elif where.said is not None:
        yield "type", f"{where.said}, by the expression"
    if where.stack is not None:
        yield from _stack(where.stack, pointer_size)
    if where.code is not None:
        yield from _code(where.code, pointer_size)
    if where.type is not None:
        yield "type", type_line(where.type) + (f", a {where.type.kind} type" if where.type.kind else "")
    if where.symbol is not None:
        yield from _symbol(where.symbol)
    if where.runtime is not None:
        yield "owner", where.runtime.owner + (f": {where.runtime.detail}" if where.runtime.detail else "")
    if where.gap is not None:
        yield from _gap(where.address, where.gap)


def _holding(held: Held, pointer_size: int, unicode: bool) -> str:
    """The nearest that holds an object."""
    if not held.roots:
        return nothing_words(held)
    rest = f" (the nearest of {sizes.plural(held.roots, 'root')})" if held.roots > 1 else ""
    return path_words(held.paths[0], pointer_size, unicode) + rest


def _mapping(where: Where, pointer_size: int) -> Iterator[Fact]:
    mapping = where.mapping
    if mapping is None:
        return
    ends = f"{sizes.address(mapping.start, pointer_size)}-{sizes.address(mapping.end, pointer_size)}"
    file = f" {mapping.file} + {mapping.offset + where.address - mapping.start:#x}" if mapping.file else ""
    name = f" {mapping.name}" if mapping.name and not mapping.file else ""
    yield "mapping", f"{ends} {mapping.permissions}{file}{name}"
    yield (
        "page",
        {True: "resident", False: "not resident", None: "resident or not: not known"}[where.resident],
    )


def _object(found: Object, said: Optional[str], pointer_size: int, more: bool) -> Iterator[Fact]:
    """`more`: the heap's graph, which knows most types, was not asked for."""
    at = partial(sizes.address, pointer_size=pointer_size)
    low, high = found.span
    yield "arena", f"{at(found.arena)}"
    class_ = f", size class {found.size_class}" if found.size_class else ""
    yield "span", f"{at(low)}-{at(high)}, {found.holds}{class_}; its mspan is {at(found.mspan)}"
    if found.base is not None and found.size is not None and found.state is not None:
        scan = "noscan (no pointers)" if found.noscan else "scan (with pointers)"
        offset = f"; the address is {found.offset:,} bytes into it" if found.offset else ""
        yield "object", f"slot {found.slot:,} at {at(found.base)}, {found.size:,} bytes, {scan}{offset}"
        yield "state", STATES[found.state] + ("; marked in this cycle" if found.marked else "")
    if found.type is not None:
        room = f", room for {found.room:,}" if found.room and found.room > 1 else ""
        yield "type", f"{found.type}, by the {found.said_by}{room}"
        if found.field:
            yield "field", f"{found.type}{found.field}"
    if said is not None and said != found.type:
        yield "type", f"{said}, by the expression"
    if found.header and found.offset is not None and found.offset < found.header:
        yield "header", "the malloc header: the address of the object's type"
    if found.type is None and said is None and found.state not in (None, "free") and not found.what:
        text = "not recorded: only objects with pointers and over 512 bytes have theirs (Go 1.22)"
        yield "type", f"{text}; --graph tells most, by what leads there" if more else text
    if found.what:
        yield "is", found.what
    for number, (name, file, line) in enumerate(found.allocated[:_CALLERS]):
        yield "" if number else "allocated", f"{'from ' if number else 'by '}{name} at {file}:{line}"
    if found.problem:
        yield "problem", found.problem


def _stack(found: OnStack, pointer_size: int) -> Iterator[Fact]:
    at = partial(sizes.address, pointer_size=pointer_size)
    sp = f", sp {at(found.sp)}" if found.sp is not None else ""
    yield "stack", f"{_owner(found)}, {at(found.lo)}-{at(found.hi)}{sp}"
    frame = found.frame
    if frame is not None:
        place = f" at {frame.file}:{frame.line}" if frame.line else ""
        yield "frame", f"{frame.level} {frame.function or 'code that is not Go'}{place}"
        yield "slot", f"{frame.part}, sp {at(frame.sp)}" + (f", cfa {at(frame.cfa)}" if frame.cfa else "")
        if frame.variable is not None:
            yield "variable", variable_words(frame)
    elif _USES.get(found.use):
        yield "slot", _USES[found.use]
    if found.problem:
        yield "frames", found.problem


def _code(found: InCode, pointer_size: int) -> Iterator[Fact]:
    offset = f" + {found.offset:#x}" if found.offset else ""
    yield "function", f"{found.function}{offset}, entry {sizes.address(found.entry, pointer_size)}"
    for number, (name, file, line) in enumerate(found.chain):
        inlined = ", inlined" if number < len(found.chain) - 1 else ""
        yield "" if number else "source", f"{name} at {file}:{line}{inlined}"


def _symbol(found: InSymbol) -> Iterator[Fact]:
    offset = f" + {found.offset:,}" if found.offset else ""
    yield (
        "symbol",
        f"{found.name}{offset} in section {found.section}" + (f" of {found.file}" if found.file else ""),
    )
    if found.package:
        yield "package", found.package
    if found.type is not None:
        yield "type", f"{found.type}, {sizes.plural(found.size, 'byte')}"
    if found.field:
        yield "field", f"{found.name}{found.field}"
    if found.text is not None:
        yield "text", repr(found.text) + ("" if found.whole else ", and perhaps the next literal with it")
    if found.seen:
        yield "is", found.seen


def _gap(address: int, gap: Gap) -> Iterator[Fact]:
    if gap.hint:
        yield "why", gap.hint
    for name, text in zip(("above", "below"), _distances(address, gap)):
        if text:
            yield name, text
