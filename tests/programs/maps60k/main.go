// Maps60k has many mappings that the kernel cannot merge.
//
//	maps60k ORACLE COUNT
package main

import (
	"os"
	"runtime"
	"strconv"
	"syscall"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint.
var Oracle runtime.MemStats

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

func main() {
	if len(os.Args) != 3 {
		os.Stderr.WriteString("usage: maps60k ORACLE COUNT\n")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		kit.Fail("COUNT", err)
	}
	protections := [...]int{syscall.PROT_READ, syscall.PROT_READ | syscall.PROT_WRITE}
	for i := 0; i < count; i++ {
		page, err := syscall.Mmap(-1, 0, os.Getpagesize(), protections[i%2], syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			kit.Fail("mmap "+strconv.Itoa(i), err)
		}
		if i%8 == 1 {
			page[0] = 1
		}
	}
	kit.Settle(os.Args[1], false, true)
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Ready(&Oracle)
}
