// Bubbles has goroutines in testing/synctest bubbles, leaked goroutines, and a stack that is about to grow.
//
//	bubbles ORACLE
//
// A toolchain without synctest or without the leak profile has the rest.
package main

import (
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"

	"addrspace.test/kit"
)

var (
	// Oracle is what the runtime says of its memory at the breakpoint.
	Oracle runtime.MemStats
	// Profile is what `pprof.Lookup("goroutine")` says with debug=1, in its first ProfileLength bytes.
	Profile       [1 << 20]byte
	ProfileLength int

	forever = make(chan int)
	mutex   sync.Mutex
	sink    int
)

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

// leak blocks for ever on things that nothing else refers to.
//
//go:noinline
func leak() {
	go func() { <-make(chan int) }()
	go func() { make(chan int) <- 1 }()
	go func() {
		var lock sync.Mutex
		lock.Lock()
		lock.Lock()
	}()
	go func() {
		var group sync.WaitGroup
		group.Add(1)
		group.Wait()
	}()
	go func() { select {} }()
}

//go:noinline
func alike() {
	sink += <-forever
}

//go:noinline
func grow(depth int) int {
	var frame [512]int
	frame[depth%512] = depth
	if depth > 0 {
		return grow(depth-1) + frame[depth%512]
	}
	return 0
}

type profileWriter struct{}

func (profileWriter) Write(text []byte) (int, error) {
	ProfileLength += copy(Profile[ProfileLength:], text)
	return len(text), nil
}

func main() {
	path := ""
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	mutex.Lock()
	for i := 0; i < 30; i++ {
		go alike()
	}
	for i := 0; i < 7; i++ {
		go func() { alike() }()
	}
	leak()
	startBubbles()
	time.Sleep(200 * time.Millisecond)
	kit.Settle(path, true, true)
	if profile := pprof.Lookup("goroutineleak"); profile != nil {
		if err := profile.WriteTo(io.Discard, 1); err != nil {
			kit.Fail("goroutineleak", err)
		}
	}
	if err := pprof.Lookup("goroutine").WriteTo(profileWriter{}, 1); err != nil {
		kit.Fail("goroutine", err)
	}
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	breakpoint()
	done := make(chan bool)
	go func() {
		sink += grow(40)
		close(done)
	}()
	<-done
	kit.Wait()
}
