// Victim is what the fuzzer damages: a small process with something of everything that is shown.
//
//	victim abort   dies at once, for the kernel's core file
//	victim wait    says "ready" and waits
//	victim odd     the same, with texts that are no UTF-8, and one of 50 MB
package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"
)

type node struct {
	next  *node
	name  string
	bytes []byte
}

var (
	chain *node
	table = map[string]*node{}
	large []byte
	lock  sync.Mutex
	gate  = make(chan int)
)

//go:noinline
func descend(depth int, pad [64]byte) int {
	if depth == 0 {
		return <-gate
	}
	pad[depth] = byte(depth)
	return descend(depth-1, pad) + int(pad[depth])
}

func populate() {
	for i := 0; i < 300; i++ {
		n := &node{next: chain, name: string(rune('a'+i%26)) + "-node", bytes: make([]byte, 8<<(i%8))}
		runtime.SetFinalizer(n, func(*node) {})
		chain, table[n.name] = n, n
	}
	large = make([]byte, 200<<10)
	for at := range large {
		large[at] = byte(at)
	}
}

func park() {
	for i := 0; i < 4; i++ {
		go descend(3+8*i, [64]byte{})
	}
	lock.Lock()
	go lock.Lock()
	go func() {
		select {
		case <-gate:
		case <-time.After(time.Hour):
		}
	}()
	go time.Sleep(time.Hour)
	go pprof.Do(context.Background(), pprof.Labels("task", "labelled"), func(context.Context) { <-gate })
	go func() {
		reader, _, _ := os.Pipe()
		syscall.Read(int(reader.Fd()), make([]byte, 1))
	}()
	time.Sleep(50 * time.Millisecond)
}

// odd makes texts that nobody should print as they are: a thread's name, labels.
func odd() {
	os.WriteFile("/proc/self/comm", []byte("n\xff\x1b[2J"), 0)
	labels := pprof.Labels("key\xff", "v\x1b[2J\xc3", "long", strings.Repeat("x", 50<<20))
	go pprof.Do(context.Background(), labels, func(context.Context) { <-gate })
	time.Sleep(50 * time.Millisecond)
}

func main() {
	debug.SetTraceback("crash")
	populate()
	runtime.GC()
	park()
	if len(os.Args) > 1 && os.Args[1] == "abort" {
		syscall.Kill(syscall.Getpid(), syscall.SIGABRT)
	}
	if len(os.Args) > 1 && os.Args[1] == "odd" {
		odd()
	}
	os.Stdout.WriteString("ready\n")
	time.Sleep(time.Hour)
}
