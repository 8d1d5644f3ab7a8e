// Threads has goroutines that are locked to a thread each, in a system call.
//
//	threads ORACLE COUNT
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint.
var Oracle runtime.MemStats

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

//go:noinline
func wait(started *sync.WaitGroup, pipe int) {
	runtime.LockOSThread()
	started.Done()
	syscall.Read(pipe, make([]byte, 1))
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: threads ORACLE COUNT\n")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		kit.Fail("COUNT", err)
	}
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		kit.Fail("pipe", err)
	}
	debug.SetMaxThreads(count + 100)
	var started sync.WaitGroup
	for i := 0; i < count; i++ {
		started.Add(1)
		go wait(&started, ends[0])
	}
	started.Wait()
	kit.Settle(os.Args[1], false, true)
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Ready(&Oracle)
}
