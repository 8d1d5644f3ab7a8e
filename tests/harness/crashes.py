"""Crashes that tests have kept."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict

import jsonschema

from addrspace_gdb.views.documents import schema as schemas
from harness import CHECKOUT
from harness.command import COMMAND


def crash(data: bytes, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command as the kernel does, with `data` through a pipe."""
    done = subprocess.run(
        [*COMMAND, "crash", *map(str, words)],
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **more},
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def only(folder: Path) -> Path:
    (found,) = folder.glob("2*")
    return found


def meta_of(folder: Path) -> Dict[str, Any]:
    meta: Dict[str, Any] = json.loads((folder / "meta.json").read_text())
    jsonschema.validate(meta, schemas.schema("crash/1"))
    return meta
