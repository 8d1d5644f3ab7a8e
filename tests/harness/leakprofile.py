"""Go's own programs with leaked goroutines (src/runtime/testdata/testgoroutineleakprofile): built in place,
held where they write their profile, and asked there what the collector finds.

A file is laid over each program: what it writes its profile to takes nothing, so that it waits there with
everything on its stack that it had when it asked. Another goroutine collects at SIGUSR1.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import List, Set

from harness import cache_dir
from harness.processes import Process, Processes
from harness.toolchains import Toolchain, Unavailable, go_environment

FOLDERS = ("testgoroutineleakprofile", "testgoroutineleakprofile/goker")
SINCE = (1, 26)
_EXPERIMENT = {(1, 26): "goroutineleakprofile"}
_REGISTERED = re.compile(r'\bregister\("(\w+)"')

_HELD = r"""package main

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
	_ "unsafe"
)

//go:linkname heldCollect runtime/pprof.runtime_goroutineLeakGC
func heldCollect()

var heldReader *os.File

func init() {
	answers := os.Stdout
	reader, writer, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	heldReader = reader
	raw, err := writer.SyscallConn()
	if err != nil {
		panic(err)
	}
	raw.Write(func(fd uintptr) bool {
		for {
			if _, err := syscall.Write(int(fd), make([]byte, 4096)); err == syscall.EAGAIN {
				return true
			}
		}
	})
	os.Stdout = writer
	go heldAnswer(answers)
}

func heldAnswer(answers *os.File) {
	text := make([]byte, 1<<25)
	for !bytes.Contains(text[:runtime.Stack(text, true)], []byte("runtime/pprof.(*Profile).WriteTo(")) ||
		!bytes.Contains(text[:runtime.Stack(text, true)], []byte("os.(*File).Write(")) {
		time.Sleep(time.Millisecond)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	fmt.Fprintln(answers, "ready")
	for number := 1; ; number++ {
		<-signals
		heldCollect()
		answers.Write(text[:runtime.Stack(text, true)])
		fmt.Fprintln(answers, "\nend", number)
	}
}
"""


def names(go: Toolchain, folder: str) -> List[str]:
    """All that a folder's program does. Unavailable where this toolchain has none."""
    found = [_REGISTERED.findall(file.read_text()) for file in _source(go, folder).glob("*.go")]
    return sorted({name for some in found for name in some})


def _source(go: Toolchain, folder: str) -> Path:
    found = go.goroot / "src/runtime/testdata" / folder
    if go.release < SINCE:
        raise Unavailable(f"{go} has no goroutineleak profile")
    if not (found / "main.go").exists():
        raise Unavailable(f"{go} has no {found}")
    return found


def build(go: Toolchain, folder: str) -> Path:
    """The program of a folder, with what holds it, built once. Unavailable where there is no source."""
    source = _source(go, folder)
    place = cache_dir() / "test-binaries" / f"held-{folder.replace('/', '-')}-{go.version}"
    place.mkdir(parents=True, exist_ok=True)
    binary = place / "program"
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        texts = {"held.go": _HELD, "held.s": "// The declaration without a body needs a file like this.\n"}
        if binary.exists() and all(_text(place / name) == text for name, text in texts.items()):
            return binary
        for name, text in texts.items():
            (place / name).write_text(text)
        overlay = {str(source / f"addrspace_{name}"): str(place / name) for name in texts}
        (place / "overlay.json").write_text(json.dumps({"Replace": overlay}))
        command = [str(go.go), "build", f"-overlay={place / 'overlay.json'}", "-ldflags=-checklinkname=0"]
        environment = {
            **go_environment(),
            "CGO_ENABLED": "0",
            "GOEXPERIMENT": _EXPERIMENT.get(go.release, ""),
        }
        done = subprocess.run(
            [*command, "-o", f"{binary}.new", "."],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{folder} does not build with {go}: {done.stderr[-1000:]}")
        os.rename(f"{binary}.new", binary)
    return binary


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


class Held:
    """A program that waits where it writes its profile."""

    def __init__(self, processes: Processes, program: Path, name: str) -> None:
        more = {"GODEBUG": "asyncpreemptoff=1", "GOMAXPROCS": "1"}  # as Go's own test runs it
        self.process: Process = processes.start([str(program), name], env=more)
        self.process.wait_ready()
        self._asked = 0

    def leaked(self) -> Set[int]:
        """The goroutines that Go's collector finds leaked, now."""
        self._asked += 1
        before = len(self.process.output["stdout"])
        os.kill(self.process.pid, signal.SIGUSR1)
        text = self.process.wait_for(f"\nend {self._asked}\n")
        return leaked_in(text[before:])


def leaked_in(text: str) -> Set[int]:
    """The goroutines that Go's text calls leaked."""
    return {int(goid) for goid in re.findall(r"^goroutine (\d+) \[.*\(leaked\)", text, re.MULTILINE)}
