// Queued has objects that are dead, and whose finalizers or cleanups wait behind one that is stuck.
//
//	queued ORACLE WHAT COUNT
//
// WHAT is finalizers, cleanups (since Go 1.24) or done: finalizers that have all been run.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"addrspace.test/kit"
)

type handle struct{ content [2000]byte }

var (
	begun int64
	stuck = make(chan int)
)

//go:noinline
func closeHandle(h *handle) {
	atomic.AddInt64(&begun, int64(h.content[0]))
	<-stuck
}

//go:noinline
func count(h *handle) {
	atomic.AddInt64(&begun, 1)
}

//go:noinline
func finalized(count int, finalizer func(*handle)) {
	for i := 0; i < count; i++ {
		h := &handle{}
		h.content[0] = 1
		runtime.SetFinalizer(h, finalizer)
	}
}

// wiped overwrites what is left of pointers on the stack.
//
//go:noinline
func wiped() (sum int) {
	var words [512]int
	for i := range words {
		words[i] = i
	}
	return words[len(os.Args)]
}

func main() {
	if len(os.Args) != 4 {
		os.Stderr.WriteString("usage: queued ORACLE WHAT COUNT\n")
		os.Exit(2)
	}
	many, err := strconv.Atoi(os.Args[3])
	if err != nil {
		kit.Fail("COUNT", err)
	}
	expected := int64(1)
	switch os.Args[2] {
	case "finalizers":
		finalized(many, closeHandle)
	case "cleanups":
		cleanups(many)
	case "done":
		finalized(many, count)
		expected = int64(many)
	}
	for i := 0; i < 3; i++ {
		wiped()
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
	for atomic.LoadInt64(&begun) < expected {
		time.Sleep(time.Millisecond)
	}
	if err := os.WriteFile(os.Args[1], []byte(queued()), 0o600); err != nil {
		kit.Fail("oracle", err)
	}
	fmt.Println("ready")
	time.Sleep(kit.Lifetime)
}
