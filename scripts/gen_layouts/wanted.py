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
allfin allglen allgptr allgs allm allp bbuckets blockprofilerate bubbleGen buckhash
buildVersion class_to_size debug disableMemoryProfiling extraM extraMCount extraMInUse
extraMLength finc fing fingRunning fingStatus finq firstmoduledata
gcBgMarkWorkerCount gcBitsArenas gcBlackenEnabled gcCleanups gcController
gcCPULimiter gcphase gcrash globalAlloc gomaxprocs immortalWeakHandles iscgo
isIdleInSynctest itabTable m0 mbuckets memstats MemProfileRate mheap_ modulesSlice
mProfCycle mutexprofilerate ncpu newprocs panicking persistentChunks physHugePageSize
physPageSize printBacklog printBacklogIndex racedataend racedatastart runtimeInitTime
scavenge scavenger sched semtable stackLarge stackpool startingStackSize sweep ticks
trace vgetrandomAlloc waitReasonStrings work writeBarrier xbuckets
"""
VARIABLES = tuple(f"runtime.{name}" for name in _VARIABLES.split()) + ("internal/runtime/gc.SizeClassToSize",)

_TYPES = """
_defer _func _panic arenaHint atomicScavChunkData blockRecord bucket buckhashArray
cleanupBlock cleanupQueue finalizer finBlock finblock g gcBits gcBitsArena hchan heapArena
hmap immortalWeakHandle itabTableType limiterEventStamp listNodeManual m mcache mcentral
memRecord mheap moduledata mProfCycleHolder mspan p pallocData pallocSum persistentAlloc
pinner schedt spanInlineMarkBits spanSetBlock spanSPMC special specialBubble
specialCheckFinalizer specialCleanup specialfinalizer specialPinCounter specialprofile
specialReachable specialSecret specialTinyBlock specialWeakHandle stackmap
stackObjectRecord stackpoolItem stackWorkBuf sudog synctestBubble synctestGroup timer
timers timerWhen traceAllocBlock traceBuf traceRegionAllocBlock workbuf
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

import (
	"runtime"
	"time"
)

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
	time.AfterFunc(time.Hour, func() {})
	bubble()
	since()
}
"""

# What came with Go 1.24: cleanups, weak pointers.
NOT_SINCE = """\
//go:build !go1.24

package main

func since() {}
"""
SINCE = """\
//go:build go1.24

package main

import (
	"runtime"
	"weak"
)

func since() {
	object := new([64]int)
	runtime.AddCleanup(object, func(int) {}, 1)
	sink = weak.Make(object)
	var pins runtime.Pinner
	pins.Pin(object)
	pins.Unpin()
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
