// A Go library for a C host, main.c.
package main

import "C"

import (
	"runtime"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory when the host stops at its breakpoint.
var Oracle runtime.MemStats

//export GoPopulate
func GoPopulate(path *C.char) {
	name := C.GoString(path)
	kit.Populate()
	kit.Settle(name, true, true)
}

//export GoSnapshot
func GoSnapshot() {
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
}

//export GoReady
func GoReady() {
	kit.Ready(&Oracle)
}

func main() {}
