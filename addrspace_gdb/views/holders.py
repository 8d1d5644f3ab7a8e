"""Who holds an object, as text: a sentence, then a path from each root."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Iterator, List, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.graph import owners as kinds
from addrspace_gdb.space.graph.holding import Held, Path, Root, Step
from addrspace_gdb.space.graph.parts import CHANNEL, MAP, MAP_PART
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.text import Line, cells, clean

_INDENT = "    "
# A key or element within a group or bucket of a map: what the compiler calls their parts.
_ENTRY = re.compile(r"(?:\[\d+\])?(?:\.slots\[\d+\]\.(key|elem)|\.(keys|elems)\[\d+\])(.*)")
_RECORDS = {
    kinds.FINALIZERS: "record of a finalizer",
    kinds.CLEANUPS: "record of a cleanup",
    kinds.WEAK: "weak handle",
    kinds.QUEUES: "queue of finalizers and cleanups",
}


def held_sentence(held: Held, pointer_size: int) -> str:
    """Whether anything holds it."""
    one = held.object
    what = f"{sizes.address(one.address, pointer_size)}, {_object(one)} of {sizes.size(one.size)},"
    inside = held.asked - one.address
    if inside:
        what = f"{sizes.address(held.asked, pointer_size)}, {sizes.plural(inside, 'byte')} into {what}"
    if not held.roots:
        return f"{what} is held by {nothing_words(held)}."
    least = "at least " if held.partial else ""
    return f"{what} is held by {least}{sizes.plural(held.roots, 'root')}:"


def nothing_words(held: Held) -> str:
    """What is said of an object that no root leads to."""
    if held.partial:
        return "nothing that could be read (see the problems below)"
    return "nothing: no root leads to it, and the collector will free it"


def _object(one: Step) -> str:
    if one.type is None:
        return "an object"
    if one.several:
        return f"values of {one.type}"
    return f"{'an' if one.type[:1] in 'aeioAEIO' else 'a'} {one.type}"


def path_lines(path: Path, pointer_size: int, width: int, unicode: bool) -> Iterator[tokens.Pair]:
    """The path in Go's words, from the root on, in as many lines as it takes."""
    arrow = _arrow(unicode)
    pieces = [root_words(path.root, path.many, pointer_size)]
    pieces += [f"{arrow} {text}" for text in chain_words(path)]
    line, first = "  ", True
    for piece in _fitting(pieces, width, unicode):
        if line.strip() and cells(line) + 1 + cells(piece) > width:
            yield from Line(width, unicode).put(tokens.NAME if first else tokens.TEXT, line)
            line, first = _INDENT, False
        line += piece if not line.strip() else f" {piece}"
    yield from Line(width, unicode).put(tokens.NAME if first else tokens.TEXT, line)


def _arrow(unicode: bool) -> str:
    return "→" if unicode else "->"


def path_words(path: Path, pointer_size: int, unicode: bool = False) -> str:
    """The path on one line."""
    return f" {_arrow(unicode)} ".join([root_words(path.root, path.many, pointer_size), *chain_words(path)])


def _fitting(pieces: Sequence[str], width: int, unicode: bool) -> Iterator[str]:
    """Each in parts that fit a line by themselves: a long name is broken, not cut."""
    room = max(8, width - len(_INDENT))
    for piece in pieces:
        text = clean(piece, unicode)
        if cells(text) <= room:
            yield text
        else:
            narrow = room if text.isascii() else room // 2
            yield from (text[at : at + narrow] for at in range(0, len(text), narrow))


def root_words(root: Root, count: int, pointer_size: int) -> str:
    """Where a path begins."""
    more = f" and {sizes.count(count - 1)} like it" if count > 1 else ""
    if root.kind == "global":
        if not root.name:
            return f"variable at {sizes.address(root.address or 0, pointer_size)}{more}"
        return _variable(root) + more
    if root.kind != "function":
        return (_RECORDS.get(root.kind, root.kind) if root.address is not None else "finalizer of") + more
    who = sizes.plural(count, "goroutine") if count > 1 else f"goroutine {root.goid}"
    doubt = "" if root.exact else " (not exact)"
    if not root.name:
        return f"{who} of {root.started}, outside its frames{doubt}"
    if root.local is None:
        return f"{who} {root.name}{doubt}"
    return f"{who} {root.name} local {root.local}{_plus(root.offset)}{doubt}"


def _variable(root: Root) -> str:
    """A variable and its part; *p is what a variable leads to that has no name of its own."""
    if root.field is None:
        return root.name + _plus(root.offset)
    if root.name.startswith("*") and root.field:
        return root.name[1:] + root.field if root.field[0] == "." else f"({root.name}){root.field}"
    return root.name + root.field


def _plus(offset: object) -> str:
    return f" +{offset}" if offset else ""


def chain_words(path: Path) -> List[str]:
    """The objects in Go's words: those that a map or a channel consists of are one, and equal ones in a row
    are counted."""
    half = len(path.steps) // 2 if path.skipped else len(path.steps)
    words = _counted(_steps(path.steps[:half]))
    if path.skipped:
        words.append(f"... {sizes.plural(path.skipped, 'more object')} ...")
        words += _counted(_steps(path.steps[half:]))
    return words


def _counted(words: Sequence[str]) -> List[str]:
    found = []
    for text, equal in groupby(words):
        many = len(list(equal))
        found.append(text if many == 1 else f"{text} ({many:,} times)")
    return found


def _steps(steps: Sequence[Step]) -> List[str]:
    found: List[str] = []
    before = ""  # role of the object before
    for step in steps:
        role = step.role
        if role == MAP_PART and before in (MAP, MAP_PART):
            found[-1] += _entry(step)
        elif before == CHANNEL and role == "value" and step.several and found:
            found[-1] += _words(step)[1]
        else:
            found.append("".join(_words(step)))
        before = role
    return found


def _entry(step: Step) -> str:
    match = _ENTRY.fullmatch(step.field or "")
    if match is None:
        return ""
    return (" [key]" if (match.group(1) or match.group(2)).startswith("key") else " [value]") + match.group(3)


def _words(step: Step) -> Tuple[str, str]:
    """The object as what points to it is called, and where in it the next pointer is."""
    if step.type is None:
        return f"({sizes.size(step.size)})", _plus(step.offset)
    if step.role in (MAP, CHANNEL):
        return step.type, _buffer(step) if step.role == CHANNEL else ""
    where = step.field if step.field is not None else _plus(step.offset)
    where = f" {where}" if where and not where.startswith(" ") else where
    if step.role == MAP_PART:
        return step.type, _entry(step) or where
    if step.type == "string" or step.type.startswith("func"):
        return step.type, _plus(step.offset)
    return f"{'[]' if step.several else '*'}{step.type}", where


def _buffer(step: Step) -> str:
    return "" if step.field in (None, "", ".buf") else f" {step.field}"
