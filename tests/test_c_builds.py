"""What programs with C in them bring along: sanitizers' memory, other C libraries, stacks without limit."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any, Iterator

import invariants
import pytest
from harness.build import Builder
from harness.debuggers import gdbs
from harness.toolchains import Toolchain
from invariants import Snapshot, holding, number, within

from addrspace_gdb.goruntime.g0bounds import within_mappings
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.regions.sanitizers import sanitizer_of

TIB = 1 << 40


@pytest.fixture
def no_stack_limit() -> Iterator[None]:
    """As `ulimit -s unlimited`: the kernel then maps from the bottom up, and C's library knows no bound."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard != resource.RLIM_INFINITY:
        pytest.skip("the hard limit of stacks cannot be raised")
    resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))


def taken(go: Toolchain, build_program: Builder, variant: str, folder: Path) -> Snapshot:
    return invariants.take(gdbs()[0], build_program("cgo", go, variant), folder)


def test_the_shadow_of_asan_is_named(go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    document = taken(go, build_program, "asan", tmp_path).document
    shadow = holding(document, 0x7FFF7000)
    assert (shadow["area"], shadow["kind"]) == ("foreign", "AddressSanitizer shadow")
    large = {r["kind"] for r in document["regions"] if r["area"] == "foreign" and r["size"] > TIB}
    assert large == {"AddressSanitizer shadow", "AddressSanitizer heap"}


@pytest.mark.matrix
def test_the_shadow_and_origins_of_msan_are_named(
    go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    document = taken(go, build_program, "msan", tmp_path).document
    large = {r["kind"] for r in document["regions"] if r["area"] == "foreign" and r["size"] > TIB}
    assert {"MemorySanitizer shadow", "MemorySanitizer heap"} <= large
    assert all(kind.startswith("MemorySanitizer ") for kind in large)


@pytest.mark.parametrize("variant", ["cgo", "musl"])
def test_the_first_thread_s_stack_ends_at_its_mapping(
    go: Toolchain, build_program: Builder, tmp_path: Path, no_stack_limit: None, variant: str
) -> None:
    """There Go itself has a lower bound of the stack of m0's g0 far below other memory."""
    snapshot = taken(go, build_program, variant, tmp_path)
    (stack,) = [m for m in snapshot.before if m.path == "[stack]"]
    first = [r for r in snapshot.document["regions"] if r["label"] == "m0" and r["kind"] == "g0 stack"]
    assert all(stack.start <= number(r["start"]) and number(r["end"]) <= stack.end for r in first)
    assert {r["area"] for r in within(snapshot.document, stack.start, stack.end)} == {"thread-stacks"}
    invariants.assert_checks_ok(snapshot.document)
    invariants.assert_no_problems(snapshot.document)


def test_libc_in_the_program_itself_has_a_heap(go: Toolchain, build_program: Builder, tmp_path: Path) -> None:
    document = taken(go, build_program, "static", tmp_path).document
    assert {"brk heap", "malloc arena", "malloc mmap"} <= {r["kind"] for r in document["regions"]}


def mapped(start: int, end: int, permissions: str = "rw-p", **more: Any) -> Mapping:
    return Mapping(start, end, permissions, more.pop("file", None), **more)


def test_a_stack_does_not_reach_through_other_memory() -> None:
    others = [mapped(0x1000, 0x2000), mapped(0x8000, 0x9000, "---p"), mapped(0x9000, 0xA000)]
    cut = within_mappings([*others, mapped(0xA000, 0xC000)])
    assert cut((0x3D8, 0xBF00)) == (0x9000, 0xBF00)  # readable and writable neighbours are one stack
    assert cut((0x9800, 0xC000)) == (0x9800, 0xC000)
    assert cut((0x3D8, 0xC001)) == (0x3D8, 0xC001)  # nothing is there
    assert cut((0, 0)) == (0, 0)
    grows = within_mappings([mapped(0x1000, 0x2000), mapped(0xA000, 0xC000)])
    assert grows((0x4000, 0xC000)) == (0x4000, 0xC000)  # it will grow into what is free
    assert within_mappings([])((1, 2)) == (1, 2)


def test_only_what_lies_where_a_sanitizer_puts_it_is_the_sanitizer_s() -> None:
    shadow = mapped(0x7FFF7000, 0x8FFF7000)
    heap, other = mapped(96 * TIB, 96 * TIB + 4096), mapped(0x7FFFF0000000, 0x7FFFF0001000)
    name = sanitizer_of([shadow, heap, other], "amd64", False)
    assert [name(m) for m in (shadow, heap, other)] == [
        "AddressSanitizer shadow",
        "AddressSanitizer heap",
        "",
    ]
    for mappings, arch in (([heap, other], "amd64"), ([shadow, heap], "arm64")):
        assert sanitizer_of(mappings, arch, False)(heap) == ""
    file = mapped(0x7FFF7000, 0x8FFF7000, file="/tmp/data")
    assert sanitizer_of([file, heap], "amd64", False)(heap) == ""
    race = sanitizer_of([heap], "amd64", True)
    assert (race(heap), race(mapped(17 * TIB, 18 * TIB))) == ("race detector memory", "race detector shadow")
