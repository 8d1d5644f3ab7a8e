"""Private folders are gone whatever comes, also an end at the worst moments."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, Iterator, Optional

import pytest

from addrspace_gdb.common import folders
from addrspace_gdb.common.folders import PREFIX, PrivateFolder
from addrspace_gdb.common.problems import ProblemError


class Ended(BaseException):
    """What the handler raises."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    def handle(_number: int, _frame: Optional[FrameType]) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, handle)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def use() -> None:
    with PrivateFolder() as folder:
        (folder / "file").write_text("x")


def test_it_is_gone_afterwards(temporary: Path) -> None:
    with PrivateFolder() as folder:
        assert [folder] == list(temporary.glob(PREFIX + "*"))
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("memory", [True, False])
def test_where_no_file_system_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: bool
) -> None:
    """As in a container with a read-only file system and no /tmp."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", nowhere)
    monkeypatch.setattr(folders, "_IN_MEMORY", str(tmp_path) if memory else "/proc/nosuch")
    if memory:
        with PrivateFolder() as folder:
            assert folder.parent == tmp_path
        assert not list(tmp_path.iterdir())
    else:
        with pytest.raises(ProblemError, match=r"no folder for temporary files .* --tmpfs"):
            use()


def nowhere(*_arguments: Any) -> str:
    raise FileNotFoundError("No usable temporary directory found")


def test_an_end_while_it_is_made(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(real: Any = tempfile.mkdtemp, **options: Any) -> Any:
        made = real(**options)
        signal.raise_signal(signal.SIGTERM)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", make)
    with pytest.raises(Ended):
        use()
    assert not list(temporary.iterdir())


def test_an_end_before_it_is_entered(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def enter(self: PrivateFolder) -> Path:
        signal.raise_signal(signal.SIGTERM)
        return self.path

    monkeypatch.setattr(PrivateFolder, "__enter__", enter)
    caught = False
    try:
        use()
    except Ended:
        caught = True
    assert caught and not list(temporary.iterdir())


def test_an_end_while_it_is_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def remove(path: Path, ignore_errors: bool, real: Any = shutil.rmtree) -> None:
        signal.raise_signal(signal.SIGTERM)
        real(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", remove)
    with pytest.raises(Ended):
        use()
    assert not list(temporary.iterdir())
