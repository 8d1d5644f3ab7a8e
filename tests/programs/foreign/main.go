// Foreign maps memory behind the runtime's back, each kind once, and says where.
//
//	foreign ORACLE
package main

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"addrspace.test/kit"
)

// Oracle is what the runtime says of its memory at the breakpoint.
var Oracle runtime.MemStats

// memfdCreate is the number of memfd_create, which package syscall lacks (the kernel's syscall tables).
var memfdCreate = map[string]uintptr{"amd64": 319, "386": 356, "arm64": 279}[runtime.GOARCH]

const readWrite = syscall.PROT_READ | syscall.PROT_WRITE

//go:noinline
func breakpoint() {
	runtime.KeepAlive(&Oracle)
}

func mapped(name string, fd int, size int, protection int, flags int) []byte {
	block, err := syscall.Mmap(fd, 0, size, protection, flags)
	if err != nil {
		kit.Fail(name, err)
	}
	kit.Announce(name, uintptr(unsafe.Pointer(&block[0])), uintptr(size))
	return block
}

func touch(block []byte) {
	for i := 0; i < len(block); i += os.Getpagesize() {
		block[i] = 1
	}
}

func memfd() int {
	name := []byte("addrspace test\x00")
	fd, _, errno := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if errno != 0 {
		kit.Fail("memfd_create", errno)
	}
	if err := syscall.Ftruncate(int(fd), 3<<20); err != nil {
		kit.Fail("ftruncate", err)
	}
	return int(fd)
}

func main() {
	path := ""
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	private := syscall.MAP_PRIVATE | syscall.MAP_ANON
	touch(mapped("anonymous", -1, 16<<20, readWrite, private)[:8<<20])
	touch(mapped("shared anonymous", -1, 2<<20, readWrite, syscall.MAP_SHARED|syscall.MAP_ANON))
	touch(mapped("memfd", memfd(), 3<<20, readWrite, syscall.MAP_SHARED)[:1<<20])
	mapped("reservation", -1, 64<<20, syscall.PROT_NONE, private|syscall.MAP_NORESERVE)
	executable, err := os.Open("/proc/self/exe")
	if err != nil {
		kit.Fail("executable", err)
	}
	file := mapped("file", int(executable.Fd()), 1<<20, syscall.PROT_READ, syscall.MAP_PRIVATE)
	runtime.KeepAlive(file[0] + file[len(file)-1])
	kit.Settle(path, true, true)
	kit.Stacks()
	runtime.ReadMemStats(&Oracle)
	kit.Metrics()
	breakpoint()
	kit.Ready(&Oracle)
}
