"""`addrspace rss` as text: what stands out first, then the tree, and whether everything adds up."""

from __future__ import annotations

from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence

from addrspace_gdb.common import sizes
from addrspace_gdb.process.kernelcounts import KernelCounts
from addrspace_gdb.space.rss.balances import Balance
from addrspace_gdb.space.rss.places import OBJECTS, OWN, RETURNED
from addrspace_gdb.space.rss.tree import Node
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import glyphs
from addrspace_gdb.views.kit.said import wrapped
from addrspace_gdb.views.kit.text import Line, cells, clean, clip, wrap

DEPTH = 3  # that is shown when none is asked for, and one more where much is
MUCH = 100  # 1/100 of the whole
CHILDREN = 8  # at most, when no depth is asked for
_NUMBER = 11  # columns of a size and the blanks before it
_SHARE = 8
_BAR = 12
_NAME = 24  # columns of a name at least
_LINES = 3  # of a note
_SENTENCE = 6  # lines of what stands out
_JOINED = 32  # columns of several names in one row
_ALWAYS = (OBJECTS[-1], RETURNED[-1])  # shown even if nothing of them is resident
_DEEPER = (OWN,)  # nodes below that depth whose children are shown where they are much


class Shown(NamedTuple):
    """A row of the tree: a node, or several with nothing to see as one."""

    depth: int
    name: str
    size: int
    figure: Optional[int]  # resident, or where that is not known what is kept
    swapped: Optional[int]
    note: str


def rows(root: Node, depth: Optional[int] = None) -> List[Shown]:
    """The rows to show. With a `depth` all nodes down to it; without, what matters."""
    known = root.resident is not None

    def figure(node: Node) -> Optional[int]:
        return node.resident if known else node.kept

    whole = figure(root) or 0
    made: List[Shown] = []

    def add(node: Node, level: int) -> None:
        made.append(Shown(level, node.name, node.size, figure(node), node.swapped, node.note))
        much = node.name in _ALWAYS or (figure(node) or 0) * MUCH >= whole > 0
        deeper = much and (level == DEPTH or node.name in _DEEPER)
        if level >= (depth if depth is not None else max(DEPTH, level + deeper)):
            return
        shown, folded = (node.children, []) if depth is not None else _folded(node, figure)
        for child in shown:
            add(child, level + 1)
        if folded:
            made.append(_one(folded, level + 1, figure))

    add(root, 0)
    return made


def _folded(node: Node, figure: Callable[[Node], Optional[int]]) -> tuple[List[Node], List[Node]]:
    """Which children to show, and which to fold: several with nothing to see, and the smallest of many."""
    shown = [c for c in node.children if figure(c) != 0 or c.swapped or c.name in _ALWAYS]
    folded = [c for c in node.children if c not in shown and c.size]
    if len(folded) == 1:
        shown = [c for c in node.children if c in shown or c in folded]
        folded = []
    if len(shown) > CHILDREN and node.name != OBJECTS[-1]:
        largest = sorted(shown, key=lambda c: -(figure(c) or 0))[: CHILDREN - 1]
        folded += [c for c in shown if c not in largest]
        shown = [c for c in shown if c in largest]
    return shown, folded


def _one(folded: List[Node], level: int, figure: Callable[[Node], Optional[int]]) -> Shown:
    figures = [figure(node) for node in folded]
    total = None if None in figures else sum(one or 0 for one in figures)
    swapped = [node.swapped for node in folded]
    name = ", ".join(node.name for node in folded)
    if total or len(name) > _JOINED:
        name = f"{len(folded)} more"
    return Shown(
        level,
        name,
        sum(node.size for node in folded),
        total,
        None if None in swapped else sum(one or 0 for one in swapped),
        "",
    )


def tree_lines(
    root: Node, depth: Optional[int] = None, width: Optional[int] = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """The tree with its columns; notes of nodes stand below it."""
    known = root.resident is not None
    shown = rows(root, depth)
    room = width if width is not None else 1 << 16
    has_swap = bool(root.swapped)
    taken = (2 + has_swap) * _NUMBER + _SHARE + 2
    names = [_indented(row, unicode) for row in shown]
    name = min(max(map(cells, names)), max(_NAME, room - taken))
    bars = name + taken + _BAR <= room  # names matter more
    head = Line(room, unicode).skip_to(name)
    headings = ["Size", "Resident" if known else "Kept", *(["Swapped"] if has_swap else [])]
    for heading in headings:
        head.put(tokens.HEADING, f"{heading:>{_NUMBER}}")
    yield from head.put(tokens.HEADING, f"{'of RSS' if known else 'of kept':>{_SHARE}}")
    whole = root.resident if known else root.kept
    for row, text in zip(shown, names):
        line = Line(room, unicode)
        line.put(tokens.NAME if row.depth < 3 else tokens.TEXT, clip(text, name, unicode)).skip_to(name)
        line.put(tokens.SIZE, f"{sizes.size(row.size):>{_NUMBER}}{sizes.size(row.figure):>{_NUMBER}}")
        if has_swap:
            line.put(tokens.SIZE, f"{sizes.size(row.swapped):>{_NUMBER}}")
        line.put(tokens.QUIET, f"{sizes.share(row.figure, whole):>{_SHARE}}  ")
        yield from line.put(tokens.GROWTH, _bar(row.figure, whole, unicode) if bars else "")
    for row in shown:
        if row.note and row.figure:
            yield from _paragraph(f"{row.name}: ", row.note, tokens.QUIET, room, unicode)


def _indented(row: Shown, unicode: bool) -> str:
    return "  " * row.depth + clean(row.name, unicode)


def _bar(figure: Optional[int], whole: Optional[int], unicode: bool) -> str:
    if not figure or not whole:
        return ""
    return ("█" if unicode else "#") * ((2 * figure * _BAR + whole) // (2 * whole))


def _paragraph(
    prefix: str, text: str, token: tokens.TokenType, width: int, unicode: bool
) -> Iterator[tokens.Pair]:
    """Wrapped behind its prefix."""
    for index, part in enumerate(wrap(clean(text, unicode), max(20, width - len(prefix)), _LINES, unicode)):
        line = Line(width, unicode)
        if index == 0:
            line.put(token, prefix)
        yield from line.skip_to(len(prefix)).put(tokens.TEXT, part)


def kernel_text(kernel: KernelCounts) -> str:
    """What VmRSS consists of as the kernel sees it, and what it leaves out."""
    parts = [("anonymous", kernel.anonymous), ("files", kernel.file), ("shared memory", kernel.shared_memory)]
    text = ", ".join(f"{name} {sizes.size(amount)}" for name, amount in parts if amount is not None)
    if kernel.shared:
        text += f"; {sizes.size(kernel.shared)} of it is shared with other processes"
    kinds = (("in huge pages", kernel.huge), ("lazily freed (MADV_FREE)", kernel.lazily_free))
    for name, amount in (*kinds, ("merged by KSM", kernel.merged), ("locked (VmLck)", kernel.locked)):
        if amount:
            text += f"; {sizes.size(amount)} {name}"
    if kernel.hugetlb:
        text += f"; {sizes.size(kernel.hugetlb)} of hugetlb pages, which no RSS counts"
    if kernel.page_tables is not None:
        text += f"; plus {sizes.size(kernel.page_tables)} of page tables (not in RSS)"
    return text


def balance_lines(
    balances: Sequence[Balance], reasons: Sequence[str], width: int = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """Each counter, the named steps, and the figure of the tree where they end."""
    text = "Reconciliation: the kernel's and Go's counters, step by step, to the tree's figures"
    yield from wrapped(tokens.HEADING, text, width, unicode)
    texts = [_LEFT, *(text for one in balances for text in (_counter(one), f"  = {one.against}"))]
    texts += [f"    {step.name}" for one in balances for step in one.steps]
    room = min(max(map(cells, texts), default=0), width - _NUMBER - 2)
    for one in balances:
        for line in _balance(one, room, width, unicode):
            yield from line
    if any(one.unexplained for one in balances):
        for reason in reasons:
            yield from _paragraph("  ", reason, tokens.QUIET, width, unicode)


def balance_line(
    balances: Sequence[Balance], width: int = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """Whether everything adds up, in one sentence."""
    wrong = [one for one in balances if one.unexplained]
    known = [one for one in balances if one.unexplained is not None]
    more = " (--reconcile shows each step)"
    if wrong:
        first = max(wrong, key=lambda one: abs(one.unexplained or 0))
        text = f"{len(wrong)} of {sizes.plural(len(known), 'counter')} do not add up to the tree:"
        text += f" the largest gap, {_signed(first.unexplained)}, is that of {first.counter}"
    elif known:
        text = f"Everything adds up: {sizes.plural(len(known), 'counter')} of the kernel and of Go"
        text += " come to the tree's figures"
    else:
        text = "No counter that the tree could be compared with is known"
    yield from wrapped(tokens.PROBLEM if wrong else tokens.QUIET, text + more, width, unicode)


_LEFT = "    not explained"


def _counter(one: Balance) -> str:
    return f"  {one.counter} ({one.source})"


def _balance(one: Balance, room: int, width: int, unicode: bool) -> Iterator[Line]:
    def row(token: tokens.TokenType, text: str, amount: str) -> Line:
        line = Line(width, unicode).put(token, clip(clean(text, unicode), room, unicode)).skip_to(room)
        return line.put(tokens.SIZE, f"{amount:>{_NUMBER}}")

    left = one.unexplained
    first = row(tokens.NAME, _counter(one), sizes.size(one.value))
    if left == 0 and not one.steps and len(one.against) + 4 <= first.room:
        yield first.put(tokens.GOOD, f"  = {one.against}")
        return
    yield first
    for step in one.steps:
        yield row(tokens.TEXT, f"    {step.name}", _signed(step.amount))
    if left:
        yield row(tokens.PROBLEM, _LEFT, _signed(left))
    yield row(tokens.QUIET, f"  = {one.against}", sizes.size(one.tree))


def _signed(amount: Optional[int]) -> str:
    return f"+{sizes.size(amount)}" if amount is not None and amount > 0 else sizes.size(amount)


def title(facts: Sequence[str], width: int, unicode: bool) -> Line:
    """What was looked at."""
    text = glyphs(unicode).dot.join(clean(fact, unicode) for fact in facts)
    return Line(width, unicode).put(tokens.HEADING, text)


def sentence_lines(sentences: Sequence[str], width: int, unicode: bool = True) -> Iterator[tokens.Pair]:
    """What stands out: the verdict, and what else does, each sentence wrapped under its mark."""
    yield from wrapped(tokens.HEADING, sentences[0], width, unicode)
    mark = "• " if unicode else "* "
    for sentence in sentences[1:]:
        for number, part in enumerate(wrap(clean(sentence, unicode), width - 2, _SENTENCE, unicode)):
            line = Line(width, unicode).put(tokens.MARK, mark if number == 0 else "").skip_to(2)
            yield from line.put(tokens.TEXT, part)
