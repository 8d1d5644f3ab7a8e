"""What is typed after `goroutine-apply` and `goroutine`."""

from __future__ import annotations

from typing import Dict

import pytest

from addrspace_gdb.commands.goroutine_args import parse_apply, parse_select, selecting, split
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.space.goroutines.chosen import GoroutineState

VARIABLES: Dict[str, int] = {"$me": 17, "$current_goid()": 4}


def variable(word: str) -> int:
    if word not in VARIABLES:
        raise ProblemError(f"{word} is not a number")
    return VARIABLES[word]


def test_numbers_ranges_and_variables() -> None:
    wanted = parse_apply("1 17-20 $me 5 bt 3", variable)
    assert wanted.chosen.ranges == ((1, 1), (17, 20), (17, 17), (5, 5))
    assert wanted.chosen.named() == [1, 17, 5]
    assert wanted.command == "bt 3"
    assert [goid for goid in range(25) if wanted.chosen.has_goid(goid)] == [1, 5, 17, 18, 19, 20]


def test_a_function_of_gdb_may_give_the_number() -> None:
    assert parse_apply("$current_goid() bt", variable).chosen.named() == [4]
    assert parse_select("$current_goid()", variable).goid == 4


def test_all_takes_every_goroutine() -> None:
    wanted = parse_apply("3 all bt", variable)
    assert wanted.chosen.ranges == ()
    assert wanted.chosen.has_goid(1 << 60)


@pytest.mark.parametrize("line", ["-q 1 bt", "1 -q bt", "  1   -q   bt"])
def test_flags_stand_before_or_behind_the_goroutines(line: str) -> None:
    wanted = parse_apply(line, variable)
    assert (wanted.quiet, wanted.go_on, wanted.silent, wanted.command) == (True, False, False, "bt")


def test_flags_behind_the_command_are_the_commands() -> None:
    wanted = parse_apply("1 -c bt -full -q", variable)
    assert (wanted.quiet, wanted.go_on, wanted.command) == (False, True, "bt -full -q")


def test_the_command_is_handed_on_as_typed() -> None:
    wanted = parse_apply("""1 -s  printf "a  b 'c\\n" , x""", variable)
    assert wanted.silent
    assert wanted.command == """printf "a  b 'c\\n" , x"""


def test_statuses_are_alternatives_and_all_filters_must_hold() -> None:
    chosen = parse_apply("1-100 waiting runnable function:^main\\. reason:chan bt", variable).chosen
    assert chosen.filtered
    assert chosen.has_goid(100)
    assert not chosen.has_goid(101)
    assert chosen.matches(GoroutineState("waiting", None, "chan receive"))
    assert chosen.matches(GoroutineState("runnable", None, "chan receive"))
    assert not chosen.matches(GoroutineState("waiting", None, "select"))
    assert not chosen.matches(GoroutineState("syscall", None, "chan receive"))
    assert chosen.calls(["runtime.gopark", "main.f"]) == chosen.all_functions
    assert chosen.calls(["runtime.gopark", "domain.f"]) != chosen.all_functions
    assert chosen.calls([]) != chosen.all_functions


def test_every_pattern_must_be_found_somewhere_on_the_stack() -> None:
    chosen = parse_apply("function:one function:two bt", variable).chosen
    assert chosen.calls(["main.one", "main.two"]) == chosen.all_functions
    assert chosen.calls(["main.one"]) != chosen.all_functions


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_pattern_may_have_blanks(quote: str) -> None:
    chosen = parse_apply(f"reason:{quote}chan receive{quote} bt", variable).chosen
    assert chosen.matches(GoroutineState("waiting", None, "chan receive"))
    assert not chosen.matches(GoroutineState("waiting", None, "chan"))


def test_numbers_beside_filters_need_not_exist() -> None:
    assert parse_apply("1 2 waiting bt", variable).chosen.named() == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "expected goroutines"),
        ("bt", "not 'bt'"),
        ("-q", "expected goroutines"),
        ("1", "missing command"),
        ("all -q", "missing command"),
        ("1 -c -s bt", "exclude"),
        ("1 -x bt", "no flag -x"),
        ("--raw 1 bt", "no flag --raw"),
        ("7-3 bt", "inverted"),
        ("function: bt", "regular expression"),
        ("function:'' bt", "regular expression"),
        ("function:( bt", r"function:\(: "),
        ("reason:'a bt", "expected goroutines|reason"),
        ("$nothing bt", r"\$nothing is not a number"),
        ("\x1b[31m bt", r"\\x1b\[31m"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(line: str, said: str) -> None:
    with pytest.raises(ProblemError, match=said) as caught:
        parse_apply(line, variable)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_huge_numbers_are_only_numbers() -> None:
    line = "99999999999999999999999999 0-340282366920938463463374607431768211456 bt"
    assert parse_apply(line, variable).chosen.has_goid(5)


def test_split_serves_completion() -> None:
    assert split("all -q info loc") == (["all"], ["-q"], "info loc")
    assert split("wai") == ([], [], "wai")
    assert split("") == ([], [], "")


@pytest.mark.parametrize("command", ["frame 1", "f 1", "fra  1", "frame 1 "])
def test_commands_that_select_a_frame(command: str) -> None:
    assert (selecting(command) or "").strip() == "1"


@pytest.mark.parametrize(
    "command", ["frame", "frame apply all bt", "finish", "framework 1", "bt 1", "info frame"]
)
def test_commands_that_do_not(command: str) -> None:
    assert selecting(command) is None


def test_goroutine_alone_shows() -> None:
    shown = parse_select("", variable)
    assert (shown.goid, shown.off, shown.apply) == (None, False, None)


def test_goroutine_selects() -> None:
    assert parse_select("17", variable).goid == 17
    assert parse_select(" $me ", variable).goid == 17
    assert parse_select("--off", variable).off
    assert parse_select("0", variable).off


def test_goroutine_runs_a_command_as_in_runtime_gdb() -> None:
    one = parse_select("17 bt  3", variable).apply
    assert one is not None
    assert (one.chosen.ranges, one.quiet, one.command) == (((17, 17),), True, "bt  3")
    every = parse_select("all p 1", variable).apply
    assert every is not None
    assert (every.chosen.ranges, every.quiet, every.command) == ((), False, "p 1")


@pytest.mark.parametrize("line", ["x", "x bt", "all", "-1", "1-2", "--of", "1.5 bt"])
def test_goroutine_refuses(line: str) -> None:
    with pytest.raises(ProblemError, match="^goroutine: "):
        parse_select(line, variable)
