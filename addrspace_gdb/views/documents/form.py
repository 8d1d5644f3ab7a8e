"""The JSON that scripts read: `addrspace/1`, as its schema in views/documents/schema says it.

Addresses are strings ("0xc000000000"), sizes are integers of bytes, what is not known is null. Text of the
target stands as it is: JSON itself escapes control characters, and everything that is not ASCII. Only bytes
that are not UTF-8 stand as they are shown elsewhere, `\\xff`: no string of JSON can have them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterator, List, Match, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.goruntime.mspan import SpanClass
from addrspace_gdb.space.goroutines.stack_keys import KeyGroup
from addrspace_gdb.space.regions.model import AddressSpace, Check, GoroutineCounts, MappingUse, TargetInfo
from addrspace_gdb.space.regions.region import Region

SCHEMA = "addrspace/1"
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode
# Of ASCII JSON: an escaped backslash, a character as a pair of surrogates, a surrogate alone.
_SURROGATE = re.compile(r"\\\\|\\ud[89ab]..\\ud[c-f]..|\\u(d[89a-f]..)")


def encode(value: Any) -> str:
    """A value as ASCII JSON on one line, which every reader takes: without surrogates that stand alone."""
    text = _encode(value)
    return _SURROGATE.sub(_shown, text) if "\\ud" in text else text


def _shown(found: Match[str]) -> str:
    alone = found.group(1)
    return found.group() if alone is None else _encode(printable(chr(int(alone, 16))))[1:-1]


def addrspace_json(
    space: AddressSpace, stacks: Optional[List[KeyGroup]] = None, taken: Optional[float] = None
) -> Dict[str, Any]:
    """The whole address space; `regions` are what is mapped, `unmapped` the rest of all addresses.

    `stacks`: which goroutines share which stack, where that was asked for; such a dump of a process, which is
    for `diff`, also says when it was `taken`, in seconds since the epoch.
    """
    return {
        "schema": SCHEMA,
        "target": target_json(space.target),
        "areas": [{"area": a.area, "size": a.size, "resident": a.resident} for a in space.areas],
        "regions": [_region(region) for region in space.regions],
        "mappings": [_mapping(use) for use in space.mappings],
        "goroutines": _goroutines(space.goroutines),
        "memstats": None if space.memstats is None else dict(space.memstats),
        **({} if space.spans is None else {"spans": [_span_class(one) for one in space.spans]}),
        **({} if stacks is None else {"stacks": [_stack(group) for group in stacks]}),
        **({} if taken is None else {"taken": round(taken, 3)}),
        "unmapped": [_unmapped(region) for region in space.unmapped],
        "checks": [_check(check) for check in space.checks],
        "notes": list(space.picture.notes),
        "problems": list(space.picture.problems),
    }


def target_json(target: TargetInfo) -> Dict[str, Any]:
    """What was looked at, alike in every document."""
    return {
        "kind": target.kind,
        "pid": target.pid,
        "executable": target.executable,
        "arch": target.arch,
        "pointer_size": target.pointer_size,
        "page_size": target.page_size,
        "go_version": target.go_version,
    }


def _region(region: Region) -> Dict[str, Any]:
    return {
        "start": hex(region.start),
        "end": hex(region.end),
        "size": region.end - region.start,
        "area": region.area,
        "kind": region.kind,
        "label": region.label,
        "permissions": region.permissions,
        "resident": region.resident,
        "swapped": region.swapped,
        "file": region.file,
        **({"locked": True} if region.locked else {}),
    }


def _unmapped(region: Region) -> Dict[str, Any]:
    return {
        "start": hex(region.start),
        "end": hex(region.end),
        "size": region.end - region.start,
        "area": region.area,
        "kind": region.kind,
        "label": region.label,
    }


def _mapping(use: MappingUse) -> Dict[str, Any]:
    mapping = use.mapping
    return {
        "start": hex(mapping.start),
        "end": hex(mapping.end),
        "permissions": mapping.permissions,
        "file": mapping.file,
        **({} if mapping.file is None else {"offset": mapping.offset}),
        "resident": use.resident,
    }


def _span_class(one: SpanClass) -> Dict[str, Any]:
    return {
        "size": one.size or None,
        "noscan": one.noscan,
        "spans": one.spans,
        "bytes": one.bytes,
        "objects": one.objects,
    }


def _stack(group: KeyGroup) -> Dict[str, Any]:
    return {
        "key": group.stack.key.hex(),
        "function": group.stack.function,
        "place": group.stack.place,
        "system": group.stack.system,
        "frames": list(group.stack.frames),
        "goids": group.goids,
    }


def _goroutines(counts: Optional[GoroutineCounts]) -> Optional[Dict[str, Any]]:
    if counts is None:
        return None
    return {"total": counts.total, "by_status": dict(sorted(counts.by_status.items()))}


def _check(check: Check) -> Dict[str, Any]:
    return {
        "name": check.name,
        "ours": check.ours,
        "theirs": check.theirs,
        "source": check.source,
        "ok": check.ok,
        "because": list(check.because),
    }


def dumps(document: Dict[str, Any]) -> str:
    """The document as ASCII text, each key on a line and each item of a list on a line of its own."""
    return "".join(pieces(document))


def pieces(document: Dict[str, Any]) -> Iterator[str]:
    """`dumps` bit by bit. The encoder's own indenting is written in Python and four times slower."""
    yield "{"
    for number, (key, value) in enumerate(document.items()):
        yield f"{',' if number else ''}\n {encode(key)}: "
        if isinstance(value, list) and value:
            yield from _lines(value)
        else:
            yield encode(value)
    yield "\n}\n"


def _lines(items: List[Any]) -> Iterator[str]:
    for number, item in enumerate(items):
        yield f"{',' if number else '['}\n  {encode(item)}"
    yield "\n ]"
