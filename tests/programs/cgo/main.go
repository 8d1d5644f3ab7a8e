// Cgo has C's memory beside Go's: malloc in the brk heap and in the threads' arenas, a large malloc,
// threads made by C, callbacks into Go, and goroutines that block inside C.
//
//	cgo ORACLE
package main

/*
#cgo LDFLAGS: -lpthread
#include "native.h"
*/
import "C"

import (
	"os"
	"runtime"
	"unsafe"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint.
var Oracle runtime.MemStats

var (
	forever = make(chan int)
	arrived = make(chan int)
)

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

//export goCallback
func goCallback(number C.int) {
	arrived <- int(number)
	if number%2 == 0 {
		<-forever
	}
	C.native_block()
}

func main() {
	path := ""
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	kit.Populate()
	C.native_allocate(2000, 64)
	large := C.native_large(8 << 20)
	kit.Announce("large malloc", uintptr(large), 8<<20)
	C.native_threads(2, 500)
	for i := 0; i < 2; i++ {
		go C.native_block()
	}
	C.native_callback_threads(3)
	for i := 0; i < 3; i++ {
		<-arrived
	}
	go C.native_call_go(C.int(4))
	<-arrived
	C.native_wait_blocked(5) // two goroutines, two threads of native_threads, and callback 1
	kit.Park()
	kit.Settle(path, true, true)
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	runtime.KeepAlive(unsafe.Pointer(large))
	kit.Ready(&Oracle)
}
