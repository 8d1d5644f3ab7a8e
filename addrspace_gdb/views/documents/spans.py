"""`spans/1`: a list of spans, or one span with its slots, as its schema in views/documents/schema says it."""

from __future__ import annotations

from itertools import chain
from typing import Any, Dict, Iterable, List

from addrspace_gdb.goruntime.slots import Masks
from addrspace_gdb.space.heap.spans import Span, SpanCard
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.views.documents.form import encode, target_json
from addrspace_gdb.views.documents.heap import parts_json

SCHEMA = "spans/1"


def spans_json(info: TargetInfo, spans: Iterable[Span], problems: List[str]) -> str:
    """The document of a list of spans, one a line."""
    head = f'{{\n "schema": {encode(SCHEMA)},\n "target": {encode(target_json(info))},\n "spans": ['
    lines = ",\n  ".join(encode(span_json(span)) for span in spans)
    body = f"\n  {lines}\n ]" if lines else "]"
    return "".join(chain((head, body, f',\n "slot": null,\n "problems": {encode(problems)}\n}}\n')))


def card_json(info: TargetInfo, card: SpanCard, problems: List[str]) -> Dict[str, Any]:
    """The document of one span: its slots, a character each in order, and the slot that was asked for."""
    slot = card.slot
    return {
        "schema": SCHEMA,
        "target": target_json(info),
        "spans": [{**span_json(card.span), "states": _states(card), "marked": _marked(card)}],
        "slot": {
            "address": hex(card.asked),
            "index": slot.number if slot is not None else None,
            "base": hex(slot.base) if slot is not None else None,
            "offset": slot.offset if slot is not None else None,
            "state": slot.state if slot is not None else None,
            "marked": slot.marked if slot is not None else None,
            "header": slot.header if slot is not None else None,
        },
        "problems": problems,
    }


def span_json(span: Span) -> Dict[str, Any]:
    """One span."""
    row = span.row
    return {
        "start": hex(row.start),
        "end": hex(row.end),
        "size": row.size,
        "resident": span.resident,
        "mspan": hex(span.address),
        "kind": span.kind,
        "class": row.spanclass >> 1 if span.slotted else None,
        "noscan": bool(row.spanclass & 1) if span.slotted else None,
        "object_size": row.element or None,
        "slots": row.slots if span.slotted else None,
        "objects": parts_json(span.objects),
        "waste": span.waste,
        "sweep": span.sweep or None,
        "problem": span.problem,
    }


def _states(card: SpanCard) -> Any:
    """A letter a slot: l live, s since, d dead, "." free."""
    if card.masks is None:
        return None
    letters = ["."] * card.span.row.slots
    for name, mask in zip(Masks._fields, card.masks):
        for index in range(len(letters)):
            if mask >> index & 1:
                letters[index] = name[0]
    return "".join(letters)


def _marked(card: SpanCard) -> Any:
    if card.masks is None:
        return None
    return [index for index in range(card.span.row.slots) if card.marked >> index & 1]
