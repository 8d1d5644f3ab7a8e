"""Runs inside gdb: the steps of a session, each with what came of it.

ADDRSPACE_FUZZ_STEPS names a JSON file, a list of commands; ADDRSPACE_FUZZ_RESULTS the file for one JSON
object a line: before each step {"begins": number}, after it the outcome. What is missing says where gdb
ended.
"""

from __future__ import annotations

import json
import os
from typing import Tuple

import gdb

LONGEST = 1 << 22  # characters of an answer that are kept: more is a flood


def outcome(command: str) -> Tuple[str, str]:
    """What became of the command, and its text: "output", "error", or the name of another exception."""
    try:
        return "output", gdb.execute(command, to_string=True) or ""
    except gdb.error as error:
        return "error", str(error)
    except UnicodeDecodeError:
        return "not utf-8", ""  # gdb's own text has bytes that gdb 13 does not decode
    except KeyboardInterrupt:
        return "interrupted", ""
    except Exception as error:  # noqa: BLE001  whatever it is, it is said in one line
        return type(error).__name__, str(error)


def main() -> None:
    """Carry out all steps."""
    with open(os.environ["ADDRSPACE_FUZZ_STEPS"], encoding="utf-8") as file:
        steps = json.load(file)
    with open(
        os.environ["ADDRSPACE_FUZZ_RESULTS"], "w", encoding="utf-8", errors="backslashreplace"
    ) as results:
        for number, command in enumerate(steps):
            print(json.dumps({"begins": number}), file=results, flush=True)
            kind, text = outcome(command)
            record = {"number": number, "outcome": kind, "text": text[:LONGEST], "length": len(text)}
            print(json.dumps(record), file=results, flush=True)


main()
