"""The reader of Go's goroutine dumps, on the forms that Go 1.21 to 1.27 print."""

from __future__ import annotations

from harness.dumps import goroutine_dump_parse

DUMP = """panic: oh [recovered]
\tpanic: (main.E) {0x1, 0x2}

goroutine 1 gp=0xc0000061c0 m=0 mp=0x5c1f40 [running, locked to thread]:
main.f({0x1, 0x2}, (func())(0x3)...)
\t/src/a b.go:27 +0x1d fp=0xc00009af20 sp=0xc00009aee8 pc=0x47f2fd
main.inlined(...)
\t/src/a.go:12
main.(*T[...]).g(0xc000012345?)
\t/src/a.go:30
runtime.goexit({})
\t/go/src/runtime/asm_amd64.s:1700 +0x1 fp=0xc00009afe8 sp=0xc00009afe0 pc=0x46d181

goroutine 7 gp=0xc000007c00 m=nil [select (no cases) (scan), 12 minutes]:
main.deep(0x1)
\t/src/a.go:5 +0x10
...23 frames elided...
main.top()
\t/src/a.go:6 +0x20
created by main.(*server).run.func1 in goroutine 1
\t/src/a.go:9 +0x2a

goroutine 8 [running]:
\tgoroutine running on other thread; stack unavailable
created by main.main
\t/src/a.go:10 +0x2b

goroutine 9 [chan receive] {kind: labelled, id: "a b"}:
main.f(0x1)
\t/src/a.go:5

goroutine 10 [sync.Mutex.Lock, 1 minutes, locked to thread labels:{"kind": "x"}]:
main.f(0x1)
\t/src/a.go:5 +0x9

rax    0x0
rip    0x47f2fd
"""


def test_frames_with_addresses_inlined_calls_and_generics() -> None:
    first = goroutine_dump_parse(DUMP)[0]
    assert (first.goid, first.status, first.locked, first.thread) == (1, "running", True, 0)
    f, inlined, method, exit_ = first.frames
    assert (f.function, f.file, f.line, f.offset) == ("main.f", "/src/a b.go", 27, 0x1D)
    assert (f.fp, f.sp, f.pc) == (0xC00009AF20, 0xC00009AEE8, 0x47F2FD)
    assert (inlined.function, inlined.inlined, inlined.offset, inlined.pc) == (
        "main.inlined",
        True,
        None,
        None,
    )
    assert (method.function, method.inlined) == ("main.(*T[...]).g", False)
    assert exit_.function == "runtime.goexit"


def test_waiting_elided_and_created_by() -> None:
    second = goroutine_dump_parse(DUMP)[1]
    assert (second.status, second.minutes, second.scan, second.locked) == (
        "select (no cases)",
        12,
        True,
        False,
    )
    assert [f.function for f in second.frames] == ["main.deep", "main.top"]
    assert second.elided == 23
    assert second.thread is None
    assert second.created_by == ("main.(*server).run.func1", 1, "/src/a.go", 9)


def test_no_stack_and_a_creator_without_a_goid() -> None:
    third = goroutine_dump_parse(DUMP)[2]
    assert third.unavailable
    assert third.frames == []
    assert third.created_by == ("main.main", None, "/src/a.go", 10)


def test_labels_of_both_forms() -> None:
    after, within = goroutine_dump_parse(DUMP)[3:]
    assert (after.status, after.labels) == ("chan receive", 'kind: labelled, id: "a b"')
    assert (within.status, within.minutes, within.locked) == ("sync.Mutex.Lock", 1, True)
    assert within.labels == '"kind": "x"'


def test_what_is_no_dump_has_no_goroutines() -> None:
    assert goroutine_dump_parse("") == []
    assert goroutine_dump_parse("exit status 2\n\ngoroutine x [running]:\n") == []
