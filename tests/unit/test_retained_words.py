"""What is said first of who keeps what: how much, and how sure that is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, List

from addrspace_gdb.space.graph.kept import OBJECT, SHARED, Retained, Row, Size, Totals
from addrspace_gdb.views.retained import verdict_line, whole_line

INFO: Any = SimpleNamespace(pointer_size=8)


def retained(bytes_: int, problems: List[str]) -> Retained:
    rows = [Row("global", "main.cache", Size(bytes_, 3), type="map[string]int")]
    return Retained(INFO, Totals(Size(4096, 9), Size(2048, 7)), rows, False, [], problems)


def test_the_first_line_says_that_a_heap_was_read_in_part() -> None:
    whole = (
        "f the 2.0 KiB that are reachable, main.cache (map[string]int) keeps 1.0 KiB (50.0%) alive by itself"
    )
    assert verdict_line(retained(1024, [])).startswith(f"O{whole}")
    partial = verdict_line(retained(1024, ["a stack is missing"]))
    assert partial.startswith(f"This is partial (see the problems below): o{whole}")
    assert verdict_line(retained(16, ["a stack is missing"])).endswith(
        ": no single root keeps a tenth of the 2.0 KiB that are reachable."
    )


def test_what_could_not_be_reached_need_not_wait_for_the_collector() -> None:
    assert whole_line(retained(16, [])).endswith("2.0 KiB in 2 objects wait for the collector")
    assert whole_line(retained(16, ["a stack is missing"])).endswith(
        "2.0 KiB in 2 objects are reached by nothing that could be read"
    )


def test_what_several_roots_hold_is_said_where_it_is_most() -> None:
    rows = [Row(SHARED, "", Size(1600, 5)), Row("global", "main.cache", Size(16, 1))]
    found = retained(16, [])._replace(rows=rows)
    text = verdict_line(found)
    assert text.startswith("No single root keeps a tenth of the 2.0 KiB that are reachable; several ")
    look = "`addrspace retained --depth 2` shows through which objects."
    assert text.endswith(f" several together keep 1.6 KiB (78.1%): {look}")
    deeper = [rows[0]._replace(children=[Row(SHARED, "", Size(16, 1))]), rows[1]]
    assert verdict_line(found._replace(rows=deeper)).endswith(" several together keep 1.6 KiB (78.1%).")
    few = found._replace(rows=[Row(SHARED, "", Size(160, 5))])
    assert verdict_line(few).endswith("a tenth of the 2.0 KiB that are reachable.")


def test_objects_that_only_several_roots_hold_are_suspects_too() -> None:
    objects = [
        Row(OBJECT, "", Size(1200, 4), address=0xC000, type="main.Server"),
        Row(OBJECT, "", Size(300, 1), address=0xD000),
        Row(OBJECT, "", Size(20, 1), address=0xE000, type="main.Few"),
    ]
    rows = [Row(SHARED, "", Size(1600, 5), children=objects), Row("global", "main.cache", Size(16, 1))]
    found = retained(16, [])._replace(rows=rows)
    assert found.suspects == [] and found.suspects_shared == objects[:2]
    text = verdict_line(found)
    assert text.startswith("No single root keeps a tenth of the 2.0 KiB that are reachable; several roots ")
    assert text.endswith(
        " together hold main.Server, which keeps 1.2 KiB (58.6%) and an object at 0x00000000d000 300 B "
        "(14.6%): `addrspace holders 0x00000000c000` says which roots."
    )
    both = verdict_line(found._replace(rows=[rows[0], Row("global", "main.cache", Size(400, 1))]))
    assert " main.cache keeps 400 B (19.5%) alive by itself; --depth 2 shows through what. Several " in both
