"""`addrspace-gdb` on cores that are compressed, whole and damaged; and what else it prints of a core."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from itertools import zip_longest
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Union

import pytest
from harness import CHECKOUT
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import run_gdb
from harness.processes import INTERRUPTIBLE, Processes
from harness.scenes import kernel_core, open_core
from harness.toolchains import Toolchain, Unavailable

EACH_ONCE = True  # not every combination: tests/conftest.py

TOOLS = {"zst": ["zstd", "-q", "-c"], "lz4": ["lz4", "-q", "-c"]}
FORMATS = ("zst", "lz4", "xz", "gz")


class Crashed(NamedTuple):
    """A core of the kernel and where its tests may write."""

    core: Path
    binary: Binary
    folder: Path


@pytest.fixture(scope="module")
def crashed(
    newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crashed]:
    """The core of a panic."""
    folder = tmp_path_factory.mktemp("core")
    binary = build_program("crash", newest_go)
    try:
        yield Crashed(kernel_core(binary, folder, folder / "oracle").path, binary, folder)
    except Unavailable as problem:
        pytest.skip(str(problem))
    finally:
        for path in folder.glob("core*"):
            path.unlink()


def packed(form: str, content: Union[bytes, Path]) -> bytes:
    """`content` compressed, by the program that systemd-coredump's library belongs to or by Python's."""
    data = content if isinstance(content, bytes) else content.read_bytes()
    if form == "gz":
        return gzip.compress(data, 1)
    if form == "xz":
        return lzma.compress(data, preset=0)
    if not shutil.which(TOOLS[form][0]):
        pytest.skip(f"no {TOOLS[form][0]} on PATH")
    return subprocess.run(TOOLS[form], input=data, stdout=subprocess.PIPE, check=True).stdout


def shell(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """`addrspace-gdb ARGUMENTS` with the first gdb; `more` is added to its environment."""
    if not gdbs():
        pytest.skip("no gdb")
    more.setdefault("ADDRSPACE_GDB", str(gdbs()[0].path))
    return cli(*arguments, cwd=CHECKOUT, **more)


def dumped(core: Path, folder: Path, *more: object, **environment: str) -> Dict[str, Any]:
    """`addrspace/1` of the core; nothing was wrong with it."""
    done = shell("dump", core, "--format", "json", *more, TMPDIR=str(folder), **environment)
    assert (done.returncode, done.stderr) == (0, "")
    found: Dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_a_compressed_core_is_the_core(crashed: Crashed, form: str, tmp_path: Path) -> None:
    path = tmp_path / "core.of\x1b a service"  # told by what is in it, not by its name
    path.write_bytes(packed(form, crashed.core))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert dumped(path, scratch) == dumped(crashed.core, scratch)
    shown = shell("dump", path, "--width", "200", TMPDIR=str(scratch))
    assert f"core file {tmp_path}/core.of\\x1b a service" in shown.stdout
    assert os.listdir(scratch) == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_stream_that_stops_early_is_read_as_far_as_it_goes(
    crashed: Crashed, form: str, tmp_path: Path
) -> None:
    path, scratch = tmp_path / "core", tmp_path / "scratch"
    whole = packed(form, crashed.core)
    path.write_bytes(whole[: len(whole) * 3 // 4])
    scratch.mkdir()
    done = shell("dump", path, TMPDIR=str(scratch))
    first, second = done.stderr.splitlines()
    size = re.fullmatch(
        rf"addrspace-gdb: {path} ends early: what is in its first ([\d.]+ [MK]iB) is .*", first
    )
    assert size, first
    missing = re.search(r"truncated: ([\d,]+) bytes of it are missing", second)
    assert missing and done.returncode == 1
    left = crashed.core.stat().st_size - int(missing.group(1).replace(",", ""))
    assert abs(left / (1 << 20) - float(size.group(1).split()[0])) < 0.2
    assert "Kernel Space" in done.stdout
    assert os.listdir(scratch) == []


def refused(path: Path, folder: Path, expected: str, **environment: str) -> None:
    done = shell("dump", path, TMPDIR=str(folder), **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"addrspace-gdb: {expected}\n", done.stderr), done.stderr
    assert os.listdir(folder) == []


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_damaged_or_no_core_is_one_line(crashed: Crashed, form: str, tmp_path: Path) -> None:
    path, scratch = tmp_path / "core", tmp_path / "scratch"
    scratch.mkdir()
    whole = bytearray(packed(form, crashed.core))
    if form in ("zst", "xz"):  # the others find the damage by their checksum, after a core that looks whole
        middle = len(whole) // 2
        whole[middle : middle + 64] = bytes(byte ^ 0x5A for byte in whole[middle : middle + 64])
        path.write_bytes(whole)
        refused(path, scratch, f"{path} cannot be unpacked: .*")
    path.write_bytes(packed(form, b"some text\n" * 100))
    refused(path, scratch, f"what is in {path} is not an ELF file")
    path.write_bytes(packed(form, crashed.binary.path))
    refused(path, scratch, rf"what is in {path} is not a core file \(ELF type EXEC\)")
    path.write_bytes(bytes(whole[:7]) if form != "gz" else bytes(whole[:12]))
    refused(path, scratch, f"{path} cannot be unpacked: .*")


def test_a_core_with_a_wrong_checksum_is_not_taken_for_whole(crashed: Crashed, tmp_path: Path) -> None:
    path = tmp_path / "core"
    whole = bytearray(packed("gz", crashed.core))
    whole[-8] ^= 1  # the crc32 stands before the length
    path.write_bytes(whole)
    done = shell("dump", path)
    assert done.returncode == 1
    assert re.fullmatch(rf"addrspace-gdb: {path} cannot be unpacked: CRC .*\n", done.stderr)


def test_without_the_program_it_is_named(crashed: Crashed, tmp_path: Path) -> None:
    """Without zstd and lz4 on PATH; xz and gzip are Python's."""
    tools = tmp_path / "bin"
    tools.mkdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = tmp_path / "core"
    path.write_bytes(packed("lz4", crashed.core))
    refused(
        path, scratch, rf"{path} is compressed by lz4, .* install it \(apt-get install lz4\)", PATH=str(tools)
    )
    path.write_bytes(packed("zst", crashed.core))
    if sys.version_info < (3, 14):
        refused(path, scratch, rf"{path} is compressed by zstd, .*", PATH=str(tools))
    path.write_bytes(packed("xz", crashed.core))
    dumped(path, scratch, PATH=str(tools))


def grown(core: Path, size: int) -> bytes:
    """The beginning of the core with `size` bytes of zeroes promised in its last segment."""
    head = bytearray(core.read_bytes()[: 1 << 20])
    table, count = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<H", head, 56)[0]
    struct.pack_into("<Q", head, table + (count - 1) * 56 + 32, size)
    return bytes(head)


def test_a_disk_that_is_too_small_is_found_before_it_is_full(crashed: Crashed, tmp_path: Path) -> None:
    path, scratch = tmp_path / "core", tmp_path / "scratch"
    scratch.mkdir()
    path.write_bytes(packed("gz", grown(crashed.core, 1 << 60)))
    refused(path, scratch, rf"{path} unpacks to 1.0 EiB, and {scratch} has .* free; .*TMPDIR=DIR .*")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_unpacking_is_interrupted(
    crashed: Crashed, processes: Processes, tmp_path: Path, number: signal.Signals
) -> None:
    """zstd stands in the middle of it."""
    tools, scratch = tmp_path / "bin", tmp_path / "scratch"
    for folder in (tools, scratch):
        folder.mkdir()
    slow = tools / "zstd"
    slow.write_text(f"#!/bin/sh\n/usr/bin/head -c 3000000 {crashed.core}\nexec /bin/sleep 60\n")
    slow.chmod(0o755)
    path = tmp_path / "core"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(60))
    environment = {"TMPDIR": str(scratch), "PATH": str(tools), "ADDRSPACE_GDB": str(gdbs()[0].path)}
    command = [sys.executable, "-c", INTERRUPTIBLE, "dump", str(path)]
    dump = processes.start(command, cwd=CHECKOUT, env=environment)
    deadline = time.monotonic() + 90
    while not any(core.stat().st_size for core in scratch.glob("addrspace-gdb-*/unpacked")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    dump.popen.send_signal(number)
    _, errors = dump.popen.communicate(timeout=45)
    assert (dump.popen.returncode, errors) == (128 + number, b"")
    assert os.listdir(scratch) == []


REPORTS = ("regions", "rss", "memstats", "gc", "heap", "arenas", "spans", "fault", "goroutine-stacks")


def test_a_report_is_what_the_command_prints(crashed: Crashed, tmp_path: Path) -> None:
    prefixed = [name if "-" in name else f"addrspace {name}" for name in REPORTS]
    commands = ["set addrspace width 100", "set addrspace unicode on"]
    for name in prefixed:
        commands += [f"echo [{name}]\\n", name]
    run = run_gdb(gdbs()[0], commands, open_core(crashed.core, crashed.binary.path), load=True)
    _, *parts = re.split(r"^\[(.*)\]\n", run.stdout, flags=re.MULTILINE)
    shown = dict(zip(parts[::2], parts[1::2]))
    (tmp_path / "core").write_bytes(packed("gz", crashed.core))
    for name, command in zip(REPORTS, prefixed):
        done = shell("dump", tmp_path / "core", "--report", name, "--width", 100, PYTHONUTF8="1")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
        for told, there in zip_longest(done.stdout.split("\n\n"), shown[command].split("\n\n")):
            assert told == there or _advice(told) == _advice(there)


def _advice(paragraph: str) -> List[str]:
    """The words around an advised command, which each side types its own way: lines break elsewhere."""
    words = re.sub(r"`addrspace(?:-gdb (\S+) CORE| )", r"`\1", " ".join(paragraph.split())).split()
    assert any(word.startswith("`") for word in words)
    return words


def test_options_of_a_report(crashed: Crashed, tmp_path: Path) -> None:
    done = shell("dump", crashed.core, "--report", "goroutine-stacks 1 --frames", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    (goroutine,) = json.loads(done.stdout)["goroutines"]
    assert goroutine["goid"] == 1 and goroutine["frames"]
    done = shell("dump", crashed.core, "--report", "whereis goroutine:1", "-o", tmp_path / "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "the g of goroutine 1" in (tmp_path / "out").read_text()
    assert "usage: addrspace gc" in shell("dump", crashed.core, "--report", "gc --help").stdout
    wrong = {
        "--report=none": "--report: not one of addrspace, regions, .*",
        "--report=rss '": "--report: No closing quotation",
    }
    for option, expected in wrong.items():
        done = shell("dump", crashed.core, option)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(f"addrspace-gdb: {expected}\n", done.stderr), done.stderr
    done = shell("dump", crashed.core, "--report=rss --none")
    said = "addrspace-gdb: rss: unrecognized arguments: --none (see `addrspace-gdb rss --help`)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    done = shell("dump", crashed.core, "--report", "rss", "--format", "classic")
    assert (done.returncode, done.stdout) == (1, "") and "does not go with --report" in done.stderr
    done = shell("dump", crashed.core, "--report", "gc", "--check")
    assert (
        done.returncode == 0 and done.stdout and re.search(r"(\d+) of \1 sums are as the kernel", done.stderr)
    )


def test_cores_are_compared_like_dumps(crashed: Crashed, tmp_path: Path) -> None:
    packed_core, dump = tmp_path / "core.xz", tmp_path / "core.json"
    packed_core.write_bytes(packed("xz", crashed.core))
    assert shell("dump", crashed.core, "--format", "json", "--stacks", "-o", dump).returncode == 0
    for command in ("diff", "compare"):
        before = json.loads(shell(command, dump, dump, "--format", "json").stdout)
        done = shell(command, packed_core, dump, "--format", "json", TMPDIR=str(tmp_path))
        assert (done.returncode, done.stderr) == (0, "")
        assert named(json.loads(done.stdout)) == named(before)
    done = shell("diff", tmp_path / "none", dump)
    assert (done.returncode, done.stdout) == (1, "")
    assert sorted(os.listdir(tmp_path)) == ["core.json", "core.xz"]


def named(document: Any) -> Any:
    """The document without the names of the files and the times at which they were made."""
    if isinstance(document, dict):
        return {k: named(v) for k, v in document.items() if k not in ("name", "taken")}
    return [named(v) for v in document] if isinstance(document, list) else document


def test_gdb_itself_says_what_to_do_with_one(gdb_exe: Gdb, crashed: Crashed, tmp_path: Path) -> None:
    """gdb refuses the file, and then there is nothing to look at."""
    (tmp_path / "core.gz").write_bytes(packed("gz", crashed.core))
    run = run_gdb(gdb_exe, [f"core-file {tmp_path / 'core.gz'}", "addrspace"], load=True)
    assert re.search(
        r"^addrspace: no process: .*for a compressed one.*addrspace-gdb dump", run.stderr, re.MULTILINE
    )
