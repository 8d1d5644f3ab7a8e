"""The parts of `addrspace rss` that need no process: tree, balances, findings, sentences, folded rows."""

from __future__ import annotations

import random
from typing import Dict, List, Optional

import pytest

from addrspace_gdb.goruntime.persistent import runs
from addrspace_gdb.process.kernelcounts import read_kernel_counts
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.rss import findings as kinds
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.balances import HUGE, Balance, Step
from addrspace_gdb.space.rss.circumstances import Busiest, Circumstances, Keeper
from addrspace_gdb.space.rss.findings import MAX_FINDINGS, Facts, Finding, findings
from addrspace_gdb.space.rss.tree import LEFT_OVER, Amount, Leaves, Node, Path, under
from addrspace_gdb.views.findings import sentence
from addrspace_gdb.views.kit.render import render
from addrspace_gdb.views.rss import balance_line, balance_lines, rows, tree_lines

MIB = 1 << 20
GIB = 1 << 30


def whole(size: int, resident: Optional[int] = None, swapped: Optional[int] = 0) -> Amount:
    """Memory that is all kept, and all resident unless said otherwise."""
    return Amount(size, size if resident is None else resident, swapped, size)


def tree(parts: Dict[Path, Amount]) -> Node:
    leaves = Leaves()
    for path, amount in parts.items():
        leaves.add(path, amount)
    return leaves.tree(places.ROOT, places.ORDER)


def test_every_node_is_the_sum_of_its_leaves() -> None:
    source = random.Random(3)
    leaves = Leaves()
    total = Amount()
    for _ in range(300):
        path = tuple(source.choice("abc") for _ in range(source.randrange(1, 5)))
        size = source.randrange(1, 1 << 30)
        amount = Amount(size, source.randrange(size), source.randrange(9), source.randrange(size))
        leaves.add(path, amount)
        total = total.plus(amount)
    root = leaves.tree("root", {})
    assert root.amount == total
    for _, node in root.walk():
        if node.children:
            assert node.size == sum(child.size for child in node.children)
            assert len({child.name for child in node.children}) == len(node.children)


def test_an_unknown_leaf_makes_its_ancestors_unknown_and_nobody_else() -> None:
    root = tree({("a", "x"): Amount(10, None, None, 10), ("a", "y"): whole(5), ("b",): whole(7)})
    assert (root.resident, root.find("a").resident, root.find("b").resident) == (None, None, 7)
    assert (root.size, root.kept) == (22, 22)


def test_a_split_leaves_its_rest_with_a_name() -> None:
    leaves = Leaves()
    leaves.add(("objects",), whole(100, 60))
    assert leaves.split(("objects",), {("objects", "live"): whole(70, 50)}) is None
    assert leaves.amounts == {("objects", "live"): whole(70, 50), ("objects", LEFT_OVER): whole(30, 10)}


@pytest.mark.parametrize(
    "part",
    [
        whole(101, 50),  # larger than the whole
        whole(90, 80),  # more of it resident
        Amount(90, None, 0, 90),  # residency not known, that of the whole is
        Amount(50, 60, 0, 50),  # impossible by itself
        Amount(50, 50, 0, -1),
    ],
)
def test_a_split_that_does_not_add_up_is_refused(part: Amount) -> None:
    leaves = Leaves()
    leaves.add(("objects",), whole(100, 60))
    assert leaves.split(("objects",), {("objects", "live"): part})
    assert leaves.amounts == {("objects",): whole(100, 60)}


def test_a_split_of_unknown_residency_is_fine_where_nothing_is_known() -> None:
    leaves = Leaves()
    leaves.add(("objects",), Amount(100, None, None, 100))
    assert leaves.split(("objects",), {("objects", "live"): Amount(70, None, None, 70)}) is None
    assert leaves.tree("", {}).amount == Amount(100, None, None, 100)


def test_runs_are_those_of_counting_one_by_one() -> None:
    source = random.Random(5)
    for _ in range(200):
        at, addresses = 1 << 20, []
        for _ in range(source.randrange(0, 40)):
            at += source.choice((160, 160, 160, 224, 319, 320, 4096))
            addresses.append(at)
        expected: List[List[int]] = []
        for address in addresses:
            if expected and address - expected[-1][1] < 160:
                expected[-1][1] = address + 160
            else:
                expected.append([address, address + 160])
        assert [list(run) for run in runs(addresses, 160)] == expected


def test_a_balance_says_what_it_cannot_explain() -> None:
    def balance(value: Optional[int], *steps: Optional[int]) -> Balance:
        return Balance("X", "here", value, tuple(Step("step", amount) for amount in steps), "tree", 100)

    assert balance(100).unexplained == 0
    assert balance(130, -20, -10).unexplained == 0
    assert balance(130, -20).unexplained == -10
    assert balance(None).unexplained is None
    assert balance(130, None).unexplained is None
    text = render(balance_lines([balance(130, -20)], ["it was busy"]))
    assert "not explained" in text and "-10 B" in text and "it was busy" in text
    assert "not explained" not in render(balance_lines([balance(130, -30)], ["it was busy"]))
    assert render(balance_line([balance(130, -30), balance(None)])).startswith(
        "Everything adds up: 1 counter "
    )
    said = render(balance_line([balance(130, -20), balance(130, -30), balance(7)]))
    assert "2 of 3 counters do not add up to the tree: the largest gap, +93 B, is that of X" in (
        said.replace("\n", " ")
    )
    assert "No counter" in render(balance_line([balance(None)]))


def cored(size: int) -> Amount:
    """Kept, as far as a core tells."""
    return Amount(size, None, 0, size)


def base(resident: int, **more: Amount) -> Node:
    """A process with that much of bss, and more."""
    names: Dict[str, Path] = {
        "free": places.FREE,
        "used": under(places.STACKS, "used"),
        "unused": under(places.STACKS, "unused"),
        "pools": under(places.STACKS, "free in pools"),
        "since": under(places.OBJECTS, "allocated since"),
        "live": under(places.OBJECTS, "survived the last GC"),
        "slots": under(places.OBJECTS, "free slots in used spans"),
        "returned": places.RETURNED,
        "c": under(places.C_HEAP, "malloc mmap"),
        "own": under(places.OWN_MAPPINGS, "anonymous memory"),
        "files": under(places.FILES, "data"),
        "threads": under(places.THREADS, "thread stack"),
        "runtime": under(places.RUNTIME, "spans", "span structures"),
        "race": under(places.RACE, "race detector shadow"),
    }
    return tree({places.BSS: whole(resident), **{names[key]: amount for key, amount in more.items()}})


def kinds_of(root: Node) -> List[str]:
    return [one.kind for one in findings(root)]


def test_nothing_is_said_of_a_small_process_or_of_small_shares() -> None:
    assert kinds_of(base(MIB, free=whole(31 * MIB))) == [kinds.NOTHING]
    assert kinds_of(base(10 * GIB, free=whole(GIB), c=whole(GIB))) == [kinds.CODE]
    assert findings(tree({})) == []


def test_where_nothing_stands_out_that_is_said_and_what_is_most() -> None:
    root = base(4 * MIB, free=whole(3 * MIB), c=whole(MIB))
    (found,) = findings(root)
    assert found == Finding(kinds.NOTHING, 4 * MIB, 8 * MIB)
    name, _ = kinds.largest(root)
    about = Circumstances(True, 1, None, None, False, None, None, False, None, (), largest=name)
    said = "Nothing stands out: 8.0 MiB is resident, the largest part of it, 4.0 MiB, is "
    look = "`addrspace rss --depth 4` has every part."
    assert sentence(found, about) == f"{said}code and data of the program and its libraries; {look}"


def test_stacks_of_threads_stand_out_where_they_are_resident_alone() -> None:
    """A core has all 8 MiB of each, of which hardly anything was ever touched."""
    assert kinds_of(base(MIB, threads=whole(72 * MIB), live=whole(90 * MIB))) == [kinds.LIVE, kinds.THREADS]
    core = base(MIB, threads=cored(72 * MIB), live=cored(90 * MIB))
    assert kinds_of(core) == [kinds.LIVE]


def test_what_can_be_acted_on_comes_first() -> None:
    root = base(MIB, since=whole(500 * MIB), used=whole(210 * MIB), files=whole(240 * MIB))
    assert kinds_of(root) == [kinds.STACKS, kinds.GARBAGE, kinds.FILES]
    live = base(MIB, live=whole(600 * MIB), used=whole(250 * MIB))
    assert kinds_of(live) == [kinds.LIVE, kinds.STACKS]
    assert [one.kind for one in findings(live, Facts(leak=True))] == [kinds.STACKS, kinds.LIVE]
    few = base(MIB, since=whole(900 * MIB), used=whole(40 * MIB))
    assert kinds_of(few) == [kinds.GARBAGE]
    assert [one.kind for one in findings(few, Facts(leak=True))] == [kinds.STACKS, kinds.GARBAGE]


def test_who_keeps_most_alive_comes_first() -> None:
    root = base(MIB, since=whole(500 * MIB), live=whole(600 * MIB))
    kept = findings(root, Facts(kept=400 * MIB))
    assert kept[0] == Finding(kinds.KEPT, 400 * MIB, 1101 * MIB)
    assert [one.kind for one in kept] == [kinds.KEPT, kinds.GARBAGE]  # what is live is live for that
    assert kinds.KEPT not in [one.kind for one in findings(root, Facts(kept=31 * MIB))]
    about = Circumstances(True, 1, None, None, False, None, None, False, None, ())
    about = about._replace(keeper=Keeper("main.cache", 400 * MIB, 7000))
    assert sentence(kept[0], about) == (
        "400.0 MiB (36.3% of RSS) is kept alive by main.cache alone, 7,000 objects; `addrspace retained "
        "--depth 2` shows how."
    )
    about = about._replace(keeper=Keeper("main.Server", 400 * MIB, 7000, 0xC000))
    assert sentence(kept[0], about) == (
        "400.0 MiB (36.3% of RSS) is kept alive by main.Server, which several roots hold, 7,000 objects; "
        "`addrspace holders 0xc000` says which."
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("free", kinds.FREE_HEAP),
        ("used", kinds.STACKS),
        ("pools", kinds.FREE_STACKS),
        ("since", kinds.GARBAGE),
        ("slots", kinds.FRAGMENTS),
        ("live", kinds.LIVE),
        ("returned", kinds.RETURNED),
        ("c", kinds.C_HEAP),
        ("own", kinds.MAPPINGS),
        ("files", kinds.FILES),
        ("threads", kinds.THREADS),
        ("runtime", kinds.RUNTIME),
        ("race", kinds.RACE),
    ],
)
def test_each_kind_of_memory_has_its_finding_and_its_sentence(name: str, kind: str) -> None:
    root = base(MIB, **{name: whole(64 * MIB)})
    (found,) = findings(root)
    assert found == Finding(kind, 64 * MIB, 65 * MIB)
    about = Circumstances(
        True,
        12,
        Busiest(10, 10, False, "main.f", "select"),
        4 * 60 * 10**9,
        True,
        3,
        GIB,
        False,
        GIB,
        (HUGE,),
    )
    text = sentence(found, about)
    assert text.startswith("64.0 MiB (98.5% of RSS) ") and text.endswith(".") and text.isascii()


def test_most_goroutines_of_a_sample_are_a_share() -> None:
    about = Circumstances(
        True, 100_000, Busiest(6, 8, True, "main.f", "select"), None, False, None, None, False, None, ()
    )
    text = sentence(Finding(kinds.STACKS, 64 * MIB, 65 * MIB), about)
    assert "100,000 goroutines, about 75% of them in main.f (select)" in text


def test_swap_is_said_by_what_is_swapped() -> None:
    root = base(64 * MIB, free=Amount(64 * MIB, 0, 60 * MIB, 64 * MIB))
    found, usual = findings(root)
    assert found == Finding(kinds.SWAPPED, 60 * MIB, 64 * MIB)
    assert usual.kind == kinds.CODE


def test_at_most_three_the_largest_first() -> None:
    root = base(
        MIB,
        free=whole(500 * MIB),
        used=whole(300 * MIB),
        unused=whole(300 * MIB),
        c=whole(400 * MIB),
        own=whole(510 * MIB),
    )
    assert kinds_of(root) == [kinds.STACKS, kinds.MAPPINGS, kinds.FREE_HEAP]
    assert MAX_FINDINGS == 3


def test_a_core_is_judged_by_what_it_keeps() -> None:
    root = base(MIB, free=Amount(64 * MIB, None, None, 64 * MIB), returned=Amount(GIB, None, None, 0))
    (found,) = findings(root)
    assert found == Finding(kinds.FREE_HEAP, 64 * MIB, 65 * MIB)
    about = Circumstances(False, 1, None, None, False, None, None, False, None, ())
    assert "of what the process keeps" in sentence(found, about)
    assert "when GC last ran is not known" in sentence(found, about)


def test_folded_rows_lose_no_byte() -> None:
    source = random.Random(11)
    for _ in range(50):
        leaves = Leaves()
        for _ in range(source.randrange(1, 60)):
            path = tuple(source.choice("abcdefghijklmnop") for _ in range(source.randrange(1, 4)))
            size = source.randrange(1, 1000)
            if path not in leaves.amounts:
                leaves.add(path, whole(size, source.choice((0, 0, size))))
        root = leaves.tree("root", {})
        shown = rows(root)
        assert (shown[0].size, shown[0].figure) == (root.size, root.resident)
        top = [row for row in shown if row.depth == 1]
        assert sum(row.size for row in top) == root.size
        assert sum(row.figure or 0 for row in top) == root.resident
        assert len(rows(root, 9)) == sum(1 for _ in root.walk())


@pytest.mark.parametrize("width", [72, 100, 140])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_tree_fits_the_screen(width: int, unicode: bool) -> None:
    parts: Dict[Path, Amount] = {}
    for number in range(30):
        parts[under(places.FILES, f"a file with a long name {number} 世界" * 3)] = whole(number)
    root = tree({**parts, places.C_HEAP: whole(3), places.BSS: Amount(8 * GIB, GIB, 5 * GIB, 8 * GIB)})
    root.children[1].note = "something about it that takes more than one line of the screen to say " * 3
    text = render(tree_lines(root, None, width, unicode))
    assert "Swapped" in text
    for line in text.splitlines():
        assert len(line) <= width
    assert unicode or text.isascii()


class Files:
    """/proc files of a process that says strange things."""

    local = False

    def __init__(self, **files: bytes) -> None:
        self.files = files

    def path(self, name: str) -> str:
        return f"/proc/1/{name}"

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]


def test_kernel_counts_are_bytes_and_what_is_not_said_is_not_known() -> None:
    status = b"Name:\tx: y\nVmRSS:\t  12 kB\nRssAnon:\t8 kB\nThreads:\t3\nVmPTE: nonsense\nVmSwap:\t-1 kB\n"
    counts = read_kernel_counts(
        Files(status=status, smaps_rollup=b"\xff\xfe\nPss: 7 kB\nShared_Clean: 1 kB"), []
    )
    assert counts is not None
    assert (counts.rss, counts.anonymous, counts.threads, counts.proportional) == (12288, 8192, 3, 7168)
    assert (counts.page_tables, counts.swapped, counts.file, counts.shared, counts.kinds) == (None,) * 5
    gone = read_kernel_counts(Files(), [])
    assert gone is not None and set(gone) == {None}
    assert read_kernel_counts(None, []) is None


@pytest.mark.parametrize(
    ("area", "kind", "permissions", "file", "kept"),
    [
        ("mapped-files", "file", "r--s", "/data/db", False),  # etcd maps 10 GiB of which it reads a little
        ("mapped-files", "file", "r--", "/data/db", False),  # as a core has it
        ("mapped-files", "file", "rw-p", "/data/db", True),
        ("shared-libs", "code", "r-xp", "/lib/libc.so.6", True),
        ("foreign", "mapping", "rw-p", None, True),
        ("foreign", "mapping", "---p", None, False),
        ("heap", "returned pages", "rw-p", None, False),
    ],
)
def test_what_a_process_keeps(
    area: str, kind: str, permissions: str, file: Optional[str], kept: bool
) -> None:
    assert places.is_kept(Region(0, 4096, area, kind, "", permissions, None, None, file)) is kept
