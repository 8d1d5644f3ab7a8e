"""Installing and sourcing: what a new user does, in the gdbs of this machine and in gdbs that cannot."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import pytest
from harness import CHECKOUT, LOADER, cache_dir
from harness.build import build
from harness.debuggers import Gdb
from harness.processes import Processes
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py

PACKAGE = "addrspace_gdb"
# In gdb's Python: as if no package but its own were there.
HIDE_PACKAGES = (
    "python import sys; sys.path = [p for p in sys.path if '-packages' not in p or 'gdb_for_pwndbg' in p]"
)


def run(command: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run to the end outside the checkout, with `more` on top of a small environment."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **more}
    return subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        cwd="/",
        timeout=60,
        env=environment,
    )


def in_gdb(gdb: Path, *commands: str, before: Sequence[str] = (), **more: str) -> List[str]:
    """The lines that a gdb without ~/.gdbinit prints, on stdout and stderr, while it runs the commands."""
    arguments = [str(gdb), "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off"]
    for command in before:
        arguments += ["-iex", command]
    for command in commands:
        arguments += ["-ex", command]
    done = run(arguments, **more)
    return (done.stdout + done.stderr).splitlines()


def copy_package(parent: Path) -> Path:
    """The package alone, in a folder of its own; returns its load.py."""
    shutil.copytree(CHECKOUT / PACKAGE, parent / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    return parent / PACKAGE / LOADER.name


@functools.cache
def other_python() -> Optional[str]:
    """A Python of this machine that is not of this one's minor version, the oldest that is new enough."""
    found: Dict[int, str] = {}
    installed = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"))
    for path in [*(f"python3.{minor}" for minor in range(9, 16)), *map(str, installed)]:
        try:
            done = run(
                [path, "-c", "import sys, venv, ensurepip; print(sys.version_info[1])"],
                PATH=os.environ["PATH"],
            )
        except OSError:
            continue
        if done.returncode == 0 and int(done.stdout) >= 9 and int(done.stdout) != sys.version_info[1]:
            found.setdefault(int(done.stdout), path)
    return found[min(found)] if found else None


@pytest.fixture(scope="module", params=["this Python", "another Python"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `addrspace-gdb` of a `pip install` into a fresh virtual environment."""
    python = sys.executable if request.param == "this Python" else other_python()
    if python is None:
        pytest.skip("no second version of Python here")
    folder = tmp_path_factory.mktemp("installed with a blank ")
    source = folder / "source"  # building leaves files behind
    copy_package(source)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    for command in (
        [python, "-m", "venv", str(folder / "venv")],
        [str(folder / "venv/bin/python"), "-m", "pip", "--disable-pip-version-check", "install", str(source)],
    ):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
        )
        if re.search(r"from versions: none|NewConnectionError|ProxyError", done.stdout):
            pytest.skip("the package index cannot be reached")
        assert done.returncode == 0, done.stdout
    return folder / "venv" / "bin" / "addrspace-gdb"


def test_init_prints_the_line_that_brings_the_commands(installed: Path, gdb_exe: Gdb, tmp_path: Path) -> None:
    done = run([str(installed), "init"])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"source /.*/addrspace_gdb/load\.py\n", done.stdout)
    assert Path(done.stdout.split(maxsplit=1)[1].strip()).with_name("py.typed").exists()

    (tmp_path / "gdbinit").write_text(done.stdout)
    assert in_gdb(gdb_exe.path, f"source {tmp_path}/gdbinit") == []
    said = in_gdb(gdb_exe.path, f"source {tmp_path}/gdbinit", f"source {tmp_path}/gdbinit", "help addrspace")
    assert said
    assert not any("ndefined" in line for line in said), said


def test_installed_dump_shows_a_process(
    installed: Path, gdb_exe: Gdb, newest_go: Toolchain, processes: Processes
) -> None:
    sample = processes.start([str(build("sample", newest_go).path)]).wait_ready()
    done = run([str(installed), "dump", str(sample.pid), "--gdb", str(gdb_exe.path), "--format", "json"])
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["schema"] == "addrspace/1"
    assert answer["target"]["pid"] == sample.pid
    assert answer["target"]["go_version"] == str(newest_go)
    assert answer["goroutines"]["total"] >= 200
    assert sample.running()


def test_what_shells_and_man_look_for_is_installed(installed: Path) -> None:
    share = installed.parent.parent / "share"
    for place in (
        "man/man1/addrspace-gdb.1",
        "bash-completion/completions/addrspace-gdb",
        "zsh/site-functions/_addrspace-gdb",
        "fish/vendor_completions.d/addrspace-gdb.fish",
    ):
        assert "addrspace" in (share / place).read_text(encoding="utf-8")
    printed = run([str(installed), "completion", "bash"])
    assert printed.stdout == (share / "bash-completion/completions/addrspace-gdb").read_text()
    assert json.loads(run([str(installed), "schema", "watch/1"]).stdout)["title"] == "watch/1"
    words = run([str(installed), "--help"])
    assert (words.returncode, words.stderr) == (0, "") and " watch " in words.stdout


@pytest.mark.matrix
def test_a_source_distribution_installs(tmp_path: Path) -> None:
    source, environment = tmp_path / "source", tmp_path / "venv"
    copy_package(source)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    python = str(environment / "bin/python")
    make = "from setuptools import build_meta; print(build_meta.build_sdist('made'))"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install"]
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [*pip, "setuptools>=65"],
        [python, "-c", make],
    ):
        subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300, check=True)
    (archive,) = (source / "made").iterdir()
    subprocess.run([*pip, str(archive)], capture_output=True, text=True, timeout=300, check=True)
    installed = str(environment / "bin" / "addrspace-gdb")
    assert run([installed, "schema"]).stdout.split()[0] == "addrspace/1"
    about = subprocess.run(
        [python, "-m", "pip", "show", "-v", "addrspace-gdb"], capture_output=True, text=True, check=True
    )
    assert "Python :: 3.14" in about.stdout


def test_load_finds_the_checkouts_environment_last(gdb_exe: Gdb, tmp_path: Path) -> None:
    loader = copy_package(tmp_path)
    site = tmp_path / ".venv" / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    site.parent.mkdir(parents=True)
    site.symlink_to(sysconfig.get_path("purelib"))
    said = in_gdb(
        gdb_exe.path,
        f"source {loader}",
        "help addrspace",
        "python import addrspace_gdb; print(addrspace_gdb.__file__)",
        "python import sys; print(sys.path[-2:])",
        before=[HIDE_PACKAGES],
    )
    assert len(said) > 2
    assert said[-2:] == [str(loader.with_name("__init__.py")), str([str(tmp_path), str(site)])]


def test_load_takes_the_copy_that_is_sourced(gdb_exe: Gdb, tmp_path: Path) -> None:
    decoy = tmp_path / "decoy" / PACKAGE
    decoy.mkdir(parents=True)
    (decoy / "__init__.py").write_text("raise RuntimeError('the wrong copy')\n")
    said = in_gdb(
        gdb_exe.path,
        f"source {LOADER}",
        "python import addrspace_gdb; print(addrspace_gdb.__file__)",
        before=[f"python import sys; sys.path.insert(0, {str(decoy.parent)!r})"],
    )
    assert said == [str(LOADER.with_name("__init__.py"))]


def test_missing_packages_are_one_line_with_the_command_that_helps(gdb_exe: Gdb, tmp_path: Path) -> None:
    loader = copy_package(tmp_path / "with a blank")
    said = in_gdb(gdb_exe.path, f"source {loader}", before=[HIDE_PACKAGES])
    assert len(said) == 1
    match = re.fullmatch(
        r"addrspace-gdb: missing in gdb's Python: pygments, tabulate, elftools; .* run: python3 (-m pip .*)",
        said[0],
    )
    assert match

    done = subprocess.run(
        f"'{sys.executable}' {match.group(1)}",
        shell=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if "from versions: none" in done.stdout:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stdout
    assert in_gdb(gdb_exe.path, f"source {loader}", before=[HIDE_PACKAGES]) == []


def test_missing_packages_in_a_checkout_name_its_setup(gdb_exe: Gdb, tmp_path: Path) -> None:
    loader = copy_package(tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "demo").touch()
    said = in_gdb(gdb_exe.path, f"source {loader}", before=[HIDE_PACKAGES])
    assert len(said) == 1
    assert said[0].endswith(f"run: {tmp_path}/scripts/demo")


def test_a_package_that_cannot_be_imported_is_one_line(gdb_exe: Gdb, tmp_path: Path) -> None:
    loader = copy_package(tmp_path)
    loader.with_name("__init__.py").write_text("raise RuntimeError('first\\nsecond')\n")
    site = sysconfig.get_path("purelib")
    said = in_gdb(gdb_exe.path, f"source {loader}", before=[f"python import sys; sys.path.append({site!r})"])
    assert said == ["addrspace-gdb: cannot load: RuntimeError: first second"]


def test_what_load_asks_for_is_what_the_project_declares() -> None:
    declared = re.search(
        r"^dependencies = \[\n(.*?)^\]", (CHECKOUT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL
    )
    asked = re.search(r"needed = \{(.*?)\}", LOADER.read_text())
    assert declared is not None
    assert asked is not None
    bounds = dict(re.findall(r'"(\w+)>=[\d.]+,(<[\d.]+)"', declared.group(1)))
    assert bounds == dict(re.findall(r': "(\w+)(<[\d.]+)"', asked.group(1)))


@pytest.mark.parametrize(
    ("pretend", "expected"),
    [
        ('python gdb.VERSION = "11.2"', r"gdb 11\.2 is too old, 12 or newer is needed; .*"),
        ('python gdb.VERSION = "Fedora Linux 9.1-7.fc32"', r"gdb .* is too old, 12 or newer is needed; .*"),
        ("python import sys; sys.version_info = (3, 6, 15)", r"the Python 3\.6 in this gdb is too old, .*"),
    ],
)
def test_what_is_too_old_is_one_line(gdb_exe: Gdb, pretend: str, expected: str) -> None:
    said = in_gdb(gdb_exe.path, f"source {LOADER}", before=[pretend])
    assert len(said) == 1
    assert re.fullmatch("addrspace-gdb: " + expected, said[0])


@pytest.fixture(scope="module")
def gdb_without_python() -> Path:
    """Debian's gdb-minimal, unpacked into the cache and not installed."""
    folder = cache_dir() / "gdb-minimal"
    program = folder / "usr" / "bin" / "gdb"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            pytest.skip("no apt-get to have Debian's gdb-minimal from")
        for arguments in (
            ["apt-get", "-qq", "download", "gdb-minimal"],
            ["sh", "-c", "dpkg -x gdb-minimal_*.deb ."],
        ):
            subprocess.run(
                arguments,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=120,
                check=False,
            )
    if not program.exists():
        pytest.skip("Debian's gdb-minimal cannot be had")
    assert run([str(program), "-nx", "-batch", "-ex", "python 1"]).stderr.startswith(
        "Python scripting is not"
    )
    return program


@pytest.mark.parametrize("script", [LOADER, CHECKOUT / "gdbinit.example"], ids=lambda path: path.name)
def test_a_gdb_without_python_says_so_in_one_line(gdb_without_python: Path, script: Path) -> None:
    said = in_gdb(gdb_without_python, f"source {script}", "echo and goes on\\n")
    assert len(said) == 2
    assert re.fullmatch("addrspace-gdb: this gdb has no Python; one that has it: .*install gdb.*", said[0])
    assert said[1] == "and goes on"


def test_gdbinit_example_works_from_a_checkout(gdb_exe: Gdb, tmp_path: Path) -> None:
    example = CHECKOUT / "gdbinit.example"
    assert in_gdb(gdb_exe.path, f"source {example}", "python print(_addrspace_gdb_init())") != []
    (tmp_path / ".gdbinit").symlink_to(example)
    arguments = [str(gdb_exe.path), "-q", "-batch", "-ex", "help addrspace"]
    done = run(arguments, HOME=str(tmp_path))
    assert (done.stderr, done.stdout == "") == ("", False)


def test_gdbinit_example_works_as_a_copy(installed: Path, gdb_exe: Gdb, tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "gdbinit.example", tmp_path / ".gdbinit")
    arguments = [str(gdb_exe.path), "-q", "-batch", "-ex", "help addrspace"]
    done = run(arguments, HOME=str(tmp_path), PATH=f"{installed.parent}:/usr/bin:/bin")
    assert (done.stderr, done.stdout == "") == ("", False)


def example_says(gdb: Gdb, folder: Path, first: Sequence[str] = (), **more: str) -> List[str]:
    """What sourcing a copy of gdbinit.example prints."""
    shutil.copy(CHECKOUT / "gdbinit.example", folder / "copied")
    return in_gdb(gdb.path, *first, f"source {folder}/copied", **more)


def test_gdbinit_example_says_in_one_line_that_nothing_is_installed(gdb_exe: Gdb, tmp_path: Path) -> None:
    said = example_says(gdb_exe, tmp_path)
    assert len(said) == 1
    assert said[0].startswith("addrspace-gdb: not found on PATH; install it")


@pytest.mark.parametrize("answer", ["exit 3", "echo nonsense", "echo source a; echo source b"])
def test_gdbinit_example_believes_no_strange_answer(gdb_exe: Gdb, tmp_path: Path, answer: str) -> None:
    program = tmp_path / "addrspace-gdb"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    said = example_says(gdb_exe, tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert said == ["addrspace-gdb: `addrspace-gdb init` on PATH fails; install it again"]


@pytest.mark.parametrize("major", ["11", "$_nonexistent"])
def test_gdbinit_example_says_in_one_line_that_gdb_is_too_old(
    gdb_exe: Gdb, tmp_path: Path, major: str
) -> None:
    said = example_says(gdb_exe, tmp_path, [f"set $_gdb_major = {major}"])
    assert len(said) == 1
    assert said[0].startswith("addrspace-gdb: this gdb is too old, 12 or newer is needed")


def test_gdbinit_examples_parameters_exist(gdb_exe: Gdb) -> None:
    text = (CHECKOUT / "gdbinit.example").read_text()
    settings: Dict[str, None] = dict.fromkeys(re.findall(r"^# (set addrspace .*)$", text, re.MULTILINE))
    assert len(settings) == 3
    assert in_gdb(gdb_exe.path, f"source {CHECKOUT}/gdbinit.example", *settings) == []
