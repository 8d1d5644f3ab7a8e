"""`addrspace fault` on programs that die in each way: stopped at the fault, and from the kernel's core."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

import jsonschema
import pytest
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Scene, run_gdb
from harness.toolchains import NEWEST, Toolchain, selected_versions, toolchain_or_skip

from addrspace_gdb.process.x86_access import READ, UPDATE, WRITE, accesses
from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

Document = Dict[str, Any]

# How to die: the cause that is told, and where: (variant, area of the address, access, function).
GO: Dict[str, Tuple[str, Optional[str], str, str]] = {
    "nil-read": (
        r"nil dereference: read of the field at \+0x18 of a nil pointer",
        "null",
        "read",
        "readField",
    ),
    "nil-write": (r"nil dereference: read of a nil pointer", "null", "read", "writeField"),  # the nil check
    "nil-call": (r"nil dereference: a call of a nil func value", "null", "read", "callNil"),
    "rodata": (r"write to read-only memory \(globals: rodata\)", "globals", "write", "writeLiteral"),
    "unmapped": (r"read of memory that is not mapped|wild pointer: read", "free", "read", "load"),
    "wild": (r"wild pointer: read far from everything that is mapped", "free", "read", "load"),
    "noaccess": (r"write of memory without access", "foreign", "write", "store"),
    "truncated": (
        r"file truncated under its mapping: the file ends at 4,096",
        "mapped-files",
        "read",
        "load",
    ),
}
C = {
    "c-null": (r"in C code \(\S*c_write\): nil dereference: write of a nil pointer", "null", "write"),
    "c-rodata": (r"in C code \(\S*c_write\): write to read-only memory", "globals", "write"),
    "c-overflow": (r"in C code \(c_deep\): stack overflow", "free", "write"),
    "c-misaligned": (r"in C code \(\S*c_misaligned\): misaligned write", "globals", "write"),
}
# Without a signal: the cause, the text of the fatal error, the first panic's value.
TOLD: Dict[str, Tuple[str, Optional[str], Optional[str]]] = {
    "panic": ("panic: a string to panic with", None, "a string to panic with"),
    "panic-error": ("panic: a broken thing", None, "a broken thing"),
    "panic-number": ("panic: 4711", None, "4711"),
    "index": (
        r"panic: runtime error: index out of range \[7\] with length 3",
        None,
        "runtime error: index out of range [7] with length 3",
    ),
    "divide": (
        "panic: runtime error: integer divide by zero",
        None,
        "runtime error: integer divide by zero",
    ),
    "overflow-early": (
        r"a goroutine's stack outgrew its limit of 48,000,000 bytes: .* \(in main.deep\)",
        "stack overflow",
        None,
    ),
    "overflow": (
        r"a goroutine's stack outgrew its limit of 1,000,000,000 bytes: .* \(in main.deep\)",
        "stack overflow",
        None,
    ),
    "maps": ("two goroutines used a map at once", "concurrent map (read and map write|writes)", None),
    "deadlock": ("every goroutine waits", r"all goroutines are asleep - deadlock!", None),
    "memory": (r"the OS gave no more memory \(.*cannot allocate 67108864-byte block", "out of memory", None),
}


# These run with every Go of the slice; the others with the newest, and with every one in the matrix.
ALWAYS = ("nil-read", "rodata", "truncated", "panic-error", "deadlock", "maps", "c-null")
SLOW = ("overflow",)  # a core of half a GiB


def ways(table: Iterable[str]) -> List[Any]:
    """(way, index into the Go versions of the run) for parametrize."""
    made: List[Any] = []
    for way in table:
        for version in selected_versions():
            usual = (way in ALWAYS or version == NEWEST) and way not in SLOW
            marks = () if usual else (pytest.mark.matrix,)
            made.append(pytest.param(way, version, id=f"{way}-go{version}", marks=marks))
    return made


def ask(gdb: Gdb, scene: Scene, folder: Path) -> Tuple[Document, str]:
    """What the command says, as JSON and as text."""
    path = folder / "fault.json"
    commands = [
        f"addrspace fault --format json --output {path}",
        "echo =text\\n",
        "addrspace fault",
        "echo =end\\n",
    ]
    copy = folder / "stopped.core"
    compared = gdb.path == gdbs()[0].path
    if compared and scene.kind == "live":
        commands.append(f"gcore {copy}")
    run = run_gdb(gdb, commands, scene, load=True, cwd=folder)
    assert "Traceback" not in run.stderr and path.exists(), run.stdout[-2000:] + run.stderr[-2000:]
    document: Document = json.loads(path.read_text())
    jsonschema.Draft202012Validator(schema("fault/1")).validate(document)
    text = run.stdout.split("=text\n", 1)[1].split("=end", 1)[0]
    assert text and all(len(line) <= 100 for line in text.splitlines()), text
    assert document["problems"] == []
    if compared:
        file = copy if scene.kind == "live" else Path(scene.enter[0].split(" ", 1)[1])
        same_without_gdb(file, gdb, folder)
    return document, text


def same_without_gdb(core: Path, gdb: Gdb, folder: Path) -> None:
    """Of a core the same is told without a debugger, but for the text of the instruction."""
    command = ("dump", core, "--report", "fault", "--format", "json")
    told: List[Document] = []
    for options in (("--gdb", gdb.path), ("--debugger", "none")):
        done = cli(*command, *options, cwd=folder)
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    by_gdb, without = told
    if by_gdb["fault"] is not None:
        assert without["fault"]["instruction"] is None
        nowhere = by_gdb["fault"]["access"] == "execute"  # there is none
        assert by_gdb["fault"]["instruction"] is not None or nowhere
        without["fault"]["instruction"] = by_gdb["fault"]["instruction"]
    assert without == by_gdb


def live(binary: Binary, way: str, folder: Path) -> Scene:
    """Stopped at the fault, as gdb does by itself."""
    run = f"run {way} {folder / 'file'} </dev/null >/dev/null 2>&1"
    return Scene("live", binary.path, [run], ("kill",))


def core(binary: Binary, way: str, folder: Path) -> Tuple[Scene, str]:
    """The kernel's core of a program that ran with GOTRACEBACK=crash, and what Go printed."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if not re.fullmatch(r"core[.%\w]*", pattern) or hard != resource.RLIM_INFINITY:
        pytest.skip(f"no cores here (kernel.core_pattern is {pattern!r})")
    done = subprocess.run(
        [str(binary.path), way, str(folder / "file")],
        cwd=str(folder),
        env={**os.environ, "GOTRACEBACK": "crash"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)),
        check=False,
    )
    # By Go, or by the kernel, where it was on a thread of C's or the file was cut.
    assert done.returncode in (-signal.SIGABRT, -signal.SIGBUS, -signal.SIGSEGV), done.stderr[-2000:]
    (file,) = folder.glob("core*")
    return Scene("core", binary.path, [f"core-file {file}"]), done.stderr


@pytest.fixture(autouse=True)
def no_cores_left(tmp_path: Path) -> Iterator[None]:
    """pytest keeps the folders of several runs; cores would fill the disk."""
    yield
    for file in (*tmp_path.glob("core*"), *tmp_path.glob("*.core")):
        file.unlink()


@pytest.fixture
def gdb() -> Gdb:
    if not gdbs():
        pytest.skip("no gdb")
    return gdbs()[0]


def check(document: Document, cause: str, area: Optional[str], access: str) -> None:
    assert re.match(cause, document["cause"]), document["cause"]
    assert document["fault"]["access"] == access
    assert document["where"]["area"] == area


@pytest.mark.parametrize("way", ["nil-write", "nil-call", "rodata"])
def test_a_fault_of_386(
    newest_go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path, way: str
) -> None:
    cause, area, access, _ = GO[way]
    document, _ = ask(gdb, live(build_program("faults", newest_go, "386"), way, tmp_path), tmp_path)
    check(document, cause, area, access)


@pytest.mark.parametrize(("way", "version"), ways(GO))
def test_a_fault_of_go_at_the_stop(
    build_program: Builder, gdb: Gdb, tmp_path: Path, way: str, version: str
) -> None:
    cause, area, access, function = GO[way]
    document, text = ask(
        gdb, live(build_program("faults", toolchain_or_skip(version)), way, tmp_path), tmp_path
    )
    check(document, cause, area, access)
    assert document["fault"]["source"] == "this stop" and document["goroutine"] == 1
    assert document["code"]["code"]["function"] == document["frames"][0]["function"] == f"main.{function}"
    assert (
        document["fault"]["instruction"] in text.replace("instruction", "") or document["fault"]["pc"] in text
    )
    assert text.splitlines()[0][:60] in document["cause"]
    if way == "truncated":
        assert document["fault"]["signal"] == "SIGBUS"
        assert document["where"]["mapping"]["offset"] == 0x8000


@pytest.mark.parametrize(("way", "version"), ways(["nil-read", "rodata", "truncated"]))
def test_a_fault_of_go_in_the_kernels_core(
    build_program: Builder, gdb: Gdb, tmp_path: Path, way: str, version: str
) -> None:
    """The core is made long after: the g has the record."""
    cause, area, access, function = GO[way]
    scene, said = core(build_program("faults", toolchain_or_skip(version)), way, tmp_path)
    document, _ = ask(gdb, scene, tmp_path)
    check(document, cause, area, access)
    fault = document["fault"]
    assert fault["source"] == "the runtime's record in the g" and document["goroutine"] == 1
    printed = re.search(r"\[signal SIG\w+: .* code=(0x[0-9a-f]+) addr=(0x[0-9a-f]+) pc=(0x[0-9a-f]+)\]", said)
    assert printed and (fault["address"], fault["pc"]) == printed.group(2, 3)
    assert fault["code"] == int(printed.group(1), 16)
    assert document["crashing"] and document["frames"][0]["function"] == f"main.{function}"


def test_an_address_that_the_kernel_does_not_tell(
    go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path
) -> None:
    binary = build_program("faults", go)
    document, _ = ask(gdb, live(binary, "noncanonical", tmp_path), tmp_path)
    assert document["fault"]["code_name"] == "SI_KERNEL" and document["fault"]["computed"]
    assert document["fault"]["address"] == "0xdead00000000beef"
    assert document["cause"].startswith("wild pointer: read at an address that no memory")
    scene, _ = core(binary, "noncanonical", tmp_path)
    document, text = ask(gdb, scene, tmp_path)
    assert document["fault"]["address"] is None and document["where"] is None
    assert "the kernel does not tell which" in document["cause"]
    assert "not known: the kernel gives none" in text


def test_the_bytes_stand_where_nobody_disassembles(
    newest_go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path
) -> None:
    document, _ = ask(gdb, live(build_program("faults", newest_go), "rodata", tmp_path), tmp_path)
    core = tmp_path / "stopped.core"
    done = cli("dump", core, "--debugger", "none", "--report", "fault", cwd=tmp_path)
    assert document["fault"]["instruction"].split() == ["movb", "$0x41,(%rax)"]
    assert f"instruction {document['fault']['pc']} c6 00 41\n" in done.stdout


@pytest.mark.parametrize(("way", "version"), ways(TOLD))
def test_what_the_runtime_recorded(
    build_program: Builder, gdb: Gdb, tmp_path: Path, way: str, version: str
) -> None:
    cause, message, value = TOLD[way]
    scene, said = core(build_program("faults", toolchain_or_skip(version)), way, tmp_path)
    document, _ = ask(gdb, scene, tmp_path)
    assert re.match(cause, document["cause"]), document["cause"]
    assert document["fault"] is None and document["crashing"]
    if message is None:
        assert document["message"] is None and document["panics"][0]["value"] == value
        assert f"panic: {value}" in said
    else:
        assert re.fullmatch(message, document["message"])
        assert f"fatal error: {document['message']}" in said
    if way != "deadlock":  # reported on a thread's own stack
        goids = [int(goid) for goid in re.findall(r"^goroutine (\d+)", said, re.MULTILINE)]
        # Two goroutines may find the map misused at the same time, and both stop the program.
        assert document["goroutine"] in (goids if way == "maps" else goids[:1])
        assert any("main." in str(frame["function"]) for frame in document["frames"])


@pytest.mark.parametrize(("way", "version"), ways(C))
def test_a_fault_of_c(build_program: Builder, gdb: Gdb, tmp_path: Path, way: str, version: str) -> None:
    binary = build_program("faults", toolchain_or_skip(version), "cgo")
    cause, area, access = C[way]
    stopped, _ = ask(gdb, live(binary, way, tmp_path), tmp_path)
    check(stopped, cause, area, access)
    scene, _ = core(binary, way, tmp_path)
    later, _ = ask(gdb, scene, tmp_path)
    check(later, cause, area, access)
    assert later["fault"]["source"] == "the signal handler's frame"
    for name in ("signal", "code", "access", "pc", "instruction"):
        assert later["fault"][name] == stopped["fault"][name]
    assert later["goroutine"] == stopped["goroutine"] == 1
    assert later["frames"][0]["function"].startswith("main._Cfunc_c_")


def test_checkptr(newest_go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path) -> None:
    scene, said = core(build_program("faults", newest_go, "race"), "checkptr", tmp_path)
    document, _ = ask(gdb, scene, tmp_path)
    assert document["cause"].startswith("checkptr refused")
    assert document["message"] == "checkptr: misaligned pointer conversion"
    assert "checkptr: misaligned pointer conversion" in said


def test_a_stop_without_a_fault(
    newest_go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path
) -> None:
    binary = build_program("faults", newest_go)
    scene = Scene("live", binary.path, ["break main.die", "run panic >/dev/null 2>&1"])
    run = run_gdb(gdb, ["addrspace fault"], scene, load=True, cwd=tmp_path)
    assert run.status == 1
    assert "addrspace: no fault, panic or fatal error is on record at this stop" in run.stderr


def test_a_stop_inside_a_panic(go: Toolchain, build_program: Builder, gdb: Gdb, tmp_path: Path) -> None:
    """Before the report has begun: the value is still what was given to panic."""
    binary = build_program("faults", go)
    enter = ["break runtime.fatalpanic", "run panic-error >/dev/null 2>&1"]
    document, _ = ask(gdb, Scene("live", binary.path, enter, ("kill",)), tmp_path)
    assert document["cause"] == "panic: a broken thing" and document["goroutine"] == 1
    assert document["fault"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mov    0x18(%rax),%rcx", [(READ, 0x1018)]),
        ("mov    %rcx,-0x8(%rax)", [(WRITE, 0xFF8)]),
        ("movb   $0x41,(%rax)", [(WRITE, 0x1000)]),
        ("test   %al,(%rax)", [(READ, 0x1000)]),
        ("cmpl   $0x0,0x10(%rax)", [(READ, 0x1010)]),
        ("add    $0x1,(%rax)", [(UPDATE, 0x1000)]),
        ("lock xadd %ecx,(%rax)", [(UPDATE, 0x1000)]),
        ("mov    %rcx,(%rax,%rbx,8)", [(WRITE, 0x1080)]),
        ("call   *(%rdx)", [(READ, None)]),
        ("lea    0x18(%rax),%rcx", []),
        ("rep movsq %ds:(%rsi),%es:(%rdi)", [(READ, 0x2000), (WRITE, 0x3000)]),
        ("mov    %fs:0xfffffffffffffff8,%rcx", [(READ, None)]),
        ("mov    %gs:0x10(%rax),%rcx", [(READ, None)]),
        ("mov    0x100(%rip),%rax        # 0x4711 <main.x>", [(READ, 0x4711)]),
        ("mov    0x4711,%eax", [(READ, 0x4711)]),
        ("movabs %al,0x4711", [(WRITE, 0x4711)]),
        ("movl   $0x1,-0x8(%eax,%ebx,2)", [(WRITE, 0x1018)]),
        ("call   0x4711 <main.x>", []),
        ("call   *0x4711", [(READ, 0x4711)]),
        ("lock cmpxchg %ecx,(%rax)", [(UPDATE, 0x1000)]),
        ("cmpsb  %es:(%rdi),%ds:(%rsi)", [(READ, 0x3000), (READ, 0x2000)]),
        ("vmovdqu8 %ymm0,(%rax){%k1}", [(WRITE, 0x1000)]),
        ("fadds  0x10(%rax)", [(READ, 0x1010)]),
        ("bts    %rcx,(%rax)", [(UPDATE, None)]),
        ("out    %al,(%dx)", []),
        ("nopw   0x0(%rax,%rax,1)", []),
        ("cs nopw 0x0(%rax,%rax,1)", []),
        ("xor    %eax,%eax", []),
        ("(bad)", []),
        ("", []),
    ],
)
def test_operands_of_instructions(text: str, expected: List[Tuple[str, Optional[int]]]) -> None:
    registers = {"rax": 0x1000, "rbx": 0x10, "rsi": 0x2000, "rdi": 0x3000}
    assert [tuple(one) for one in accesses(text, registers.get)] == expected
