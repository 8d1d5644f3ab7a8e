// Owners has memory whose owner is easily mistaken, of one kind at a time, and says how much it is.
//
//	owners ORACLE WHAT
//
// ORACLE is not written: what is known is on stdout, a line "name number" each, before "ready".
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

const mib = 1 << 20

var (
	statistics runtime.MemStats
	cases      = map[string]func(){}
	keep       [][]byte
)

//go:noinline
func breakpoint() {
	runtime.KeepAlive(keep)
}

func say(name string, number uint64) {
	os.Stdout.WriteString(name + " " + strconv.FormatUint(number, 10) + "\n")
}

// ended lets many goroutines be there at once, and end.
func ended() {
	var all sync.WaitGroup
	gate := make(chan bool)
	for i := 0; i < 100_000; i++ {
		all.Add(1)
		go func() {
			<-gate
			all.Done()
		}()
	}
	close(gate)
	all.Wait()
	runtime.GC()
	debug.FreeOSMemory()
	// Of what the runtime keeps for those that live, one of each kind.
	go func() { time.Sleep(time.Hour) }()
	go func() {
		select {
		case <-make(chan int):
		case <-make(chan int):
		}
	}()
	time.Sleep(10 * time.Millisecond)
}

func main() {
	cases["ended"] = ended
	cases[os.Args[2]]()
	runtime.ReadMemStats(&statistics)
	say("BuckHashSys", statistics.BuckHashSys)
	say("HeapInuse", statistics.HeapInuse)
	breakpoint()
	os.Stdout.WriteString("ready\n")
	time.Sleep(kit.Lifetime)
	runtime.KeepAlive(keep)
}
