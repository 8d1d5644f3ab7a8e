"""The list of findings, and lines in it that are worked out late."""

from __future__ import annotations

from typing import List

from addrspace_gdb.common.problems import Problems


def test_a_line_worked_out_late_has_the_place_of_the_promise() -> None:
    problems = Problems()
    asked: List[str] = []

    def second() -> List[str]:
        asked.append("second")
        return [*asked, "third", "third"]

    problems.add("first")
    problems.later(second)
    problems.later(list)
    problems.later(lambda: ["first"])
    problems.add("last")
    assert not asked
    assert list(problems) == ["first", "second", "third", "last"] == list(problems)
    assert len(asked) == 1 and len(problems) == 4


def test_nothing_found_late_is_no_problem() -> None:
    problems = Problems()
    problems.later(list)
    assert not problems and len(problems) == 0 and not list(problems)


def test_the_list_is_cut_at_the_same_line_whenever_lines_are_worked_out() -> None:
    def filled(late: bool) -> List[str]:
        problems = Problems()
        for number in range(Problems.MAX_LINES + 5):
            line = f"line {number}"
            if late and number == 3:
                problems.later(lambda: ["line 3"])
            else:
                problems.add(line)
        return list(problems)

    assert filled(late=True) == filled(late=False)
