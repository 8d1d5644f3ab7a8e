// Nodes is a heap of one linked list.
//
//	nodes ORACLE COUNT
//
// A node has 80 bytes, a size class of its own: 102 of them fill a span of 8 KiB.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint.
var Oracle runtime.MemStats

type node struct {
	next    *node
	payload [9]uint64
}

// List is the last node made.
var List *node

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: nodes ORACLE COUNT\n")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		kit.Fail("COUNT", err)
	}
	debug.SetGCPercent(-1)
	for i := 0; i < count; i++ {
		List = &node{next: List}
		List.payload[0] = uint64(i)
	}
	kit.Settle(os.Args[1], false, false)
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Ready(&Oracle)
}
