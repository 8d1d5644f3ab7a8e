"""Which types and variables of the runtime go into the tables, and the program that makes them appear.

A name that a Go version lacks is left out of that version's table. What the types hold by value comes along.
"""

from __future__ import annotations

from typing import Sequence

ARCHES = ("386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x")


def unknown_experiments(minor: int) -> Sequence[str]:
    """Settings of GOEXPERIMENT for debugging the runtime itself: no table is kept for them."""
    return ("pagetrace", "staticlockranking") if 20 <= minor <= 22 else ("staticlockranking",)


_VARIABLES = """
allglen allgptr allgs allm allp bbuckets bubbleGen buckhash buildVersion class_to_size
debug extraM extraMCount extraMInUse extraMLength fing fingRunning fingStatus finq
firstmoduledata gcBgMarkWorkerCount gcBitsArenas gcBlackenEnabled gcController
gcCPULimiter gcphase gcrash globalAlloc gomaxprocs iscgo isIdleInSynctest itabTable m0
mbuckets memstats mheap_ ncpu newprocs panicking persistentChunks physHugePageSize
physPageSize printBacklog printBacklogIndex racedataend racedatastart runtimeInitTime
scavenge scavenger sched stackLarge stackpool startingStackSize sweep trace
vgetrandomAlloc waitReasonStrings work writeBarrier xbuckets
"""
VARIABLES = tuple(f"runtime.{name}" for name in _VARIABLES.split()) + ("internal/runtime/gc.SizeClassToSize",)

_TYPES = """
_defer _func _panic arenaHint atomicScavChunkData blockRecord bucket buckhashArray
finalizer finblock g gcBits gcBitsArena hchan heapArena hmap limiterEventStamp
listNodeManual m mcache mcentral memRecord mheap moduledata mspan p pallocData pallocSum
persistentAlloc schedt spanInlineMarkBits spanSetBlock spanSPMC special specialfinalizer
specialprofile stackpoolItem stackWorkBuf sudog synctestBubble synctestGroup
traceAllocBlock traceBuf traceRegionAllocBlock workbuf
"""
TYPES = tuple(f"runtime.{name}" for name in _TYPES.split()) + (
    "internal/abi.MapType",  # Go 1.21 to 1.23 and since 1.26; those of Swiss maps or of old ones between
    "internal/abi.OldMapType",
    "internal/abi.SwissMapType",
)

# Read from the program's data as they stand there: sizes of the size classes, words for why a g waits.
SIZES = ("runtime.class_to_size", "internal/runtime/gc.SizeClassToSize")
REASONS = "runtime.waitReasonStrings"

MODULE = "module layouts\n\ngo 1.19\n"
PROGRAM = """\
package main

import "runtime"

var sink any
var labels = map[string]string{}

func main() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	runtime.MemProfile(nil, true)
	runtime.GoroutineProfile(nil)
	runtime.SetFinalizer(&stats, func(*runtime.MemStats) {})
	if runtime.StartTrace() == nil {
		sink = runtime.ReadTrace()
		runtime.StopTrace()
	}
	labels["a"] = "b"
	done := make(chan int)
	go func() {
		defer func() { sink = recover(); done <- 1 }()
		panic(labels)
	}()
	select {
	case <-done:
	case done <- 1:
	}
	bubble()
}
"""

# What only a program under test has in it, and since Go 1.25.
NO_BUBBLES = """\
//go:build !go1.25

package main

func bubble() {}
"""
BUBBLES = """\
//go:build go1.25

package main

import (
	"os"
	"testing"
	"testing/synctest"
)

func bubble() {
	if len(os.Args) > 1 {
		synctest.Test(nil, func(*testing.T) {})
	}
}
"""
