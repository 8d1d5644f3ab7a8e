"""`fault/1`: what went wrong, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from addrspace_gdb.goruntime.crash import Panic
from addrspace_gdb.goruntime.traceback import Frame
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.where.c_code import CPlace
from addrspace_gdb.space.where.deadlock import Blocked
from addrspace_gdb.space.where.fault import CrashReport, Death, Fault
from addrspace_gdb.space.where.fault_cause import cause, code_name
from addrspace_gdb.space.where.signalled import NAMES
from addrspace_gdb.views.documents.form import target_json
from addrspace_gdb.views.documents.whereis import place_json


def fault_json(info: TargetInfo, report: CrashReport, problems: List[str]) -> Dict[str, Any]:
    """The document."""
    return {
        "schema": "fault/1",
        "target": target_json(info),
        "cause": cause(report),
        "fault": _fault_json(report.fault),
        "death": _death_json(report.death),
        "where": place_json(report.where) if report.where is not None else None,
        "code": place_json(report.code) if report.code is not None else None,
        "goroutine": report.goid,
        "foreign_thread": report.foreign,
        "c_frames": [_c_json(place) for place in report.c_frames],
        "frames": [_frame_json(frame) for frame in report.frames],
        "panics": [_panic_json(panic) for panic in report.panics],
        "message": report.message,
        "printed": report.printed,
        "crashing": report.crashing,
        "blocked": _blocked_json(report.blocked),
        "problems": problems,
    }


def _fault_json(fault: Optional[Fault]) -> Optional[Dict[str, Any]]:
    if fault is None:
        return None
    return {
        "signal": NAMES[fault.signal],
        "code": fault.code,
        "code_name": code_name(fault.signal, fault.code),
        "address": None if fault.address is None else hex(fault.address),
        "computed": fault.computed,
        "access": fault.access,
        "pc": hex(fault.pc),
        "instruction": fault.instruction.text,
        "source": fault.source,
        "thread": fault.thread.tid if fault.thread is not None else None,
    }


def _blocked_json(blocked: Optional[Blocked]) -> Optional[Dict[str, Any]]:
    if blocked is None:
        return None
    main = blocked.main
    return {
        "main": None
        if main is None
        else {
            "goid": main.goid,
            "state": main.state,
            "function": main.user.function,
            "file": main.user.file,
            "line": main.user.line,
        },
        "others": [
            {"goroutines": one.many, "state": one.state, "function": one.function} for one in blocked.others
        ],
    }


def _death_json(death: Optional[Death]) -> Optional[Dict[str, Any]]:
    if death is None:
        return None
    return {
        "signal": NAMES.get(death.signal, str(death.signal)),
        "code": death.code,
        "code_name": code_name(death.signal, death.code),
        "sender": death.sender,
        "pc": hex(death.pc),
        "source": death.source,
        "thread": death.thread.tid,
        "text": death.text,
    }


def _c_json(place: CPlace) -> Dict[str, Any]:
    return {"function": place.function, "file": place.file, "pc": hex(place.pc)}


def _frame_json(frame: Frame) -> Dict[str, Any]:
    return {"function": frame.name, "file": frame.file, "line": frame.line, "pc": hex(frame.pc)}


def _panic_json(panic: Panic) -> Dict[str, Any]:
    return {"type": panic.type, "value": panic.text, "recovered": panic.recovered}
