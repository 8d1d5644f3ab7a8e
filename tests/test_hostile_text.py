"""Texts of a target that are no UTF-8, that a terminal obeys, or that have no end: paths, names, labels.

They are shown escaped and cut in every form, and JSON stays what every reader takes.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.processes import Processes
from harness.scenes import kernel_core
from harness.toolchains import Toolchain, Unavailable

from addrspace_gdb.common.escape import MAX_TEXT, decoded, printable, shortened
from addrspace_gdb.views.documents.form import encode

FOLDER = b"p\xff\xe9 \xc3"  # latin-1, a blank, and a character that is cut
SHOWN = r"p\xff\xe9 \xc3"
TEXTS: Tuple[str, ...] = (
    "addrspace",
    "addrspace regions",
    "addrspace whereis $pc $sp",
    "goroutine-stacks",
    "addrspace rss",
)
TEXTS += ("addrspace types", "addrspace retained", "goroutine-stacks --leaked", "addrspace profile goroutine")
TEXTS += ("goroutine-stacks --frames 3", "addrspace snapshot a", "addrspace diff a", "addrspace compare 1 1")
DOCUMENTS: Tuple[str, ...] = (
    "addrspace --format json",
    "addrspace whereis $pc $sp --format json",
    "addrspace diff a --format json",
)
DOCUMENTS += ("addrspace types --format json", "addrspace retained --format json")
DOCUMENTS += ("goroutine-stacks --format json --frames", "addrspace rss --format json")
SESSION = """
import gdb, json
found = {}
for command in COMMANDS:
    try:
        found[command] = gdb.execute(command, to_string=True)
    except gdb.error as error:
        found[command] = f"ERROR {error}"
with open(RESULT, "w", encoding="ascii") as file:
    json.dump(found, file)
"""


@pytest.fixture(params=["plain", "stripped"])
def placed(
    request: pytest.FixtureRequest, build_program: Builder, newest_go: Toolchain, tmp_path: Path
) -> Binary:
    """The program in a folder whose name is no UTF-8."""
    built = build_program("victim", newest_go, request.param)
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + FOLDER))
    folder.mkdir()
    shutil.copy2(built.path, folder / "victim")
    return built._replace(path=folder / "victim")


def ask(gdb: Gdb, enter: List[str], tmp_path: Path, cwd: Path, leave: List[str]) -> Dict[str, str]:
    """What every command says. gdb is started in the folder: 13 takes no such path in a command."""
    script, result = tmp_path / "session.py", tmp_path / "result.json"
    commands = [*TEXTS, *DOCUMENTS]
    script.write_text(f"COMMANDS = {commands!r}\nRESULT = {str(result)!r}\n{SESSION}")
    scene = Scene("core", None, ["file victim", *enter], leave)
    run = run_gdb(gdb, [f"source {script}"], scene, load=True, cwd=cwd)
    assert result.exists(), run.stderr[-3000:]
    found: Dict[str, str] = json.loads(result.read_text())
    return found


def assert_shown(found: Dict[str, str]) -> None:
    """Every answer is there, and clean."""
    for command, text in found.items():
        assert not text.startswith("ERROR"), (command, text)
        lines = [line for line in text.splitlines() if not line.startswith("warning: ")]
        assert all(line.isprintable() for line in lines), command
        if command in DOCUMENTS:
            document: Any = json.loads("\n".join(lines))
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    assert SHOWN in found["addrspace"]
    target = json.loads(found["addrspace --format json"].partition("{")[1] + _behind(found, "addrspace"))[
        "target"
    ]
    assert SHOWN in target["executable"]


def _behind(found: Dict[str, str], command: str) -> str:
    return found[f"{command} --format json"].partition("{")[2]


def test_a_core_in_such_a_place(placed: Binary, gdb_exe: Gdb, tmp_path: Path) -> None:
    """Its program, its arguments (80 bytes of them, cut inside a character) and its files."""
    where = placed.path.parent
    try:
        core = kernel_core(placed, where, Path("abort"), "é" * 60).path
    except Unavailable as problem:
        pytest.skip(str(problem))
    core.rename(where / "core.victim")
    assert_shown(ask(gdb_exe, ["core-file core.victim"], tmp_path, where, []))


def test_a_process_in_such_a_place(
    placed: Binary, gdb_exe: Gdb, tmp_path: Path, processes: Processes
) -> None:
    """And the name of its thread, and labels that are no UTF-8 or have 50 MB."""
    process = processes.start([str(placed.path), "odd"]).wait_ready()
    found = ask(gdb_exe, [f"attach {process.pid}"], tmp_path, placed.path.parent, ["detach"])
    assert_shown(found)
    rows = json.loads(found["goroutine-stacks --format json --frames"])["goroutines"]
    (labels,) = [row["labels"] for row in rows if "long" in (row.get("labels") or {})]
    assert (
        labels["key\\xff"] == "v\x1b[2J\\xc3"
    )  # JSON itself escapes what is no more than a control character
    assert len(labels["long"]) < 400 and "52,428,800 bytes" in labels["long"]
    assert max(map(len, found.values())) < 1 << 20


# A word before the process, and what follows it; `OUT` is a file that is looked at as what is printed.
WORDS: Tuple[Tuple[str, ...], ...] = (
    ("types", "PID"),
    ("retained", "PID", "--depth", "3", "--format", "svg"),
    ("goroutine-stacks", "PID", "--frames"),
    ("profile", "goroutine", "PID", "--format", "folded"),
    ("profile", "stacks", "PID", "-o", "OUT"),
    ("html", "PID", "--types", "--retained", "-o", "OUT"),
    ("watch", "PID", "--every", "100ms", "--for", "200ms"),
    ("watch", "PID", "--every", "100ms", "--for", "200ms", "--format", "openmetrics", "-o", "OUT"),
)


def test_names_that_a_terminal_obeys(
    build_program: Builder, newest_go: Toolchain, processes: Processes, tmp_path: Path
) -> None:
    """Of functions, types, variables and files, in every form that has another way to write text."""
    program = tmp_path / "kept\x1b[2J\n\u202e"
    program.write_bytes(build_program("kept", newest_go).path.read_bytes().replace(b"main.", b"\x1b[\xff\n."))
    program.chmod(0o755)
    process = processes.start([str(program)]).wait_ready()
    for words in WORDS:
        output = tmp_path / "output"
        done = cli(*(str({"PID": process.pid, "OUT": output}.get(word, word)) for word in words))
        assert (done.returncode, done.stderr) == (0, ""), words
        assert all(one.isprintable() for one in done.stdout.split("\n")), words
        if "OUT" in words:
            data = output.read_bytes()
            data = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
            assert b"\x1b[" not in data and b"\xff\n" not in data, words
            output.unlink()


def test_text_is_decoded_and_cut() -> None:
    assert decoded("é\n".encode()) == "é\n"
    assert printable(decoded(b"\xff\xc3\x1b")) == r"\xff\xc3\x1b"
    assert decoded(b"x" * MAX_TEXT) == "x" * MAX_TEXT
    assert decoded(b"x" * (MAX_TEXT + 1)) == "x" * MAX_TEXT + "... (4,097 bytes)"
    assert decoded(b"x" * 256, 50 << 20, 256) == "x" * 256 + "... (52,428,800 bytes)"
    assert decoded("é".encode() * 200, most=255) == "é" * 127 + "... (400 bytes)"  # not half of one
    assert shortened("é" * (MAX_TEXT + 1)) == "é" * MAX_TEXT + "... (4,097 characters)"
    assert shortened("x") == "x"


def test_json_has_no_surrogate_alone() -> None:
    for text, expected in (
        ("\udcff/é😀", "\\xff/é😀"),
        ("\ud800x", "\\ud800x"),
        ("😀\udc80", "😀\\x80"),
        ("a\\ud800", "a\\ud800"),  # that was text, and stays so
        ("\\\udcff", "\\\\xff"),
        ("\x1b\n\u2028", "\x1b\n\u2028"),
    ):
        made = encode({text: [text]})
        assert made.isascii()
        assert json.loads(made) == {expected: [expected]}
