"""Names of types as Go prints them, from those of debug information, and told apart by their packages."""

from __future__ import annotations

from typing import Optional

import pytest

from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.goruntime.shape import Shape
from addrspace_gdb.process.dwarf.gonames import TypeNames, package_of, with_path
from addrspace_gdb.space.graph.kept import TYPE, Size, counted_rows, group_of, told_apart
from addrspace_gdb.space.graph.kept import Row as Kept

NAMES = TypeNames({"gopkg.in/yaml%2ev3": "yaml", "example.com/go-list": "list"})


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("int", "int"),
        ("main.T", "main.T"),
        ("*net/http.Client", "*http.Client"),
        ("[]gopkg.in/yaml%2ev3.Node", "[]yaml.Node"),
        ("map[example.com/go-list.K][4]example.com/go-list.V", "map[list.K][4]list.V"),
        (
            "func(net/http.Header, ...main.T) (error, <-chan a/b.Y)",
            "func(http.Header, ...main.T) (error, <-chan b.Y)",
        ),
        ("struct { F uintptr; X a/b.Z }", "struct { F uintptr; X b.Z }"),
        (
            "struct { a/b.x []a/b.T; sync.Mutex; a/b.y sync.Map }",
            "struct { x []b.T; sync.Mutex; y sync.Map }",
        ),
        ("struct { a/b.T }", "struct { b.T }"),
        ("sync/atomic.Pointer[net/http.Client]", "atomic.Pointer[net/http.Client]"),
        ("a/b.T[map[string]c/d.U,[2]c/d.V]", "b.T[map[string]c/d.U,[2]c/d.V]"),
        ("[]a/b.T[c/d.U]", "[]b.T[c/d.U]"),
        ("*a/b.T[go.shape.struct { c/d.x []int },int]", "*b.T[...]"),
        ("noalg.map.group[a/b.K]a/b.V", "noalg.map.group[b.K]b.V"),
        ("github.com/x/y/v2.T", "y.T"),
        ("gopkg.in/other%2ev1.T", "other.T"),
    ],
)
def test_names_of_debug_information_become_those_that_go_prints(long: str, short: str) -> None:
    assert NAMES.short(long) == short


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("github.com/x/nats-server/v2/server.subscription", "github.com/x/nats-server/v2/server"),
        ("gopkg.in/yaml%2ev3.Node", "gopkg.in/yaml.v3"),
        ("sync/atomic.Pointer[net/http.Client]", "sync/atomic"),
        ("runtime.g", "runtime"),
        *((name, None) for name in ("int", "*a/b.T", "[]a/b.T", "map[string]a/b.T", "map.group[a/b.K]a/b.V")),
        *((name, None) for name in ("func(a/b.T)", "struct { a/b.x int }", "<-chan a/b.T", "")),
    ],
)
def test_only_named_types_have_a_package(name: str, package: Optional[str]) -> None:
    assert package_of(name) == package


def test_a_path_takes_the_place_of_the_package_name() -> None:
    assert with_path("yaml.Node", "gopkg.in/yaml.v3") == "gopkg.in/yaml.v3.Node"
    assert with_path("atomic.Pointer[net/http.T]", "sync/atomic") == "sync/atomic.Pointer[net/http.T]"
    assert with_path("[...]json.T", "encoding/json") == "[...]encoding/json.T"
    assert with_path("int", None) == "int" and with_path("*a.T", "b/a") == "*a.T"


def test_types_of_one_name_in_two_packages_are_two_rows() -> None:
    names = [("json.T", "encoding/json"), ("json.T", "x/json"), ("main.T", "main")]
    assert told_apart([*names, (None, None)]) == ["encoding/json.T", "x/json.T", "main.T", None]
    nothing = Shape("", "", None, 0, 0, ())
    shapes = [nothing, *(Shape(name, "struct", package, 8, 8, ()) for name, package in [*names, names[0]])]
    groups, rows = group_of(shapes, TYPE)
    assert groups[2::2] == [1, 3, 5, 1] and rows[1] == Kept(TYPE, "json.T", Size(), package="encoding/json")
    assert len(counted_rows(rows, [8] * len(rows), [1] * len(rows))) == 7


class NoSymbols:
    """A runtime whose variables nothing finds."""

    word, order, target = 8, "little", None

    def __init__(self) -> None:
        self.problems = Problems()

    def global_word(self, name: str) -> int:
        raise ProblemError(f"{name} needs the program's symbols, which it lacks")


def test_without_the_table_of_itabs_there_are_types() -> None:
    runtime = NoSymbols()
    types = Types(runtime, [])  # type: ignore[arg-type]
    assert types.itab_addresses() == [] and types.itab(0x1000) is None
    (problem,) = runtime.problems
    assert problem.startswith("itabs: runtime.itabTable needs the program's symbols")
