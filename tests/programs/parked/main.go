// Parked is many goroutines at rest, at a few depths and in a few states.
//
//	parked ORACLE COUNT
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint.
var Oracle runtime.MemStats

var (
	depths  = [...]int{2, 12, 24, 60}
	forever = make(chan int)
	other   = make(chan int)
	mutex   sync.Mutex
	started sync.WaitGroup
)

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

//go:noinline
func receive() {
	<-forever
}

//go:noinline
func choose() {
	select {
	case <-forever:
	case <-other:
	}
}

//go:noinline
func lock() {
	mutex.Lock()
}

//go:noinline
func sleep() {
	time.Sleep(time.Hour)
}

//go:noinline
func descend(depth int, body func()) int {
	if depth == 0 {
		started.Done()
		body()
		return 0
	}
	return descend(depth-1, body) + 1
}

func worker(number int) {
	switch number % 16 {
	case 0:
		descend(depths[number/16%4], choose)
	case 1:
		descend(depths[number/16%4], lock)
	case 2:
		descend(depths[number/16%4], sleep)
	default:
		descend(depths[number%4], receive)
	}
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: parked ORACLE COUNT\n")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		kit.Fail("COUNT", err)
	}
	debug.SetGCPercent(-1)
	mutex.Lock()
	started.Add(count)
	for i := 0; i < count; i++ {
		go worker(i)
	}
	started.Wait()
	time.Sleep(100 * time.Millisecond)
	kit.Settle(os.Args[1], false, false)
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Ready(&Oracle)
}
