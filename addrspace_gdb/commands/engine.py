"""The worker, as the debugger's side sees it: a process that is started, told, and asked.

It is an ordinary Python, the one that the package was installed with: the debugger's own need not have numpy.
It is given the open memory of the process or the open core, so it needs no rights of its own.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Callable, ContextManager, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.commands import compiled_folder
from addrspace_gdb.commands.compiled_folder import CompiledFolder
from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.messages import ClosedError, Column, Message, receive, send
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.progress import Progress

PYTHON = "ADDRSPACE_PYTHON"  # in the environment: the worker's interpreter
_ROOT = Path(__file__).resolve().parents[2]
# Isolated: neither the environment nor the user's own site-packages nor a working folder give it a module.
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from addrspace_gdb.worker.__main__ import main; sys.exit(main())"
)
_MOMENT = 200  # milliseconds between two looks at whether it has an answer
_INSTALLED = ("site-packages", "dist-packages")

Serve = Callable[[Message], Tuple[Dict[str, object], Dict[str, Column]]]


class Source:
    """Where the worker reads memory: a descriptor, and for a core what of it is where."""

    def __init__(self, pid: Optional[int], core: Optional[str]) -> None:
        """Of a process of this machine, a core file, or neither: then the worker asks for what it needs.
        ProblemError if it cannot be opened."""
        self.descriptor = -1
        self.extents: List[Tuple[int, int, int]] = []
        try:
            if core is not None:
                from addrspace_gdb.process.core_memory import extents  # the worker is started before

                # One that a damaged core has where there are no addresses is of no use.
                self.extents = [one for one in extents(core) if one[1] < 1 << 64]
                self.descriptor = os.open(core, os.O_RDONLY | os.O_CLOEXEC)
            elif pid is not None:
                self.descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ProblemError(f"memory cannot be opened for the worker: {error.strerror}") from None

    def close(self) -> None:
        """Once the worker has it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)


class Engine:
    """A worker that runs until it is closed, or this process ends."""

    def __init__(self, source: Optional[Source] = None) -> None:
        """`source`: what it reads; None: that is given later. ProblemError if there is no Python to start."""
        self._python = interpreter()
        self._speaks = False  # it has answered once
        self._descriptors, theirs = socket.socketpair()
        try:
            self._compiled = CompiledFolder()
            self._process = subprocess.Popen(
                [self._python, "-I", "-c", _START, str(_ROOT), str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                env=_environment(self._compiled.path),
                start_new_session=True,  # an interrupt is for the debugger
            )
        except OSError as error:
            self._descriptors.close()
            raise ProblemError(f"the worker cannot be started: {error.strerror or error}") from None
        finally:
            theirs.close()
        self._owed = 0  # answers that nobody waited for
        self.progress: Optional[Callable[[], ContextManager[Progress]]] = None  # told while it works
        if source is not None:
            self.give(source)

    def give(self, source: Source) -> None:
        """Hand over what a source has open, which is closed here."""
        try:
            if source.descriptor >= 0:
                socket.send_fds(self._descriptors, [b"0"], [source.descriptor])
        except OSError:
            raise ProblemError(self._ended()) from None
        finally:
            source.close()

    def begin(self, header: Dict[str, object]) -> None:
        """Have it do something, whose answer nobody needs. ProblemError if it has died."""
        assert self._process.stdin is not None
        try:
            send(self._process.stdin, header, {})
        except ClosedError:
            raise ProblemError(self._ended()) from None
        self._owed += 1

    def ask(
        self,
        header: Dict[str, object],
        columns: Dict[str, Column],
        serve: Optional[Serve] = None,
        meanwhile: Optional[Callable[[], object]] = None,
    ) -> Message:
        """What it answers; `serve` gives what it wants for that, and `meanwhile` is done while it works.
        ProblemError if it cannot, or has died."""
        assert self._process.stdin is not None
        try:
            for _ in range(self._owed):
                self._receive()
            self._owed = 0
            send(self._process.stdin, header, columns)
            self._owed += 1
            if meanwhile is not None:
                meanwhile()
            while True:
                self._wait()
                said = self._receive()
                self._owed = 0
                if "problem" in said.header:
                    raise ProblemError(str(said.header["problem"]))
                if "want" not in said.header or serve is None:
                    return said
                send(self._process.stdin, *serve(said))
                self._owed = 1
        except ClosedError:
            raise ProblemError(self._ended()) from None
        except KeyboardInterrupt:  # it would answer to the next question
            self.close()
            raise

    def _wait(self) -> None:
        """Until it says something, of which nothing has been read yet."""
        answers = self._process.stdout
        if self.progress is None or answers is None:
            return
        ready = select.poll()  # a debugger may have more files open than `select` can count
        ready.register(answers, select.POLLIN)
        with self.progress() as progress:
            while not ready.poll(_MOMENT):
                progress.step("the heap's graph")

    def _receive(self) -> Message:
        assert self._process.stdout is not None
        said = receive(self._process.stdout)
        self._speaks = True
        return said

    def _ended(self) -> str:
        status = self._process.wait()
        if status == -9:
            return "the worker was killed: not enough memory?"
        if not self._speaks:
            what = f"{printable(self._python)}, status {status}"
            return f"the worker does not start ({what}): set {PYTHON} to a Python that runs it"
        return f"internal error: the worker ended with status {status}; please report it"

    @property
    def has_ended(self) -> bool:
        """Whether it answers no more."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout, self._descriptors):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass
        self._process.kill()
        self._process.wait()
        self._compiled.close()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.close()


class _Begun(NamedTuple):
    engine: Engine
    pid: Optional[int] = None
    core: Optional[str] = None
    source: Optional[Source] = None  # None: it waits for anyone


_BEGUN: List[_Begun] = []


def begin_any() -> None:
    """Start a worker before it is known what for: it takes half a second to load what it stands on."""
    try:
        _BEGUN.append(_Begun(Engine()))
    except ProblemError:  # it is said when somebody needs it
        return


def begun_for(pid: Optional[int], core: Optional[str]) -> Engine:
    """A worker for a process or core, which waits until it is taken. ProblemError."""
    source = Source(pid, core)
    engine = _BEGUN.pop().engine if _BEGUN else Engine()
    engine.give(source)
    _BEGUN.append(_Begun(engine, pid, core, source))
    return engine


def taken(pid: Optional[int], core: Optional[str]) -> Tuple[Engine, Source]:
    """The worker that waits for this process or core, or another. ProblemError."""
    while _BEGUN:
        one = _BEGUN.pop()
        of_process = one.pid is not None and one.pid == pid
        if one.source is not None and (of_process or (one.core is not None and core is not None)):
            return one.engine, one.source
        one.engine.close()
    source = Source(pid if core is None else None, core)
    return Engine(source), source


def none_begun() -> None:
    """End what nobody will take."""
    while _BEGUN:
        _BEGUN.pop().engine.close()


def interpreter() -> str:
    """The Python that the package was installed with. ProblemError if there is none."""
    named = os.environ.get(PYTHON)
    for one in [named] if named else _candidates():
        if os.access(one, os.X_OK) and os.path.isfile(one):
            return one
    raise ProblemError(f"no Python for the worker: set {PYTHON} to one")


def _candidates() -> Iterator[str]:
    """This one, if it is an ordinary one; that of the environment that the package lies in, or has beside it;
    any."""
    if _is_ordinary():
        yield sys.executable
    folders = list(_ROOT.parents)[2:3] if _ROOT.name in _INSTALLED else [_ROOT / ".venv"]
    yield from (str(folder / "bin" / "python") for folder in folders)
    found = shutil.which("python3")
    if found is not None:
        yield found


def _is_ordinary() -> bool:
    """Whether this is a Python that was started as one, and not one within a debugger."""
    try:
        return os.path.samefile(sys.executable, "/proc/self/exe")
    except (OSError, TypeError):
        return False


def _environment(compiled: str) -> Dict[str, str]:
    """Ours, without what is for the debugger's Python; and the folder for what numba compiles."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**found, compiled_folder.VARIABLE: compiled}


def columns_of(rows: Sequence[Tuple[int, int, int]], names: Tuple[str, str, str]) -> Dict[str, Column]:
    """Rows of numbers as columns of a message."""
    from array import array

    return {name: array("Q", [row[at] for row in rows]) for at, name in enumerate(names)}
