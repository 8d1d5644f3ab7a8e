// Shapes has goroutines in every state and heap objects, stacks and globals of every kind.
//
//	shapes ORACLE [quiet]
//
// With quiet there are no spinning goroutines. The spinning ones start last, so ORACLE.pprof lacks them.
package main

import (
	"os"
	"runtime"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint.
var Oracle runtime.MemStats

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

func main() {
	path := ""
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	quiet := len(os.Args) > 2 && os.Args[2] == "quiet"
	runtime.GOMAXPROCS(2)
	touchGlobals()
	populateHeap()
	startDead()
	startDepths()
	startWaits()
	startFiles()
	startPanics()
	startNewer()
	startFinalizer()
	waitStarted()
	keepFreed()
	kit.Settle(path, true, true)
	if !quiet {
		startSpinners()
	}
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Ready(&Oracle)
}
