"""`whereis/1`: what is at each address, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.where.answers import (
    FrameHit,
    Gap,
    InCode,
    InRuntime,
    InSymbol,
    InType,
    Object,
    OnStack,
    Where,
)
from addrspace_gdb.views.documents.form import target_json
from addrspace_gdb.views.documents.holders import held_json
from addrspace_gdb.views.wherewords import what

SCHEMA = "whereis/1"


def whereis_json(info: TargetInfo, places: Sequence[Where], problems: List[str]) -> Dict[str, Any]:
    """The document: one place for each address, in the order asked."""
    return {
        "schema": SCHEMA,
        "target": target_json(info),
        "places": [place_json(where) for where in places],
        "problems": problems,
    }


def place_json(where: Where) -> Dict[str, Any]:
    """One address."""
    region, mapping = where.region, where.mapping
    file = mapping.file if mapping is not None else None
    return {
        "expression": where.value.expression,
        "address": hex(where.address),
        "area": region.area,
        "kind": region.kind,
        "label": region.label,
        "region": {"start": hex(region.start), "end": hex(region.end)},
        "mapping": None
        if mapping is None
        else {
            "start": hex(mapping.start),
            "end": hex(mapping.end),
            "permissions": mapping.permissions,
            "file": file,
            "offset": mapping.offset + where.address - mapping.start if file is not None else None,
        },
        "resident": where.resident,
        "type": where.said,
        "what": what(where),
        "pointer": None
        if where.held is None
        else {
            "address": hex(where.held.address),
            "area": where.held.region.area,
            "what": what(where.held),
        },
        "object": _object(where.heap),
        "stack": _stack(where.stack),
        "code": _code(where.code),
        "descriptor": _type(where.type),
        "symbol": _symbol(where.symbol),
        "runtime": _runtime(where.runtime),
        "gap": _gap(where.gap),
        **({} if where.holding is None else {"holders": held_json(where.holding)}),
    }


def _hex(number: Optional[int]) -> Optional[str]:
    return None if number is None else hex(number)


def _object(found: Optional[Object]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    return {
        "arena": hex(found.arena),
        "span": {"start": hex(found.span[0]), "end": hex(found.span[1]), "mspan": hex(found.mspan)},
        "holds": found.holds,
        "size_class": found.size_class,
        "noscan": found.noscan,
        "slot": found.slot,
        "base": _hex(found.base),
        "size": found.size,
        "offset": found.offset,
        "state": found.state,
        "marked": found.marked,
        "header": found.header,
        "type": found.type,
        "room": found.room,
        "said_by": found.said_by or None,
        "field": found.field,
        "seen": found.what or None,
        "allocated": [{"function": name, "file": file, "line": line} for name, file, line in found.allocated]
        or None,
        "problem": found.problem,
    }


def _stack(found: Optional[OnStack]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    return {
        "kind": found.kind,
        "goid": found.goid,
        "m": found.m,
        "lo": hex(found.lo),
        "hi": hex(found.hi),
        "sp": _hex(found.sp),
        "use": found.use,
        "frame": _frame(found.frame),
        "problem": found.problem,
    }


def _frame(found: Optional[FrameHit]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    return {
        "level": found.level,
        "function": found.function,
        "file": found.file,
        "line": found.line,
        "sp": hex(found.sp),
        "cfa": _hex(found.cfa),
        "part": found.part,
        "variable": found.variable,
        "within": found.within if found.variable is not None else None,
    }


def _code(found: Optional[InCode]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    chain = [{"function": name, "file": file, "line": line} for name, file, line in found.chain]
    return {
        "function": found.function,
        "entry": hex(found.entry),
        "offset": found.offset,
        "chain": chain,
    }


def _type(found: Optional[InType]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    return {
        "sort": found.sort,
        "address": hex(found.address),
        "offset": found.offset,
        "type": found.name,
        "kind": found.kind,
        "interface": found.interface,
    }


def _symbol(found: Optional[InSymbol]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    return {
        "name": found.name,
        "offset": found.offset,
        "package": found.package,
        "section": found.section,
        "file": found.file,
        "type": found.type,
        "size": found.size,
        "field": found.field,
        "text": found.text,
        "seen": found.seen or None,
    }


def _runtime(found: Optional[InRuntime]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    return {
        "owner": found.owner,
        "start": hex(found.start),
        "end": hex(found.end),
        "detail": found.detail or None,
    }


def _gap(found: Optional[Gap]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    return {
        "nil_offset": found.field,
        "below": _neighbour(found.below),
        "above": _neighbour(found.above),
        "why": found.hint or None,
    }


def _neighbour(region: Optional[Region]) -> Optional[Dict[str, Any]]:
    if region is None:
        return None
    return {
        "start": hex(region.start),
        "end": hex(region.end),
        "area": region.area,
        "kind": region.kind,
        "label": region.label,
    }
